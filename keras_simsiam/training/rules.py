"""Flags of a run that do not go together: refused in one line before anything is built."""

import dataclasses
import math

from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import completion
from keras_simsiam.depth.depth_images import GREY
from keras_simsiam.depth.holes import OF_COLOR
from keras_simsiam.methods import build
from keras_simsiam.models import encoder, vit
from keras_simsiam.views import blur, published
from keras_simsiam.views.augmentation import PROBABILITIES, Augmentation
from keras_simsiam.views.preprocessing import Preprocessing

# The methods that a flag has a meaning for.
OF_SOME_METHODS = {
    "symmetric": ("simsiam",),
    "stop_gradient": ("simsiam",),
    "alternation": ("simsiam",),
    "projector_layers": ("simsiam", "simsiam_average"),
    "head_batch_norm": ("simsiam", "simsiam_average"),
    "head_dropout": ("simsiam", "simsiam_average"),
    "predictor_lr": ("simsiam",),
    "queue_size": ("mocov2",),
    "projector_width": (
        "simsiam",
        "simsiam_average",
        "simclr",
        "mocov2",
        "mocov3",
        "byol",
        "swav",
        "dino",
        "barlow",
        "vicreg",
    ),
    "prototypes": ("swav", "dino"),
    "temperature": ("simclr", "mocov2", "mocov3", "swav", "dino"),
    "teacher_momentum": ("byol", "mocov2", "mocov3", "dino"),
}
# The methods that take small crops in addition to the two views.
MULTI_CROP = ("swav", "dino")
# With several workers nothing else was ever tried of these.
_TRIED_WITH_WORKERS = {
    "positives": "augment",
    "compare": "joint",
    "compare_joint": 1.0,
    "compare_rgb": 0.0,
    "compare_hha": 0.0,
    "compare_cross": 0.0,
    "rotation_weight": 0.0,
    "head_dropout": 0.0,
    "alternation": 1,
    "small_crops": 0,
    "background": "none",
    "crop_3d": (),
    "accumulate": 1,
    "init": "",
    "cache": "none",
    "on_corrupt": "fail",
}


def check(config):
    """Refuse flags that contradict each other, or that would silently do nothing with the others.

    Each field has its own range and choices, which `settings.check` holds it to.

    Of the flags of HHA those that a recipe may hold are let pass with --modality=rgb, the control of that recipe.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: one line that names the flag and the remedy.
    """
    _check_backbone(config)
    _check_fusion(config)
    _check_depth_input(config)
    _check_voxels(config)
    _check_holes(config)
    _check_depth_augmentation(config)
    _check_positives(config)
    _check_compared(config)
    _check_rotation(config)
    _check_method(config)
    _check_optimization(config)
    _check_devices(config)
    _check_views(config)
    _check_small_crops(config)
    _check_measured_depth(config)
    _check_init(config)


def _check_backbone(config):
    """Refuse what the other kind of backbone has, and a patch that does not divide the image."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    is_vit = config.backbone in vit.BACKBONES
    for name in encoder.RESNET_SETTINGS if is_vit else encoder.VIT_SETTINGS:
        if getattr(config, name) != defaults[name]:
            raise UserError(f"`{name}` has no meaning for `backbone={config.backbone}`: leave it out")
    if is_vit:
        vit.check_size(config.image_size, config.patch)
    if is_vit and config.small_crops:
        vit.check_size(config.small_size, config.patch, "small_size")


def _check_fusion(config):
    """Refuse a fusion of one modality, and a gate without the mask it reads or the features it weighs."""
    if config.fusion != "two_tower" and config.modality != "rgbd":
        raise UserError(f"`fusion={config.fusion}` has no meaning for `modality={config.modality}`: leave it out")
    if config.fusion in encoder.EXCHANGES and config.backbone in vit.BACKBONES:
        raise UserError(
            f"`fusion={config.fusion}` cuts ResNets: with `backbone={config.backbone}` use two_tower, early or shared"
        )
    if config.fusion in encoder.EXCHANGES and config.init:
        raise UserError(f"`init` starts whole backbones, which `fusion={config.fusion}` cuts: leave one of them out")
    if config.missing_token:
        _check_missing_token(config)
    if not config.depth_gate:
        return
    if config.modality != "rgbd":
        raise UserError(f"`depth_gate` has no meaning for `modality={config.modality}`: leave it out")
    if config.fusion not in encoder.APART:
        raise UserError(
            f"`depth_gate` weighs features of depth alone, `fusion={config.fusion}` has none: use {' or '.join(encoder.APART)}"
        )
    if config.holes != "mask":
        raise UserError(f"`depth_gate` needs to know what was measured: use `holes=mask`, not {config.holes}")


def _check_missing_token(config):
    """Refuse a token where no modality can be missing, or nothing would be left of it."""
    if config.modality != "rgbd":
        raise UserError(f"`missing_token` has no meaning for `modality={config.modality}`: leave it out")
    if config.fusion not in encoder.APART:
        raise UserError(
            f"`missing_token` stands for the features of one modality, `fusion={config.fusion}` has none: use "
            f"{' or '.join(encoder.APART)}"
        )
    if config.depth_gate:
        raise UserError("`depth_gate` would weigh the token by what was measured, nothing: leave out `missing_token`")


def _check_depth_input(config):
    """Refuse what only HHA has: an encoding, though not the default that recipes name, and gravity."""
    if config.depth_input == "hha":
        return
    given = f"`depth_input={config.depth_input}`"
    if config.hha_encoding != Preprocessing.hha_encoding:
        raise UserError(f"`hha_encoding={config.hha_encoding}` has no meaning with {given}: leave it out")
    if config.gravity_jitter:
        raise UserError(f"`gravity_jitter` has no meaning with {given}, which does not show gravity: leave it out")


def _check_voxels(config):
    """Refuse what a 3-D tower does not have, and what would put points where nothing was measured."""
    if config.depth_input != "voxels" or config.modality == "rgb":
        return
    given = "`depth_input=voxels`"
    if config.modality == "hha" and config.backbone != encoder.EncoderSettings.backbone:
        raise UserError(
            f"`backbone={config.backbone}` has no meaning for `modality=hha` with {given}, a 3-D CNN: leave it out"
        )
    encoder.check_voxels(config.fusion, config.backbone)
    if config.holes == "neutral" or (config.holes == "mask" and not config.depth_gate):
        raise UserError(
            f"`holes={config.holes}` has no meaning with {given}, where missing depth has no points: use none, or fill holes"
        )
    for name in ("hha_color", "hha_jitter"):
        if getattr(config, name):
            raise UserError(f"`{name}` would move the points of {given} to where nothing is: use `{name}=false`")
    if config.background in ("blurred", "replaced"):
        raise UserError(f"`background={config.background}` would mix the points of {given}: use removed or none")
    if config.rotation_weight:
        raise UserError(
            f"`rotation_weight={config.rotation_weight:g}` turns images, and {given} has the same voxels turned: leave it out"
        )
    if config.init and (config.modality == "hha" or config.init_towers != "rgb"):
        remedy = "leave it out" if config.modality == "hha" else "use `init_towers=rgb`"
        raise UserError(f"`init` holds no weights for the 3-D tower of {given}: {remedy}")


def _check_holes(config):
    """Refuse a fill along colour that the exported encoder could not do: of depth alone, it takes no colour; and a learnt
    fill without its completion."""
    if config.holes in OF_COLOR and config.modality == "hha":
        raise UserError(
            f"`holes={config.holes}` fills depth along colour, which an encoder of `modality=hha` is not given: use "
            "`holes=nearest`"
        )
    if config.holes_model and config.holes != "learned":
        raise UserError(
            f"`holes_model={config.holes_model}` has no meaning with `holes={config.holes}`: use `holes=learned`"
        )
    if config.holes == "learned" and not config.holes_model:
        raise UserError(
            "`holes=learned` needs a completion: give the `holes_model` that tools.depth_completion has written"
        )
    if config.holes == "learned" and config.modality == "rgbd":
        completion.load(config.holes_model)


def _check_depth_augmentation(config):
    """Refuse what would not reach the views, or leave nothing of them."""
    if config.modality == "hha" and config.hha_dropout:
        raise UserError("`hha_dropout` with `modality=hha` would leave nothing of a view; use it with `modality=rgbd`")
    if config.modality_dropout and config.modality != "rgbd":
        raise UserError(
            f"`modality_dropout` with `modality={config.modality}` would leave nothing of a view; use it with `modality=rgbd`"
        )
    for name in ("sensor_noise", "gravity_jitter"):
        if getattr(config, name) and config.modality == "rgb":
            raise UserError(f"`{name}` has no meaning for `modality=rgb`, which sees no depth: leave it out")
        if getattr(config, name) and config.cache != "none":
            raise UserError(f"`cache={config.cache}` keeps one HHA for all views: use `cache=none` with `{name}`")


def _check_positives(config):
    """Refuse pairs of frames that a cache does not keep, and a window of what has none."""
    if config.positives != "augment" and config.cache != "none":
        raise UserError(
            f"`cache={config.cache}` keeps no recordings: use `cache=none` with `positives={config.positives}`"
        )
    if config.positive_window and config.positives != "recording":
        raise UserError(
            f"`positive_window={config.positive_window}` has no meaning with `positives={config.positives}`: leave it out, or "
            "use `positives=recording`"
        )


def _check_compared(config):
    """Refuse parts of an embedding to compare where it has none, and weights that weigh nothing."""
    parts = [name for name in build.PARTS if getattr(config, name)]
    if not parts and config.compare_joint != 1:
        raise UserError(
            f"`compare_joint={config.compare_joint:g}` weighs the joint loss against others: give one of "
            f"{', '.join(f'`{name}`' for name in build.PARTS)} too"
        )
    if not parts and config.compare == "joint":
        return
    given = f"`{parts[0]}={getattr(config, parts[0]):g}`" if parts else f"`compare={config.compare}`"
    if parts and config.compare != "joint":
        raise UserError(f"{given} and `compare={config.compare}` both say what is compared: leave out one of them")
    methods = build.COMPARE_PARTS if parts else ("simsiam",)
    for name, needed in (("modality", ("rgbd",)), ("method", methods), ("alternation", (1,))):
        if getattr(config, name) not in needed:
            choices = f"`{name}={needed[0]}`" if len(needed) == 1 else f"`{name}` {' or '.join(needed)}"
            raise UserError(f"{given}: needs {choices}, not {getattr(config, name)}")
    if config.fusion not in encoder.APART:
        raise UserError(
            f"{given} needs features of colour and of depth alone: use `fusion={' or '.join(encoder.APART)}`"
        )
    if config.hha_dropout:
        raise UserError(f"`hha_dropout` would leave no depth of a view to {given}: leave it out")
    if config.modality_dropout:
        raise UserError(f"`modality_dropout` would leave no colour or no depth of a view to {given}: leave it out")


def _check_rotation(config):
    """Refuse to turn depth against colour where a view lacks one of them, or the views are of several sizes."""
    if not config.rotation_weight:
        return
    given = f"`rotation_weight={config.rotation_weight:g}`"
    if config.modality != "rgbd":
        raise UserError(f"{given} turns depth against colour: use `modality=rgbd`, not {config.modality}")
    for name in ("hha_dropout", "modality_dropout", "small_crops"):
        if getattr(config, name):
            raise UserError(f"{given} needs colour and depth of every view, all of one size: leave out `{name}`")


def _check_method(config):
    """Refuse what would silently do nothing, or cannot be."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name, methods in OF_SOME_METHODS.items():
        if config.method not in methods and getattr(config, name) != defaults[name]:
            raise UserError(f"`{name}` has no meaning for `method={config.method}`: leave it out")
    if config.alternation > 1 and not config.stop_gradient:
        raise UserError(
            f"`alternation={config.alternation}`: what a block of steps predicts is fixed; leave out `stop_gradient=false`"
        )
    if config.method == "simsiam_average" and config.on_corrupt == "skip":
        raise UserError(
            "`on_corrupt=skip` changes the places by which `method=simsiam_average` knows frames: use `on_corrupt=fail`"
        )
    if config.method == "mocov2" and config.queue_size < config.batch_size:
        raise UserError(f"`queue_size={config.queue_size}`: must hold a batch, {config.batch_size} keys")


def _check_optimization(config):
    """Refuse what the flags of the optimizer would promise and not do."""
    if config.predictor_lr not in ("cosine", "fixed") and not _is_factor(config.predictor_lr):
        raise UserError(f"`predictor_lr={config.predictor_lr}`: give cosine, fixed, or a factor such as 10")
    if config.optimizer == "lars" and config.decay != "weights":
        raise UserError("`optimizer=lars` has no L2 on BatchNorm and biases: give `decay=weights` with it")
    if config.optimizer in ("adamw", "lamb") and config.predictor_lr != "cosine":
        given = f"`predictor_lr={config.predictor_lr}`"
        raise UserError(f"{given} has no meaning with `optimizer={config.optimizer}`: leave it out")
    if config.batch_size % config.accumulate or config.accumulate > max(1, config.batch_size // 2):
        raise UserError(
            f"`accumulate={config.accumulate}`: must divide `batch_size={config.batch_size}` into parts of two or more"
        )
    if config.accumulate > 1 and config.jit_compile:
        raise UserError(
            "`accumulate` with `jit_compile`: XLA need not compute the parts one after the other; leave one out"
        )
    if config.optimizer in ("sgd", "adamw") and config.decay == "weights" and not config.weight_decay:
        raise UserError("`decay=weights` has no meaning with `weight_decay=0`: nothing decays; leave it out")
    if config.warmup_epochs >= config.epochs:
        raise UserError(
            f"`warmup_epochs={config.warmup_epochs:g}`: must be below `epochs={config.epochs}`, or the rate never falls"
        )


def _is_factor(text):
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def _check_devices(config):
    """Refuse what does not go with several devices; whether the machine has what they need, a run finds out."""
    if config.jit_compile and config.distribution != "one":
        raise UserError(f"`jit_compile` is for one device: leave it out with `distribution={config.distribution}`")
    if config.distribution != "multiworker":
        return
    untried = ["method"] if config.method == "simsiam_average" else []
    untried += [name for name, tried in _TRIED_WITH_WORKERS.items() if getattr(config, name) != tried]
    if untried:
        name = untried[0]
        raise UserError(
            f"`{name}={getattr(config, name)}` was never tried with `distribution=multiworker`: leave it out"
        )


def _check_init(config):
    """Refuse a choice among towers of one, and what says more of starting weights where there are none."""
    for name, default in (("init_towers", "both"), ("init_sha256", "")):
        if getattr(config, name) != default and not config.init:
            raise UserError(f"`{name}={getattr(config, name)}` has no meaning without `init`: leave it out")
    if config.init_towers != "both" and (config.modality != "rgbd" or config.fusion != "two_tower"):
        raise UserError(
            f"`init_towers={config.init_towers}`: the encoder of `modality={config.modality}`, `fusion={config.fusion}` "
            "is one network; leave it out"
        )


def _check_views(config):
    """Refuse what would draw nothing; what the set of `augmentations` says passes, whatever the views hold."""
    own = _unlike_the_set(config)
    if config.modality == "hha":
        for name in ("blur", "solarize"):
            if any(own.get(name, ())):
                raise UserError(
                    f"{_given(config, name)} has no meaning with `modality=hha`: it is of colour alone; leave it out"
                )
        for name in ("jitter", "jitter_strength", "grayscale"):
            if any(own.get(name, ())) and not config.hha_color:
                raise UserError(
                    f"{_given(config, name)} has no meaning with `modality=hha` without `hha_color`: leave it out"
                )
        if any(own.get("grayscale", ())) and config.depth_input in GREY:
            given, seen = _given(config, "grayscale"), f"`modality=hha`, `depth_input={config.depth_input}`"
            raise UserError(f"{given} has no meaning with {seen}, which is grey: leave it out")
    size = "small_size" if config.small_crops and len(own.get("blur", ())) > 2 else "image_size"
    if any(own.get("blur", ())) and not blur.radius(getattr(config, size)):
        raise UserError(
            f"{_given(config, 'blur')}: the kernel, a tenth of {_given(config, size)}, would be one pixel; leave it out"
        )
    if "jitter_strength" in own and not any(config.jitter):
        raise UserError(f"{_given(config, 'jitter_strength')} has no meaning with `jitter=0`: leave it out")
    for name in ("min_crop", "max_crop"):
        if name in own and not any(config.crop[:2]):
            raise UserError(f"{_given(config, name)} has no meaning with `crop=0`: no view is cropped; leave it out")


def _check_measured_depth(config):
    """Refuse what is said of a background that stays as it is, and crops by metres where none is drawn."""
    default = Augmentation().background_probability
    if config.background == "none" and config.background_probability != default:
        raise UserError(f"{_given(config, 'background_probability')} has no meaning without `background`: leave it out")
    if config.background != "none" and not any(config.background_probability):
        raise UserError(
            f"{_given(config, 'background')} with `background_probability=0` changes no view: leave both out"
        )
    if config.background == "replaced" and config.batch_size < 2:
        raise UserError("`background=replaced` needs other frames in a batch: give a `batch_size` of at least 2")
    if config.crop_3d and not any(config.crop[:2]):
        raise UserError(f"{_given(config, 'crop_3d')} has no meaning with `crop=0`: no view is cropped; leave it out")


def _check_small_crops(config):
    """Refuse small crops of a method that takes two views, and what is said of small crops where none are drawn."""
    if config.small_crops and config.method not in MULTI_CROP:
        raise UserError(
            f"`small_crops={config.small_crops}` has no meaning for `method={config.method}`, which takes two views: leave it "
            f"out, or use `method` {' or '.join(MULTI_CROP)}"
        )
    if config.small_crops:
        if config.small_size > config.image_size:
            raise UserError(f"`small_size={config.small_size}`: must be at most `image_size={config.image_size}`")
        return
    own = _unlike_the_set(config)
    of_small = ["small_size"] if config.small_size else []
    of_small += [name for name in ("small_crop",) if name in own]
    of_small += [name for name in PROBABILITIES if len(own.get(name, ())) > 2]
    of_small += ["background_probability"] if len(config.background_probability) > 2 else []
    if of_small:
        raise UserError(
            f"{_given(config, of_small[0])} speaks of small crops, and there are none: give `small_crops` too"
        )


def _unlike_the_set(config):
    """The settings of views that differ from what the set of `augmentations` says: a dict, as those that were given.

    A configuration does not remember which flags were given; one that says what the set says changes nothing.
    """
    drawn = published.drawn(config.augmentations, config.small_crops)
    return {name: getattr(config, name) for name in drawn if getattr(config, name) != drawn[name]}


def _given(config, name):
    return f"`{name}={settings.text(getattr(config, name))}`"
