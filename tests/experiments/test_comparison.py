"""The runs that are put side by side are those that their papers compare."""

import dataclasses

import pytest

from experiments import common, depth_suspects, em, method_table, symmetry, table1
from keras_simsiam.training import run
from tfrecords import Dataset
from tfrecords.splits import Split

OF_DATA = ["--data_dir=d", "--workdir=w"]


def _configs(experiment, scale):
    return {name: common._parse([*flags, *OF_DATA]) for name, flags in experiment.wanted(scale).items()}


@pytest.mark.parametrize("scale", common.SCALES)
@pytest.mark.parametrize("module", [table1, depth_suspects, method_table, symmetry, em])
def test_train_py_accepts_every_run_and_its_number_is_known(module, scale):
    made = depth_suspects.experiment(scale) if module is depth_suspects else module.EXPERIMENT
    configs = _configs(made, scale)
    assert len(configs) == 2 if scale == "smoke" else len(configs) > 2
    published = set(made.published) - {"alternation_epoch"}
    assert published <= set(configs) | {"alternation_100"} or scale == "smoke"


def test_symmetry():
    configs = _configs(symmetry.EXPERIMENT, "small")
    assert [config.symmetric for config in configs.values()] == [True, False, False]
    twice, once = configs["asymmetric_twice"].epochs, configs["simsiam"].epochs
    assert twice == 2 * once
    at_paper_size = _configs(symmetry.EXPERIMENT, "paper")
    assert at_paper_size["asymmetric_twice"].epochs == 2 * at_paper_size["simsiam"].epochs == 1600


def test_em_alternates_by_an_epoch_of_the_data(monkeypatch):
    dataset = Dataset("d", splits={"train": Split((), 10_000)})
    monkeypatch.setattr(em, "Dataset", lambda path: dataset)
    for scale, steps in (("small", 78), ("paper", 19)):  # 10,000 frames by batches of 128, of 512
        flags = em.changes(common.Settings("d", "w", scale))["alternation_epoch"]
        assert f"--alternation={steps}" in flags
    configs = _configs(em.EXPERIMENT, "paper")
    assert [config.alternation for config in configs.values()] == [1, 10, 1, 100]
    assert configs["simsiam_average"].method == "simsiam_average"


@pytest.mark.parametrize("scale", common.SCALES)
def test_depth_suspects_know_their_own_batch(scale):
    configs = _configs(depth_suspects.experiment(scale), scale)
    assert configs["rgb"].batch_size == configs["rgbd"].batch_size == depth_suspects.OWN_BATCH[scale]


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_depth_suspects_turn_the_batch_alone(scale):
    configs = _configs(depth_suspects.experiment(scale), scale)
    assert len(configs) == 4 + 6
    for arm in ("rgb", "rgbd"):
        own = configs[arm]
        of_batch = {own.batch_size: own} | {
            int(name.rpartition("_")[2]): config for name, config in configs.items() if name.startswith(f"{arm}_batch_")
        }
        assert sorted(of_batch) == [32, 64, 128, 256] == sorted(config.batch_size for config in of_batch.values())
        for config in of_batch.values():
            assert dataclasses.replace(config, batch_size=own.batch_size) == own
    assert (configs["rgb"].modality, configs["rgbd"].modality) == ("rgb", "rgbd")
    assert configs["rgb"].batch_size == {"small": 32, "paper": 64}[scale]


def test_depth_suspects_match_the_parameters():
    configs = _configs(depth_suspects.experiment("small"), "small")
    names = ("rgb", "rgb_wide", "rgbd", "rgbd_narrow")
    sizes = {name: run.untrained_encoder(configs[name]).count_params() for name in names}
    assert abs(sizes["rgb_wide"] / sizes["rgbd"] - 1) < 0.03 and abs(sizes["rgbd_narrow"] / sizes["rgb"] - 1) < 0.05


def test_table1_has_the_runs_of_depth_help_under_their_names():
    configs = _configs(table1.EXPERIMENT, "paper")
    assert {name: (config.modality, config.hha_color, config.image_size) for name, config in configs.items()} == {
        "rgb": ("rgb", False, 224),
        "all_transforms": ("rgbd", True, 224),
        "rgbd": ("rgbd", False, 224),
    }
    assert table1.EXPERIMENT.published == {"rgb": "70.62", "rgbd": "67.12", "all_transforms": "66.38"}
