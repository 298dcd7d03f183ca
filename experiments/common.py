"""What the experiments share: the command line, and runs that are trained where they are missing.

A run lies in <workdir>/runs/<name>, made by `python train.py` in a separate process, as by hand; so experiments that name
the same run share it, and a run made by hand is taken up as it is.
"""

from keras_simsiam.core.command import run_command

import contextlib
import dataclasses
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile

from experiments import measure
from keras_simsiam.core import settings
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import REQUIRED, setting
from keras_simsiam.evaluation import corruptions
from keras_simsiam.training.config import RunConfig, load_config, open_workdir
from tfrecords import Dataset

ROOT = pathlib.Path(__file__).parent.parent
SCALES = ("smoke", "small", "paper")

CIFAR10_SMALL = ("--flagfile=recipes/cifar10_small.flags",)
# Chen & He 2021, Appendix D
CIFAR10_PAPER = (
    *("--modality=rgb", "--image_size=32", "--stem=cifar", "--width=64", "--batch_size=512", "--epochs=800"),
    *("--base_lr=0.03", "--weight_decay=5e-4", "--knn_every=10"),
)
# seconds on any data set of 32 frames
_SMOKE = ("--image_size=16", "--width=4", "--batch_size=16", "--epochs=2", "--stem=cifar", "--precision=float32")


@dataclasses.dataclass(frozen=True)
class Settings(settings.Checked):
    """The command line; each field is the flag of its name."""

    data_dir: str = setting(REQUIRED, "Labelled data set, as tfrecords.build wrote it.")
    workdir: str = setting(REQUIRED, "Folder of the report; its runs/ is shared by the experiments.")
    scale: str = setting("small", "smoke: seconds; small: two cores; paper: the published size.", choices=SCALES)
    seeds: tuple[int, ...] = setting((0,), "Seeds of each run, separated by commas.", low=0)
    train: str | None = setting(
        None,
        "missing: train the runs that are not there (the default); none: report the runs that exist; print: print the train "
        "commands (the default at --scale=paper).",
        choices=("missing", "none", "print"),
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            given = settings.text(self.seeds)
            raise UserError(f"--seeds={given}: give different whole numbers, separated by commas")
        if self.train is None:
            object.__setattr__(self, "train", "print" if self.scale == "paper" else "missing")


def variants(scale, changes, small, paper):
    """The flags of each run at a scale.

    Args:
        scale: one of SCALES; `smoke` keeps the first two runs, shrunk to seconds.
        changes: dict from a run's name to the flags in which it differs from the others.
        small, paper: the flags that all share, at those scales.

    Returns:
        A dict from the run's name to its flags.
    """
    base = {"smoke": (*small, *_SMOKE), "small": small, "paper": paper}[scale]
    names = list(changes)[:2] if scale == "smoke" else changes
    return {name: (*base, *changes[name]) for name in names}


class Runs:
    """The runs of an experiment, and what was measured of them.

    Attributes:
        settings: the `Settings`.
        dataset: the `tfrecords.Dataset`.
        conditions: names of those under which the test split is seen.
        measured: dict from a variant to a dict from a seed to its measurement (`measure.measure`).
        commands: dict from a run's name to the command that trains it.
        failed: dict from the name of a run that could not be trained or measured, or whose task failed, to the reason.
    """

    def __init__(self, settings, conditions=("clean",), validate=False):
        """
        Args:
            settings: the `Settings`.
            conditions: names of `keras_simsiam.evaluation.corruptions.CONDITIONS`, `clean` the first; those of depth are left
                out where the data set has none.
            validate: whether `measure` is to add a score to choose by.

        Raises:
            UserError: there is no such data set, or it has no labels or no test split.
        """
        self.settings, self.dataset = settings, Dataset(settings.data_dir)
        self.measured, self.commands, self.failed = {}, {}, {}
        self._validate = validate
        self.conditions = [name for name in conditions if self.dataset.has_depth or name not in corruptions.OF_DEPTH]
        measure.require(self.dataset)

    def ask(self, wanted, seeds, publish):
        """Trains and measures what is not there yet; with --train=none only measures, with --train=print only prints.

        Args:
            wanted: dict from a variant to its flags.
            seeds: the seeds of each.
            publish: function of this object that writes the report; called at the end, and where runs are trained after each,
                so that there is one of the runs that exist whatever happens.

        Raises:
            UserError: a run has a flag that train.py does not know, or is there with other flags or of other data; the
                report cannot be written.
        """
        runs = [
            (variant, seed, self._configure(variant, seed, wanted[variant])) for seed in seeds for variant in wanted
        ]
        if self.settings.train == "print":
            print("\n".join(self.commands[run_name(variant, seed)] for variant, seed, _ in runs))
            return
        # that nothing can be written there must not wait hours to show
        with measure.writing(f"--workdir={self.settings.workdir}"):
            os.makedirs(self._folder(""), exist_ok=True)
            tempfile.TemporaryFile(dir=self.settings.workdir).close()
        for variant, seed, config in runs:
            with self.listing(run_name(variant, seed)):
                self._train(run_name(variant, seed), config)
                if os.path.exists(_encoder(config)):
                    found = measure.measure(config.workdir, self.dataset, self.conditions, self._validate)
                    self.measured.setdefault(variant, {})[seed] = found
            if self.settings.train == "missing" and seed in self.measured.get(variant, {}):
                publish(self)  # the next may take hours; what is only measured comes soon, and all at once
        publish(self)

    @contextlib.contextmanager
    def listing(self, name):
        """A context for what is done to a run: a UserError in it is listed as that run's, and the others go on.

        Args:
            name: of the run.
        """
        try:
            yield
        except UserError as error:
            self.failed[name] = str(error)
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)

    def close(self):
        """Ends the command with an error where runs have failed; the report has the others."""
        if self.failed:
            raise UserError(
                f"{len(self.failed)} of {len(self.commands)} runs failed ({', '.join(self.failed)}), their logs are in "
                f"{self._folder('')}: the same command tries again, the report says why and holds the others"
            )

    def missing(self):
        """The names of the runs asked for that have no measurement."""
        done = {run_name(variant, seed) for variant, seeds in self.measured.items() for seed in seeds}
        return [name for name in self.commands if name not in done]

    def folder(self, variant, seed):
        """The run directory of a variant and a seed."""
        return self._folder(run_name(variant, seed))

    def _folder(self, name):
        return os.path.join(os.path.abspath(self.settings.workdir), "runs", name)

    def _configure(self, variant, seed, flags_given):
        """The run's configuration, checked before anything is trained: a mistake must not wait hours to show."""
        name = run_name(variant, seed)
        data_dir = self.settings.data_dir
        data_dir = data_dir if "://" in data_dir else os.path.abspath(data_dir)
        own = [f"--seed={seed}"] if seed else []
        command = ["train.py", *flags_given, *own, f"--data_dir={data_dir}", f"--workdir={self._folder(name)}"]
        self.commands[name] = shlex.join(["python", *command])
        config = _parse(command[1:])
        if os.path.exists(os.path.join(config.workdir, "flags.txt")):
            open_workdir(config)  # refuses another configuration
            self._check_data(config)
        return config

    def _check_data(self, config):
        there = load_config(config.workdir).data_dir
        try:
            same = there == config.data_dir or Dataset(there).checksum == self.dataset.checksum
        except UserError:
            same = True  # its data set has moved: there is nothing to compare
        if not same:
            raise UserError(f"{config.workdir} was trained on {there}: give that as --data_dir, or another --workdir")

    def _train(self, name, config):
        if self.settings.train == "none" or os.path.exists(_encoder(config)):
            return
        log = self._folder(name) + ".log"
        print(f"training {name}; tail -f {log}", flush=True)
        with measure.writing(log), open(log, "ab") as file:
            status = _call(shlex.split(self.commands[name])[1:], file)
        if status or not os.path.exists(_encoder(config)):
            raise UserError(f"train.py ended with status {status}: {_last_line(log)}")


def run_name(variant, seed):
    """The folder of a run: that of seed 0 bears the variant's name alone."""
    return variant if seed == 0 else f"{variant}_seed{seed}"


def _encoder(config):
    return os.path.join(config.workdir, "encoder.keras")


def _parse(command_line):
    """The RunConfig of a command line of train.py, whose flagfiles lie in the repository."""
    try:
        with contextlib.chdir(ROOT):
            return settings.parse(RunConfig, command_line)
    except settings.FlagError as error:
        if error.unknown is None:
            raise
        raise UserError(
            f"train.py has no flag --{error.unknown}: this experiment needs a version that has it"
        ) from error


def _call(command, log):
    """Runs a command of the repository to its end and returns its status; what ends this process ends that one too."""
    # In a session of its own, so that Ctrl-C reaches it once, from here, while it may be saving.
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _last_line(path):
    """The last line of a log; a progress bar's are separated by carriage returns."""
    with open(path, errors="replace") as file:
        return ([""] + [line for line in file.read().splitlines() if line.strip()])[-1].strip()


def command(experiment):
    """Makes the command of an experiment: `if __name__ == "__main__": common.command(main)`.

    Args:
        experiment: function of a `Settings` that trains, measures and writes.
    """
    settings.define_flags(Settings)

    def main():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the run that is training ends too
        experiment(settings.from_flags(Settings))

    run_command(main)
