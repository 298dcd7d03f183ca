"""Settings: each field has help, a default that may be, a flag and a range; flags are read as absl reads a command line."""

import dataclasses
import math
import re

import pytest
from absl import flags

from experiments import common
from keras_simsiam.commands import evaluate
from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError, as_flags
from keras_simsiam.core.settings import REQUIRED, setting
from keras_simsiam.evaluation.evaluate import TASKS
from keras_simsiam.models.encoder import EncoderSettings
from keras_simsiam.training.config import RunConfig
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.preprocessing import Preprocessing

COMMANDS = {
    "train": RunConfig("data", "run"),
    "evaluate": evaluate.Settings("run", "data"),
    "experiment": common.Settings("data", "work"),
}
FIELDS = [
    pytest.param(given, field, id=f"{command}-{field.name}")
    for command, given in COMMANDS.items()
    for field in dataclasses.fields(given)
]


def _flag(cls, name):
    values = flags.FlagValues()
    settings.define_flags(cls, values)
    return values[name]


def _outside(field):
    """Values that a setting refuses."""
    low, high, above, below = field.metadata["bounds"]
    wrong = ["no such"] if field.metadata["choices"] else []
    wrong += [bound - 1 for bound in (low,) if bound is not None] + [
        bound + 1 for bound in (high,) if bound is not None
    ]
    wrong += [bound for bound in (above, below) if bound is not None]
    return wrong + ([math.nan, math.inf, -math.inf] if wrong and "float" in str(field.type) else [])


@pytest.mark.parametrize(("given", "field"), FIELDS)
def test_a_setting_has_help_a_flag_and_a_range(given, field):
    assert field.metadata["help"].endswith(".")
    flag = _flag(type(given), field.name)
    assert flag.default == (None if field.default is REQUIRED else field.default)
    assert flag.help.endswith(as_flags(field.metadata["help"]))
    several = isinstance(field.default, tuple)
    for value in _outside(field):
        wrong = (value,) if several else value
        with pytest.raises(UserError) as error:
            dataclasses.replace(given, **{field.name: wrong})
        assert str(error.value).startswith(f"`{field.name}={value}`: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("task", TASKS)
def test_the_settings_of_a_task_are_flags_of_evaluate(task):
    cls = TASKS[task].Settings
    assert settings.part(COMMANDS["evaluate"], cls) == cls()


def test_a_run_gives_each_room_its_own():
    config = RunConfig("data", "run", modality="hha", min_crop=0.5, width=4, sensor_noise=0.25)
    assert config.preprocessing == Preprocessing("hha", 224)
    assert config.augmentation == Augmentation(0.5, sensor_noise=0.25)
    assert settings.part(config, EncoderSettings) == EncoderSettings(width=4)


def _parse(*lines):
    return settings.parse(RunConfig, ["--data_dir=data", "--workdir=run", *lines])


@pytest.mark.parametrize("given", [COMMANDS["train"], COMMANDS["evaluate"]])
def test_lines_round_trip(given):
    changes = {
        RunConfig: {
            "hha_color": True,
            "symmetric": True,
            "weight_decay": 5e-4,
            "predictor_lr": "10",
            "sensor_noise": 0.5,
        },
        evaluate.Settings: {
            "label_fractions": (0.25, 1.0),
            "labels_per_class": (),
            "depth_strategy": ("probe", "switch"),
        },
    }[type(given)]
    changed = dataclasses.replace(given, **changes)
    assert settings.parse(type(given), settings.to_lines(changed)) == changed
    assert settings.parse(type(given), [line + "\n" for line in settings.to_lines(given)]) == given


def test_lines_are_read_as_a_command_line_is(tmp_path):
    assert _parse("--hha_color").hha_color and not _parse("--hha_color", "--nohha_color").hha_color
    assert _parse("--width", "8", "--nosymmetric").width == 8
    (tmp_path / "inner.flags").write_text("# a comment\n--hha_jitter\n\n--width=8\n")
    (tmp_path / "outer.flags").write_text(f"// another\n--flagfile={tmp_path / 'inner.flags'}\n--epochs=3\n")
    config = _parse("# a comment", "", f"--flagfile={tmp_path / 'outer.flags'}", "--epochs=4")
    assert (config.hha_jitter, config.width, config.epochs) == (True, 8, 4)


def test_a_former_name_is_read_and_the_present_one_written():
    config = _parse("--depth_faults=0.5")
    assert config.sensor_noise == 0.5 and "--sensor_noise=0.5" in settings.to_lines(config)
    assert not any("depth_faults" in line for line in settings.to_lines(config))
    assert _parse("--depth_faults=0.5", "--sensor_noise=0.25").sensor_noise == 0.25
    with pytest.raises(UserError, match=r"^`sensor_noise=2.0`: must be a probability, from 0 to 1$"):
        _parse("--depth_faults=2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--telepathy=1", "Unknown command line flag 'telepathy'"),
        ("--width=wide", "flag --width=wide: "),
        ("--method=simsam", "flag --method=simsam: value should be one of <simsiam"),
        ("--nohha_color=1", "--nohha_color=1 does not take an argument"),
        ("--width", "Missing value for flag --width"),
        ("width=4", "width=4: not a flag; flags begin with --"),
        ("--flagfile=nowhere.flags", "Unable to open flagfile"),
    ],
)
def test_what_is_no_flag_is_one_line(line, message):
    with pytest.raises(settings.FlagError) as error:
        _parse(line)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert error.value.unknown == ("telepathy" if "telepathy" in line else None)


def test_what_must_be_given_is_named():
    with pytest.raises(settings.FlagError, match="--workdir"):
        settings.parse(RunConfig, ["--data_dir=data"])
    assert settings.parse(RunConfig, ["--data_dir=", "--workdir=run"]).data_dir == ""


@pytest.mark.parametrize(
    ("bounds", "value", "demand"),
    [
        ({"low": 1}, 0, "at least 1"),
        ({"low": 0}, -1, "at least 0"),
        ({"low": 0, "below": 2**32}, 2**32, r"at least 0 and below 2\*\*32"),
        ({"low": 0}, -0.5, "at least 0 and finite"),
        ({"above": 0}, 0.0, "positive and finite"),
        ({"low": 0, "below": 1}, 1.0, "at least 0 and below 1"),
        ({"above": 0, "high": 1}, 0.0, "above 0 and at most 1"),
        ({"low": 0, "high": 1}, 1.5, "a probability, from 0 to 1"),
        ({"low": 0, "high": 90}, math.nan, "at least 0 and at most 90"),
    ],
)
def test_a_range_in_words(bounds, value, demand):
    field = ("x", type(value), setting(0, "A number.", **bounds))
    cls = dataclasses.make_dataclass("Numbers", [field], frozen=True)
    with pytest.raises(UserError, match=rf"^`x={value}`: must be {demand}$"):
        settings.check(cls(value))


def test_help_is_grouped_by_the_rooms_that_declare():
    values = flags.FlagValues()
    settings.define_flags(RunConfig, values)
    text = values.main_module_help()
    groups = [line.rstrip(":") for line in text.splitlines() if line and not line.startswith(" ")]
    assert groups == [
        "keras_simsiam.training.config",
        "keras_simsiam.views.preprocessing",
        "keras_simsiam.views.augmentation",
        "keras_simsiam.models.encoder",
        "keras_simsiam.methods.settings",
        "keras_simsiam.optimization.settings",
        "keras_simsiam.training.devices",
    ]
    for field in dataclasses.fields(RunConfig):
        assert len(re.findall(rf"  --(?:\[no\])?{field.name}:\s", text)) == 1
    assert "depth_faults" not in text and "--depth_faults: Alias for --sensor_noise." in values.get_help()
