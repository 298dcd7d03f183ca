"""The configuration of a run, and its flags.txt: what a run directory says of itself."""

import dataclasses
import os

from keras_simsiam.core import files, settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import REQUIRED, setting
from keras_simsiam.methods.settings import MethodSettings
from keras_simsiam.models import encoder, starting_weights
from keras_simsiam.models.encoder import EncoderSettings
from keras_simsiam.optimization.settings import OptimizerSettings
from keras_simsiam.training import rules
from keras_simsiam.training.devices import DeviceSettings
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.positives import PAIRED
from keras_simsiam.views.preprocessing import Preprocessing

# What may differ when a run is resumed: a folder may be renamed, and neither a cache nor checkpoints change a number. A shard
# corrupted on the way must not end a run of days: it goes on without what --on_corrupt=skip leaves out.
MOVABLE = ("workdir", "data_dir", "knn_data_dir", "checkpoint_steps", "cache", "cache_gb", "on_corrupt")

# Values of `positives` in earlier versions, as (positives, compare) now: command lines and flags.txt that have them still work.
EARLIER_POSITIVES = {
    "neighbour": ("next_frame", "joint"),
    "cross_modal": ("augment", "cross_modal"),
    "intra_modal": ("augment", "intra_modal"),
}


@dataclasses.dataclass(frozen=True)
class Folders(settings.Checked):
    """Where a run reads and writes."""

    data_dir: str = setting(
        REQUIRED, "Folder of the data set: shards and dataset.json, as tfrecords.build writes them."
    )
    workdir: str = setting(REQUIRED, "Folder of the run; the same command on the same folder resumes it.")


@dataclasses.dataclass(frozen=True)
class RunConfig(
    # the fields of the last come first
    DeviceSettings,
    OptimizerSettings,
    MethodSettings,
    EncoderSettings,
    Augmentation,
    Preprocessing,
    Folders,
):
    """Everything that decides a run: the settings of all rooms and its own, each a flag of train.py.

    Example:
        >>> config = ks.RunConfig("data/washington", "runs/rgbd", image_size=64, epochs=20)
        >>> config.modality, config.preprocessing.image_size, config.augmentation.min_crop
        ('rgbd', 64, 0.2)
    """

    positives: str = setting(
        "augment",
        "What is paired: two views of a frame, or of it and the next frame of its recording, any other frame of its recording "
        "(see `positive_window`), any frame of another recording of its instance, such as from another camera height. Earlier "
        "values: neighbour is next_frame; for cross_modal and intra_modal see `compare`.",
        choices=("augment", *PAIRED),
        earlier=tuple(EARLIER_POSITIVES),
    )
    positive_window: int = setting(
        0, "Of `positives=recording`: frames that the other one is away at most, to either side; 0: any number.", low=0
    )
    knn_every: int = setting(5, "Epochs between two kNN measurements, and view grids, while training.", low=1)
    knn_data_dir: str = setting(
        "",
        "Another, labelled data set for kNN: bank of its train split, queries of its val or test; default: `data_dir`.",
    )
    knn_k: int = setting(20, "Neighbours of the kNN measurement while training.", low=1)
    checkpoint_steps: int = setting(500, "Steps of an epoch between two checkpoints; 0: only at its end.", low=0)
    shuffle_mb: int = setting(128, "Memory of the shuffle, in MiB of undecoded records.", low=1)
    cache: str = setting(
        "none",
        "Where frames are kept once they are decoded and have their HHA; views are the same with and without.",
        choices=("none", "memory", "disk"),
    )
    cache_gb: float = setting(
        8.0,
        "The most that caches, or what simsiam_average or `positives` of other frames keep, may take, in GB; more is refused.",
        low=0,
    )
    on_corrupt: str = setting(
        "fail",
        "A corrupt shard ends the run, or is read up to its first corrupt record and the rest left out.",
        choices=("fail", "skip"),
    )
    seed: int = setting(0, "Seed of weights, order and augmentation.", low=0, below=2**32)
    init: str = setting(
        "",
        "Where the encoder's weights start: a run directory, a .keras file, a checkpoint of PyTorch, imagenet; default: "
        "drawn from the seed.",
    )
    init_towers: str = setting(
        "both", "Of two towers, which start from `init`; the other is drawn.", choices=starting_weights.TOWERS
    )
    init_sha256: str = setting("", "SHA-256 of what `init` names, which the run writes down; another file is refused.")

    def __post_init__(self):
        positives, compare = _canonical_pairs(self.positives, self.compare)
        object.__setattr__(self, "positives", positives)  # the class is frozen
        object.__setattr__(self, "compare", compare)
        super().__post_init__()
        if self.small_crops:
            object.__setattr__(self, "small_size", self.augmentation.small_side(self.image_size))
        rules.check(self)

    @property
    def preprocessing(self):
        """What training, evaluation and serving do alike to a sample."""
        return settings.part(self, Preprocessing)

    @property
    def parts(self):
        """The equal parts of the encoder's embedding (`encoder.parts`)."""
        return encoder.parts(self.modality, self.fusion)

    @property
    def augmentation(self):
        """What is drawn for each view."""
        return settings.part(self, Augmentation)


def _canonical_pairs(positives, compare):
    """(positives, compare) of the present version, where `positives` may be a value of EARLIER_POSITIVES."""
    now, implied = EARLIER_POSITIVES.get(positives, (positives, compare))
    if implied == "joint" or compare in ("joint", implied):
        return now, compare if implied == "joint" else implied
    raise UserError(f"`positives={positives}` means `compare={implied}`: leave it out with `compare={compare}`")


def load_config(workdir: str) -> RunConfig:
    """Reads the configuration of a run directory from its flags.txt.

    Example:
        >>> ks.load_config(trained).preprocessing
        Preprocessing(modality='rgb', image_size=32, hha_encoding='paper', holes='none', depth_input='hha', holes_model='')

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
        return settings.parse(RunConfig, lines)
    except settings.FlagError as error:
        raise UserError(f"{path}: not a configuration of this version ({error}); train into a new `workdir`") from error


def open_workdir(config):
    """Make the run's folder with its flags.txt, or check that the existing one is of the same configuration.

    Args:
        config: a `RunConfig`.

    Raises:
        UserError: the folder holds another configuration (the flags that differ are listed), or other files.
    """
    path = os.path.join(config.workdir, "flags.txt")
    if os.path.exists(path):
        stored, now = dataclasses.asdict(load_config(config.workdir)), dataclasses.asdict(config)
        differing = [
            f"`{name}={settings.text(stored[name])}` there, {settings.text(now[name])} now"
            for name in now
            if stored[name] != now[name]
            and name not in MOVABLE
            and not (name == "init_sha256" and not now[name])  # which the run itself has written down
        ]
        if differing:
            raise UserError(
                f"`workdir={config.workdir}` holds another configuration ({'; '.join(differing)}): "
                "give those as they are there, or another `workdir`"
            )
        return
    if os.path.isdir(config.workdir) and os.listdir(config.workdir):
        raise UserError(f"`workdir={config.workdir}` holds other files and no run; give a new or an empty folder")
    with files.writing(f"`workdir={config.workdir}`", "choose another"):
        os.makedirs(os.path.join(config.workdir, "figures"), exist_ok=True)
        files.write_text(path, "".join(line + "\n" for line in settings.to_lines(config)))
