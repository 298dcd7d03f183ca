"""The configuration of a run, and its flags.txt: what a run directory says of itself."""

import dataclasses
import os

from keras_simsiam.core import files
from keras_simsiam.core.errors import UserError
from keras_simsiam.training import rules
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.preprocessing import Preprocessing

# What may differ when a run is resumed: a folder may be renamed, and neither a cache nor checkpoints change a number. A shard
# damaged on the way must not end a run of days: it goes on without what --on_corrupt=skip leaves out.
MOVABLE = ("workdir", "data_dir", "knn_data_dir", "checkpoint_steps", "cache", "cache_gb", "on_corrupt")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run; each field is the train command's flag of that name, which documents it."""

    data_dir: str
    workdir: str
    modality: str = "rgbd"
    fusion: str = "two_tower"
    depth_gate: bool = False
    positives: str = "augment"
    hha_encoding: str = "paper"
    holes: str = "none"
    hha_color: bool = False
    hha_jitter: bool = False
    hha_dropout: float = 0.0
    depth_faults: float = 0.0
    gravity_jitter: float = 0.0
    image_size: int = 224
    min_crop: float = 0.2
    backbone: str = "resnet18"
    stem: str = "imagenet"
    width: int = 64
    zero_init_last: bool = False
    method: str = "simsiam"
    symmetric: bool = True
    queue_size: int = 65536
    projector_layers: int = 3
    head_batch_norm: bool = True
    head_dropout: float = 0.0
    stop_gradient: bool = True
    alternation: int = 1
    batch_size: int = 64
    epochs: int = 100
    base_lr: float = 0.05
    weight_decay: float = 1e-4
    predictor_lr: str = "cosine"
    optimizer: str = "sgd"
    decay: str = "all"
    warmup_epochs: float = 0.0
    cosine_per: str = "epoch"
    blur: float = 0.0
    precision: str = "float32"
    distribution: str = "one"
    jit_compile: bool = False
    knn_every: int = 5
    knn_data_dir: str = ""
    knn_k: int = 20
    checkpoint_steps: int = 500
    shuffle_mb: int = 128
    cache: str = "none"
    cache_gb: float = 8.0
    on_corrupt: str = "fail"
    seed: int = 0

    def __post_init__(self):
        rules.check(self)

    @property
    def preprocessing(self):
        """What training, evaluation and serving do alike to a sample."""
        return Preprocessing(self.modality, self.image_size, self.hha_encoding, self.holes)

    @property
    def augmentation(self):
        """What is drawn for each view."""
        return Augmentation(
            self.image_size,
            self.min_crop,
            self.hha_color,
            self.hha_jitter,
            self.hha_dropout,
            self.depth_faults,
            self.gravity_jitter,
            self.blur,
        )


def from_flags(lines):
    """The configuration that lines of flags give, as flags.txt and recipes have them.

    Args:
        lines: strings `--name=value`; others, such as comments, are passed over. Of two of one name the later counts.

    Returns:
        A `RunConfig`.

    Raises:
        KeyError: a flag that train.py does not have, by its name.
        TypeError, ValueError: one that it needs is missing; a value that is not of its kind.
        UserError: the flags cannot be, alone or together.
    """
    kinds = {field.name: field.type for field in dataclasses.fields(RunConfig)}
    given = dict(line.strip().removeprefix("--").split("=", 1) for line in lines if line.startswith("--"))
    return RunConfig(**{name: _parse(kinds[name], text) for name, text in given.items()})


def load_config(workdir):
    """The configuration of a run directory, read from its flags.txt.

    Args:
        workdir: the run's folder.

    Returns:
        A `RunConfig`.

    Raises:
        UserError: it is no run directory, or flags.txt is not this version's.
    """
    path = os.path.join(workdir, "flags.txt")
    try:
        with open(path) as file:
            lines = file.readlines()
    except OSError as error:
        raise UserError(f"{workdir}: not a run directory, there is no flags.txt; train.py makes one") from error
    try:
        return from_flags(lines)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a configuration of this version ({error}); train into a new --workdir") from error


def open_workdir(config):
    """Makes the run's folder with its flags.txt, or checks that the one there is of the same configuration.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: the folder holds another configuration (the flags that differ are listed), or other files.
    """
    path = os.path.join(config.workdir, "flags.txt")
    if os.path.exists(path):
        there, now = dataclasses.asdict(load_config(config.workdir)), dataclasses.asdict(config)
        differing = [
            f"--{name}={_format(there[name])} there, {_format(now[name])} now"
            for name in now
            if there[name] != now[name] and name not in MOVABLE
        ]
        if differing:
            raise UserError(
                f"--workdir={config.workdir} holds another configuration ({'; '.join(differing)}): "
                "give those flags as they are there, or another --workdir"
            )
        return
    if os.path.isdir(config.workdir) and os.listdir(config.workdir):
        raise UserError(f"--workdir={config.workdir} holds other files and no run; give a new or an empty folder")
    lines = [f"--{name}={_format(value)}\n" for name, value in dataclasses.asdict(config).items()]
    with files.writing(f"--workdir={config.workdir}", "choose another"):
        os.makedirs(os.path.join(config.workdir, "figures"), exist_ok=True)
        files.write_text(path, "".join(lines))


def _format(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse(kind, text):
    if kind is not bool:
        return kind(text)
    if text not in ("true", "false"):
        raise ValueError(f"{text} is neither true nor false")
    return text == "true"
