"""A run directory says what made it, and refuses another configuration."""

import dataclasses

import pytest

from keras_simsiam.core.errors import UserError
from keras_simsiam.training.config import RunConfig, load_config, open_workdir
from keras_simsiam.views import published
from keras_simsiam.views.augmentation import Augmentation


def _config(tmp_path, **kwargs):
    return RunConfig(data_dir="data", workdir=str(tmp_path / "run"), **kwargs)


def test_flags_txt_round_trip(tmp_path):
    config = _config(tmp_path, hha_color=True, hha_dropout=0.3, weight_decay=5e-4, predictor_lr="10", width=16)
    open_workdir(config)
    assert load_config(config.workdir) == config
    lines = (tmp_path / "run" / "flags.txt").read_text().splitlines()
    assert "--hha_color=true" in lines and "--width=16" in lines
    assert len(lines) == len(dataclasses.fields(RunConfig))


def test_the_same_configuration_opens_it_again_also_after_a_move_or_with_a_cache(tmp_path):
    config = _config(tmp_path)
    open_workdir(config)
    open_workdir(
        dataclasses.replace(
            config, data_dir="elsewhere", checkpoint_steps=7, cache="disk", cache_gb=1.0, on_corrupt="skip"
        )
    )


def test_another_configuration_is_refused_with_the_flags_that_differ(tmp_path):
    config = _config(tmp_path)
    open_workdir(config)
    with pytest.raises(UserError, match=r"`base_lr=0.05` there, 0.1 now; `seed=0` there, 3 now"):
        open_workdir(dataclasses.replace(config, base_lr=0.1, seed=3))
    assert load_config(config.workdir) == config


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="holds other files"):
        open_workdir(_config(tmp_path))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_no_run_directory(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        load_config(str(tmp_path))


def test_a_damaged_flags_txt(tmp_path):
    (tmp_path / "flags.txt").write_text("--data_dir=x\n--workdir=y\n--no_such_flag=1\n")
    with pytest.raises(UserError, match="no_such_flag"):
        load_config(str(tmp_path))


@pytest.mark.parametrize(
    "flag, value",
    [
        ("batch_size", 0),
        ("checkpoint_steps", -1),
        ("hha_dropout", 1.0),
        ("modality_dropout", 1.1),
        ("compare_rgb", float("inf")),
        ("sensor_noise", 1.1),
        ("gravity_jitter", -1.0),
        ("gravity_jitter", float("nan")),
        ("positives", "next"),
        ("min_crop", 0.0),
        ("predictor_lr", "sometimes"),
        ("predictor_lr", "nan"),
        ("base_lr", float("nan")),
        ("weight_decay", -1.0),
        ("seed", -1),
        ("image_size", -1),
        ("shuffle_mb", 0),
        ("cache_gb", -1.0),
        ("optimizer", "adam"),
        ("decay", "some"),
        ("cosine_per", "month"),
        ("precision", "float16"),
        ("distribution", "two"),
        ("warmup_epochs", -1.0),
        ("warmup_epochs", float("nan")),
        ("warmup_epochs", 100),
        ("blur", 1.5),
        ("blur", float("nan")),
    ],
)
def test_values_out_of_range_name_their_flag(tmp_path, flag, value):
    with pytest.raises(UserError, match=f"`{flag}={value}`"):
        _config(tmp_path, **{flag: value})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"optimizer": "lars"}, r"^`optimizer=lars` has no L2 on BatchNorm and biases: give `decay=weights` with it$"),
        ({"decay": "weights", "weight_decay": 0.0}, r"^`decay=weights` has no meaning with `weight_decay=0`"),
        ({"backbone": "vit_ti", "width": 32}, r"^`width` has no meaning for `backbone=vit_ti`: leave it out$"),
        ({"backbone": "vit_s", "stem": "cifar"}, r"^`stem` has no meaning for `backbone=vit_s`"),
        ({"backbone": "resnet34", "patch": 8}, r"^`patch` has no meaning for `backbone=resnet34`"),
        ({"drop_path": 0.1}, r"^`drop_path` has no meaning for `backbone=resnet18`"),
        ({"frozen_patch": True}, r"^`frozen_patch` has no meaning for `backbone=resnet18`"),
        ({"backbone": "vit_b", "image_size": 60}, r"^`image_size=60`: `patch=16` does not divide it; use a multiple"),
        ({"blur": 0.5, "modality": "hha"}, r"^`blur=0.5` has no meaning with `modality=hha`"),
        ({"blur": 0.5, "image_size": 19}, r"^`blur=0.5`: the kernel, a tenth of `image_size=19`, would be one pixel"),
        (
            {"solarize": (0.0, 0.2), "modality": "hha"},
            r"^`solarize=0.0,0.2` has no meaning with `modality=hha`: it is of",
        ),
        (
            {"grayscale": 0.3, "modality": "hha"},
            r"^`grayscale=0.3` has no meaning with `modality=hha` without `hha_color`",
        ),
        (
            {"jitter_strength": (0.1, 0.1, 0.1, 0.1), "jitter": 0.0},
            r"^`jitter_strength=0.1,.*` has no meaning with `jitter=0`",
        ),
        (
            {"min_crop": 0.3, "crop": 0.0},
            r"^`min_crop=0.3` has no meaning with `crop=0`: no view is cropped; leave it out$",
        ),
        (
            {"small_crops": 4},
            r"^`small_crops=4` has no meaning for `method=simsiam`, .* leave it out, or use `method` swav or",
        ),
        (
            {"small_crops": 2, "method": "swav", "small_size": 225},
            r"^`small_size=225`: must be at most `image_size=224`$",
        ),
        ({"small_size": 96}, r"^`small_size=96` speaks of small crops, and there are none: give `small_crops` too$"),
        ({"small_crop": (0.1, 0.2)}, r"^`small_crop=0.1,0.2` speaks of small crops"),
        ({"blur": (0.1, 0.2, 0.3)}, r"^`blur=0.1,0.2,0.3` speaks of small crops"),
        (
            {"small_crops": 2, "method": "swav", "distribution": "multiworker"},
            r"^`small_crops=2` was never tried with `dist",
        ),
        (
            {"jit_compile": True, "distribution": "mirrored"},
            r"^`jit_compile` is for one device: leave it out with `dist",
        ),
        (
            {"positives": "next_frame", "distribution": "multiworker"},
            r"^`positives=next_frame` was never tried with `dist",
        ),
        (
            {"compare_rgb": 1.0, "distribution": "multiworker"},
            r"^`compare_rgb=1.0` was never tried with `dist",
        ),
        (
            {"compare": "cross_modal", "distribution": "multiworker"},
            r"^`compare=cross_modal` was never tried with `dist",
        ),
        (
            {"method": "simsiam_average", "distribution": "multiworker"},
            r"^`method=simsiam_average` was never tried with",
        ),
    ],
)
def test_flags_that_would_do_nothing_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        _config(tmp_path, **changes)


@pytest.mark.parametrize("name", published.SETS)
def test_a_set_by_name_goes_with_every_modality_and_size(tmp_path, name):
    """Only what is given alone must reach the views: the rest of a set does no harm."""
    for modality in ("rgb", "hha", "rgbd"):
        config = _config(tmp_path, modality=modality, image_size=16, augmentations=name)
        assert config.augmentation == Augmentation(augmentations=name)
    # what hha_color draws reaches HHA; nothing asked for is nothing lost
    _config(tmp_path, modality="hha", hha_color=True, jitter=1.0, grayscale=0.1, jitter_strength=(0.2, 0.2, 0.2, 0.2))
    _config(tmp_path, modality="hha", augmentations=name, blur=0.0, solarize=0.0, jitter=0.0)


def test_flags_txt_holds_what_a_set_stands_for(tmp_path):
    config = _config(
        tmp_path, image_size=64, augmentations="dino", grayscale=0.5, method="swav", small_crops=4, modality="rgb"
    )
    open_workdir(config)
    lines = (tmp_path / "run" / "flags.txt").read_text().splitlines()
    wanted = {"--blur=1.0,0.1,0.5", "--grayscale=0.5", "--min_crop=0.4", "--small_crop=0.05,0.4", "--small_size=24"}
    assert wanted | {"--augmentations=dino", "--jitter_strength=0.4,0.4,0.2,0.1"} <= set(lines)
    assert load_config(config.workdir) == config
    open_workdir(dataclasses.replace(config, data_dir="elsewhere"))
    with pytest.raises(UserError, match=r"`blur=1.0,0.1,0.5` there, 0.2 now"):
        open_workdir(dataclasses.replace(config, blur=0.2))


def test_lars_without_decay_as_of_a_linear_probe(tmp_path):
    _config(tmp_path, optimizer="lars", decay="weights", weight_decay=0.0, warmup_epochs=99.5, blur=1.0)


def test_dropping_hha_needs_rgb_beside_it(tmp_path):
    with pytest.raises(UserError, match="`modality=hha`"):
        _config(tmp_path, modality="hha", hha_dropout=0.3)


@pytest.mark.parametrize("changes", [{"sensor_noise": 0.5}, {"gravity_jitter": 5.0}], ids=str)
def test_depth_augmentation_needs_depth_and_no_cache(tmp_path, changes):
    (name,) = changes
    with pytest.raises(UserError, match=f"^`{name}` has no meaning for `modality=rgb`"):
        _config(tmp_path, modality="rgb", **changes)
    with pytest.raises(UserError, match=f"^`cache=memory` keeps one HHA .* `{name}`$"):
        _config(tmp_path, cache="memory", **changes)
    assert _config(tmp_path, **changes).augmentation.before_hha and not _config(tmp_path).augmentation.before_hha


@pytest.mark.parametrize("modality", ["rgb", "hha"])
def test_dropping_a_modality_needs_both(tmp_path, modality):
    with pytest.raises(UserError, match=f"^`modality_dropout` with `modality={modality}` would leave nothing"):
        _config(tmp_path, modality=modality, modality_dropout=0.3)
    with pytest.raises(
        UserError, match=r"^`hha_dropout=0.3` with `modality_dropout=0.5` could leave nothing of a view"
    ):
        _config(tmp_path, modality_dropout=0.5, hha_dropout=0.3)


@pytest.mark.parametrize("positives", ["next_frame", "recording", "viewpoint"])
def test_pairs_of_frames_need_no_cache(tmp_path, positives):
    with pytest.raises(UserError, match=rf"^`cache=disk` keeps no recordings: .* `positives={positives}`$"):
        _config(tmp_path, cache="disk", positives=positives)
    assert _config(tmp_path, modality="rgb", positives=positives).positives == positives


def test_what_only_hha_has_is_refused_with_another_depth_image(tmp_path):
    with pytest.raises(
        UserError, match=r"^`hha_encoding=gupta` has no meaning with `depth_input=normals`: leave it out$"
    ):
        _config(tmp_path, depth_input="normals", hha_encoding="gupta")
    with pytest.raises(
        UserError, match=r"^`gravity_jitter` has no meaning with `depth_input=jet`, which does not show gr"
    ):
        _config(tmp_path, depth_input="jet", gravity_jitter=5.0)
    colour = {"modality": "hha", "hha_color": True, "grayscale": 0.3}
    with pytest.raises(
        UserError, match=r"^`grayscale=0.3` has no .* `modality=hha`, `depth_input=disparity`, which is gr"
    ):
        _config(tmp_path, depth_input="disparity", **colour)
    with pytest.raises(
        UserError, match=r"^`depth_input=depth`: choose one of hha, normals, disparity, jet, standardized, voxels$"
    ):
        _config(tmp_path, depth_input="depth")
    _config(tmp_path, depth_input="jet", **colour)
    _config(tmp_path, depth_input="disparity", modality="hha")  # what the set says
    # what a recipe of HHA may hold, and the control of colour alone
    _config(tmp_path, depth_input="standardized", hha_encoding="paper", sensor_noise=0.5, hha_jitter=True, holes="mask")
    _config(tmp_path, depth_input="normals", modality="rgb")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"fusion": "early"}, "`fusion=early` has no meaning for a 3-D tower of `depth_input=voxels`: use two_tower"),
        ({"fusion": "exchange_c3"}, "`fusion=exchange_c3` has no meaning for a 3-D tower"),
        ({"backbone": "resnet50"}, "`backbone=resnet50` has other features .*: use resnet18 or resnet34"),
        ({"backbone": "vit_ti", "patch": 8}, "`backbone=vit_ti` has other features .*: use resnet18 or resnet34"),
        (
            {"modality": "hha", "backbone": "resnet34"},
            "`backbone=resnet34` has no meaning for `modality=hha` with `depth_inp",
        ),
        ({"holes": "mask"}, "`holes=mask` has no meaning with `depth_input=voxels`, .*: use none, or fill holes"),
        ({"holes": "neutral"}, "`holes=neutral` has no meaning with `depth_input=voxels`"),
        (
            {"hha_color": True},
            "`hha_color` would move the points of `depth_input=voxels` to where nothing is: use `hha_color=false`",
        ),
        ({"hha_jitter": True}, "`hha_jitter` would move the points of `depth_input=voxels`"),
        ({"background": "blurred"}, "`background=blurred` would mix the points of .*: use removed or none"),
        (
            {"rotation_weight": 0.5},
            "`rotation_weight=0.5` turns images, and `depth_input=voxels` has the same voxels turned",
        ),
        ({"init": "runs/a"}, "`init` holds no weights for the 3-D tower of .*: use `init_towers=rgb`"),
        ({"init": "runs/a", "modality": "hha"}, "`init` holds no weights for the 3-D tower of .*: leave it out"),
    ],
)
def test_what_a_3d_tower_does_not_have_is_refused(tmp_path, changes, line):
    with pytest.raises(UserError, match="^" + line):
        _config(tmp_path, depth_input="voxels", **changes)
    _config(tmp_path, depth_input="voxels", background="removed", modality_dropout=0.3, holes="nearest")
    _config(tmp_path, depth_input="voxels", holes="mask", depth_gate=True)
    _config(tmp_path, depth_input="voxels", init="runs/a", init_towers="rgb")
    _config(tmp_path, depth_input="voxels", modality="rgb", backbone="resnet50")


def test_an_earlier_run_is_one_of_hha(tmp_path):
    config = _config(tmp_path)
    open_workdir(config)
    path = tmp_path / "run" / "flags.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "depth_input" not in line))
    assert load_config(config.workdir).preprocessing.depth_input == "hha"
    open_workdir(config)
    with pytest.raises(UserError, match=r"`depth_input=hha` there, jet now"):
        open_workdir(_config(tmp_path, depth_input="jet"))


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ({"positives": "neighbour"}, {"positives": "next_frame"}),
        ({"positives": "neighbour", "compare": "intra_modal"}, {"positives": "next_frame", "compare": "intra_modal"}),
        ({"positives": "cross_modal"}, {"compare": "cross_modal"}),
        ({"positives": "intra_modal"}, {"positives": "augment", "compare": "intra_modal"}),
        ({"positives": "intra_modal", "compare": "intra_modal"}, {"compare": "intra_modal"}),
    ],
    ids=str,
)
def test_a_run_of_an_earlier_spelling_is_that_of_the_present_one(tmp_path, earlier, now):
    assert _config(tmp_path, **earlier) == _config(tmp_path, **now)
    config = _config(tmp_path, **now)
    open_workdir(config)
    path = tmp_path / "run" / "flags.txt"
    if "compare" not in earlier:  # as an earlier version wrote it
        lines = [
            line for line in path.read_text().splitlines(True) if not line.startswith(("--positives", "--compare"))
        ]
        path.write_text("".join([*lines, f"--positives={earlier['positives']}\n"]))
    assert load_config(config.workdir) == config
    open_workdir(_config(tmp_path, **earlier))
    open_workdir(config)
    with pytest.raises(UserError, match="holds another configuration"):
        open_workdir(_config(tmp_path))


def test_an_earlier_value_and_another_comparison_are_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"^`positives=cross_modal` means `compare=cross_modal`: leave it out with `com"
    ):
        _config(tmp_path, positives="cross_modal", compare="intra_modal")


def test_an_unknown_choice_of_holes_names_the_choices(tmp_path):
    with pytest.raises(
        UserError, match=r"^`holes=wish`: choose one of none, mask, neutral, nearest, inpaint, guided, learned$"
    ):
        _config(tmp_path, holes="wish")


def test_flags_txt_from_before_holes_loads_as_published(tmp_path):
    config = _config(tmp_path)
    open_workdir(config)
    path = tmp_path / "run" / "flags.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("--holes")))
    assert load_config(config.workdir) == config and config.preprocessing.holes == "none"


def test_flags_txt_of_an_earlier_version_loads_and_opens(tmp_path):
    config = _config(tmp_path, sensor_noise=0.5)
    open_workdir(config)
    path = tmp_path / "run" / "flags.txt"
    added = {"augmentations", "crop", "max_crop", "flip", "jitter", "jitter_strength", "grayscale", "solarize"}
    added |= {"small_crops", "small_size", "small_crop", "blur", "modality_dropout", "positive_window"}
    added |= {"compare_joint", "compare_rgb", "compare_hha", "compare_cross", "rotation_weight"}
    lines = path.read_text().replace("--sensor_noise=", "--depth_faults=").splitlines(True)
    path.write_text("".join(line for line in lines if line[2:].partition("=")[0] not in added))
    assert load_config(config.workdir) == config
    open_workdir(config)


def test_flags_txt_is_read_as_absl_reads_a_file_of_flags(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "small.flags").write_text("# small\n--width=8\n--hha_color\n")
    lines = ["# by hand", "--data_dir=data", f"--workdir={tmp_path / 'run'}", f"--flagfile={tmp_path / 'small.flags'}"]
    (tmp_path / "run" / "flags.txt").write_text("\n".join([*lines, "", "--nosymmetric"]) + "\n")
    config = load_config(str(tmp_path / "run"))
    assert config == _config(tmp_path, width=8, hha_color=True, symmetric=False)


@pytest.mark.parametrize("choice", ["mask", "neutral", "nearest", "inpaint", "guided"])
def test_the_preprocessing_has_the_choice_of_holes(tmp_path, choice):
    open_workdir(_config(tmp_path, holes=choice))
    assert load_config(str(tmp_path / "run")).preprocessing.holes == choice


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fusion": "late"}, r"`fusion=late`: choose one of two_tower, exchange_c3, exchange_c4, early, shared$"),
        ({"fusion": "early", "modality": "rgb"}, "`fusion=early` has no meaning for `modality=rgb`: leave it out$"),
        ({"depth_gate": True, "modality": "hha", "holes": "mask"}, "`depth_gate` has no meaning for `modality=hha`"),
        ({"missing_token": True, "modality": "hha"}, "`missing_token` has no meaning for `modality=hha`"),
        (
            {"missing_token": True, "fusion": "early"},
            "`missing_token` .* `fusion=early` has none: use two_tower or shared$",
        ),
        ({"missing_token": True, "depth_gate": True, "holes": "mask"}, "`depth_gate` .*leave out `missing_token`$"),
        (
            {"holes": "guided", "modality": "hha"},
            "`holes=guided` fills depth along colour, which an encoder of `modality=hha` is not given: use `holes=nearest`$",
        ),
        (
            {"holes": "learned"},
            "`holes=learned` needs a completion: give the `holes_model` that tools.depth_completion",
        ),
        ({"holes_model": "a.npz"}, "`holes_model=a.npz` has no meaning with `holes=none`: use `holes=learned`$"),
        ({"holes": "learned", "holes_model": "a.npz"}, "`holes_model=a.npz` cannot be read .*: give a file that"),
        ({"holes": "learned", "holes_model": "a.npz", "modality": "hha"}, "`holes=learned` fills depth along colour"),
        ({"depth_gate": True}, "`depth_gate` needs to know what was measured: use `holes=mask`, not none$"),
        (
            {"fusion": "exchange_c3", "backbone": "vit_s"},
            "`fusion=exchange_c3` cuts ResNets: with `backbone=vit_s`",
        ),
        ({"fusion": "exchange_c4", "init": "runs/a"}, "`init` starts whole backbones, which `fusion=exchange_c4` cuts"),
        (
            {"compare": "intra_modal", "fusion": "exchange_c3"},
            "`compare=intra_modal` needs features of colour and of depth alone",
        ),
        (
            {"depth_gate": True, "holes": "mask", "fusion": "early"},
            "`depth_gate` .*`fusion=early` has none: use two_tower or shared$",
        ),
        ({"positives": "twins"}, "`positives=twins`: choose one of augment, next_frame, recording, viewpoint$"),
        ({"positive_window": -1}, "`positive_window=-1`: must be at least 0$"),
        (
            {"positive_window": 5},
            "`positive_window=5` has no meaning with `positives=augment`: .* `positives=recording`$",
        ),
        ({"positive_window": 5, "positives": "viewpoint"}, "`positive_window=5` has no meaning with `positives=viewp"),
        ({"compare": "twins"}, "`compare=twins`: choose one of joint, cross_modal, intra_modal$"),
        ({"compare": "cross_modal", "modality": "rgb"}, "`compare=cross_modal`: needs `modality=rgbd`, not rgb$"),
        ({"compare": "cross_modal", "method": "byol"}, "`compare=cross_modal`: needs `method=simsiam`, not byol$"),
        ({"compare": "cross_modal", "fusion": "early"}, "`compare=cross_modal` .*use `fusion=two_tower or shared`$"),
        ({"compare": "cross_modal", "hha_dropout": 0.3}, "`hha_dropout` would leave no depth of a view to `comp"),
        ({"compare": "intra_modal", "modality": "hha"}, "`compare=intra_modal`: needs `modality=rgbd`, not hha$"),
        ({"compare": "intra_modal", "alternation": 2}, "`compare=intra_modal`: needs `alternation=1`, not 2$"),
        ({"compare": "intra_modal", "fusion": "early"}, "`compare=intra_modal` .*use `fusion=two_tower or shared`$"),
        ({"compare": "intra_modal", "hha_dropout": 0.3}, "`hha_dropout` .* to `compare=intra_modal`: leave it"),
        ({"compare": "cross_modal", "modality_dropout": 0.3}, "`modality_dropout` would .* to `compare=cross_modal`"),
        (
            {"rotation_weight": 1.0, "modality": "hha"},
            "`rotation_weight=1` turns depth against .*`modality=rgbd`, not hha$",
        ),
        ({"rotation_weight": 0.5, "hha_dropout": 0.3}, "`rotation_weight=0.5` needs .*: leave out `hha_dropout`$"),
        ({"compare_rgb": 1.0, "modality": "hha"}, "`compare_rgb=1`: needs `modality=rgbd`, not hha$"),
        ({"compare_hha": 0.5, "method": "byol"}, "`compare_hha=0.5`: needs `method` simsiam or simclr, not byol$"),
        ({"compare_cross": 1.0, "alternation": 2}, "`compare_cross=1`: needs `alternation=1`, not 2$"),
        (
            {"compare_rgb": 1.0, "fusion": "early"},
            "`compare_rgb=1` needs features of colour .*use `fusion=two_tower or shared`$",
        ),
        ({"compare_rgb": 1.0, "hha_dropout": 0.3}, "`hha_dropout` would leave no depth of a view to `compare_rgb=1`"),
        (
            {"compare_hha": 1.0, "modality_dropout": 0.3},
            "`modality_dropout` would .* to `compare_hha=1`: leave it out$",
        ),
        ({"compare_rgb": 1.0, "compare": "cross_modal"}, "`compare_rgb=1` and `compare=cross_modal` both say what is"),
        (
            {"compare_joint": 2.0},
            "`compare_joint=2` weighs .* give one of `compare_rgb`, `compare_hha`, `compare_cross`",
        ),
        ({"compare_joint": 0.0}, "`compare_joint=0` weighs the joint loss against others"),
        ({"compare_cross": -1.0}, "`compare_cross=-1.0`: must be at least 0 and finite$"),
    ],
)
def test_fusions_and_pairs_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=f"^{message}"):
        _config(tmp_path, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"fusion": "early", "holes": "mask", "hha_dropout": 0.3},
        {"fusion": "shared", "holes": "mask", "depth_gate": True, "compare": "cross_modal"},
        {"fusion": "shared", "positives": "next_frame", "compare": "intra_modal"},
        {"fusion": "shared", "method": "supervised"},
        {"method": "simclr", "compare_joint": 0.0, "compare_rgb": 1.0, "compare_hha": 0.5, "fusion": "shared"},
        {"compare_cross": 1.0, "positives": "recording", "positive_window": 3},
        {"modality_dropout": 0.5, "positives": "viewpoint"},
    ],
)
def test_fusions_and_pairs_round_trip(tmp_path, changes):
    config = _config(tmp_path, **changes)
    open_workdir(config)
    assert load_config(config.workdir) == config


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"background_probability": 0.2}, r"^`background_probability=0.2` has no meaning without `background`"),
        ({"background": "blurred", "background_probability": 0.0}, r"^`background=blurred` with .* changes no view"),
        (
            {"background": "blurred", "background_probability": (0.2, 0.3, 0.4)},
            r"^`background_probability=0.2,0.3,0.4` speaks of small crops, and there are none",
        ),
        ({"background": "replaced", "batch_size": 1}, r"^`background=replaced` needs other frames in a batch"),
        ({"crop_3d": (0.2, 1.0), "crop": 0.0}, r"^`crop_3d=0.2,1.0` has no meaning with `crop=0`"),
        ({"background": "removed", "distribution": "multiworker"}, r"^`background=removed` was never tried with"),
    ],
)
def test_views_by_measured_depth_are_refused_where_they_could_do_nothing(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        _config(tmp_path, **changes)


def test_views_by_measured_depth_also_of_colour_alone_and_in_flags_txt(tmp_path):
    config = _config(
        tmp_path, modality="rgb", background="replaced", background_probability=(0.5, 0.2), crop_3d=(0.3, 1.0)
    )
    open_workdir(config)
    assert load_config(config.workdir) == config
