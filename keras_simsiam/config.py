"""The configuration of a run, and its flags.txt: what a run directory says of itself."""

import dataclasses
import math
import os

from keras_simsiam import blur, optimizers, pipeline, schedules
from keras_simsiam.augment import Augmentation
from keras_simsiam.depth import holes
from keras_simsiam.errors import UserError
from keras_simsiam.methods.build import METHODS
from keras_simsiam.models.encoder import FUSIONS

# What may differ when a run is resumed: a folder may be renamed, and neither a cache nor checkpoints change a number. A shard
# damaged on the way must not end a run of days: it goes on without what --on_corrupt=skip leaves out.
MOVABLE = ("workdir", "data_dir", "knn_data_dir", "checkpoint_steps", "cache", "cache_gb", "on_corrupt")
POSITIVES = ("augment", "neighbour", "cross_modal")
COUNTS = (
    "queue_size",
    "alternation",
    "image_size",
    "width",
    "projector_layers",
    "batch_size",
    "epochs",
    "knn_every",
    "knn_k",
    "shuffle_mb",
)

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
}


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
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)}: must be at least 1")
        if self.checkpoint_steps < 0:
            raise UserError(f"--checkpoint_steps={self.checkpoint_steps}: must be at least 0")
        for name in ("hha_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)}: must be at least 0 and below 1")
        for name in ("base_lr", "weight_decay", "warmup_epochs", "cache_gb"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be at least 0 and finite")
        if not 0 <= self.seed < 1 << 32:
            raise UserError(f"--seed={self.seed}: must be at least 0 and below 2**32")
        if not 0 < self.min_crop <= 1:
            raise UserError(f"--min_crop={self.min_crop}: must be above 0 and at most 1")
        if self.holes not in holes.CHOICES:
            raise UserError(f"--holes={self.holes}: choose one of {', '.join(holes.CHOICES)}")
        if self.modality == "hha" and self.hha_dropout:
            raise UserError(
                "--hha_dropout with --modality=hha would leave nothing of a view; use it with --modality=rgbd"
            )
        self._check_fusion()
        self._check_depth_augmentation()
        self._check_positives()
        self._check_method()
        self._check_optimization()
        self._check_blur()
        if self.predictor_lr not in ("cosine", "fixed"):
            _check_factor(self.predictor_lr)

    def _check_fusion(self):
        """Refuses a fusion of one modality, and a gate without the mask it reads or the features it weighs."""
        if self.fusion not in FUSIONS:
            raise UserError(f"--fusion={self.fusion}: choose one of {', '.join(FUSIONS)}")
        if self.fusion != "two_tower" and self.modality != "rgbd":
            raise UserError(f"--fusion={self.fusion} has no meaning for --modality={self.modality}: leave it out")
        if not self.depth_gate:
            return
        if self.modality != "rgbd":
            raise UserError(f"--depth_gate has no meaning for --modality={self.modality}: leave it out")
        if self.fusion == "early":
            raise UserError("--depth_gate weighs features of depth, --fusion=early has none: use another --fusion")
        if self.holes != "mask":
            raise UserError(f"--depth_gate needs to know what was measured: use --holes=mask, not {self.holes}")

    def _check_depth_augmentation(self):
        """Refuses what no depth can have, and what would not reach the views."""
        if not 0 <= self.depth_faults <= 1:
            raise UserError(f"--depth_faults={self.depth_faults}: must be a probability, from 0 to 1")
        if not 0 <= self.gravity_jitter <= 90:
            raise UserError(f"--gravity_jitter={self.gravity_jitter}: must be at least 0 and at most 90 degrees")
        for name in ("depth_faults", "gravity_jitter"):
            if getattr(self, name) and self.modality == "rgb":
                raise UserError(f"--{name} has no meaning for --modality=rgb, which sees no depth: leave it out")
            if getattr(self, name) and self.cache != "none":
                raise UserError(f"--cache={self.cache} keeps one HHA for all views: use --cache=none with --{name}")

    def _check_positives(self):
        """Refuses neighbours that a cache does not keep, and cross-modal pairs without a modality on either side."""
        if self.positives not in POSITIVES:
            raise UserError(f"--positives={self.positives}: choose one of {', '.join(POSITIVES)}")
        if self.positives == "neighbour" and self.cache != "none":
            raise UserError(f"--cache={self.cache} keeps no recordings: use --cache=none with --positives=neighbour")
        if self.positives != "cross_modal":
            return
        for name, needed in (("modality", "rgbd"), ("method", "simsiam"), ("alternation", 1)):
            if getattr(self, name) != needed:
                raise UserError(f"--positives=cross_modal: needs --{name}={needed}, not {getattr(self, name)}")
        if self.fusion == "early":
            raise UserError("--positives=cross_modal compares colour to depth: use it without --fusion=early")
        if self.hha_dropout:
            raise UserError("--hha_dropout would leave nothing of a view to --positives=cross_modal: leave it out")

    def _check_method(self):
        """Refuses what would silently do nothing, or cannot be."""
        if self.method not in METHODS:
            raise UserError(f"--method={self.method}: choose one of {', '.join(METHODS)}")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, methods in OF_SOME_METHODS.items():
            if self.method not in methods and getattr(self, name) != defaults[name]:
                raise UserError(f"--{name} has no meaning for --method={self.method}: leave it out")
        if self.alternation > 1 and not self.stop_gradient:
            raise UserError(
                f"--alternation={self.alternation}: what a block of steps predicts is fixed; leave out --stop_gradient=false"
            )
        if self.method == "simsiam_average" and self.on_corrupt == "skip":
            raise UserError(
                "--on_corrupt=skip changes the places by which --method=simsiam_average knows frames: use --on_corrupt=fail"
            )
        if self.method == "mocov2" and self.queue_size < self.batch_size:
            raise UserError(f"--queue_size={self.queue_size}: must hold a batch, {self.batch_size} keys")
        if self.method == "supervised" and self.cache != "none":
            raise UserError(f"--cache={self.cache} keeps no labels: use --cache=none with --method=supervised")

    def _check_optimization(self):
        """Refuses an optimizer or a schedule that is not there, and what the flags would promise and not do."""
        choices_of = {"optimizer": optimizers.OPTIMIZERS, "decay": optimizers.DECAYS, "cosine_per": schedules.STEPS}
        for name, choices in choices_of.items():
            if getattr(self, name) not in choices:
                raise UserError(f"--{name}={getattr(self, name)}: choose one of {', '.join(choices)}")
        if self.optimizer == "lars" and self.decay != "weights":
            raise UserError("--optimizer=lars has no L2 on BatchNorm and biases: give --decay=weights with it")
        if self.optimizer == "sgd" and self.decay == "weights" and not self.weight_decay:
            raise UserError("--decay=weights has no meaning with --weight_decay=0: nothing decays; leave it out")
        if self.warmup_epochs >= self.epochs:
            raise UserError(
                f"--warmup_epochs={self.warmup_epochs:g}: must be below --epochs={self.epochs}, or the rate never falls"
            )

    def _check_blur(self):
        if not 0 <= self.blur <= 1:
            raise UserError(f"--blur={self.blur}: must be a probability, 0 to 1")
        if self.blur and self.modality == "hha":
            raise UserError(
                f"--blur={self.blur} has no meaning with --modality=hha: only colour is blurred; leave it out"
            )
        if self.blur and not blur.radius(self.image_size):
            raise UserError(
                f"--blur={self.blur}: the kernel, a tenth of --image_size={self.image_size}, would be one pixel; "
                "leave it out"
            )

    @property
    def preprocessing(self):
        """What training, evaluation and serving do alike to a sample."""
        return pipeline.Preprocessing(self.modality, self.image_size, self.hha_encoding, self.holes)

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


def _check_factor(text):
    try:
        known = 0 <= float(text) < math.inf
    except ValueError:
        known = False
    if not known:
        raise UserError(f"--predictor_lr={text}: give cosine, fixed, or a factor such as 10")


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
            given = dict(line.strip().removeprefix("--").split("=", 1) for line in file if line.startswith("--"))
    except OSError as error:
        raise UserError(f"{workdir}: not a run directory, there is no flags.txt; train.py makes one") from error
    types = {field.name: field.type for field in dataclasses.fields(RunConfig)}
    try:
        return RunConfig(**{name: _parse(types[name], value) for name, value in given.items()})
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
    try:
        os.makedirs(os.path.join(config.workdir, "figures"), exist_ok=True)
        _write_flags(config, path)
    except OSError as error:
        raise UserError(f"--workdir={config.workdir}: cannot be made ({error.strerror}): choose another") from error


def _write_flags(config, path):
    lines = [f"--{name}={_format(value)}\n" for name, value in dataclasses.asdict(config).items()]
    with open(path + ".partial", "w") as file:
        file.writelines(lines)
    os.replace(path + ".partial", path)


def _format(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse(kind, text):
    if kind is bool:
        return {"true": True, "false": False}[text]
    return kind(text)
