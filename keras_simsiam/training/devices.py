"""Where a run computes and how precisely: the devices, the workers of several machines, and Keras's policy."""

import contextlib
import dataclasses
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import Checked, setting

DISTRIBUTIONS = ("one", "mirrored", "multiworker")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class DeviceSettings(Checked):
    """Where a run computes, and how precisely."""

    precision: str = setting(
        "float32",
        "Precision of the arithmetic; weights, statistics, losses stay float32. float16 scales the loss and needs a GPU.",
        choices=PRECISIONS,
    )
    distribution: str = setting(
        "one",
        "One device, all of this machine, or those of all machines that TF_CONFIG names.",
        choices=DISTRIBUTIONS,
    )
    jit_compile: bool = setting(False, "Compile the train step with XLA, for one device; slower on most CPUs.")


_EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'


class Devices:
    """The devices of a run, and which of its workers this process is.

    Several workers meet where this is made, before anything else of TensorFlow runs.

    Attributes:
        strategy: the tf.distribute.Strategy; but for `one` always the same in a process.
        worker: a tf.distribute.InputContext: which worker this process is, of how many. Worker 0 of 1 but for `multiworker`.
    """

    def __init__(self, distribution: str):
        """
        Args:
            distribution: `one` device; all devices of this machine (`mirrored`), GPUs, or where there are none, logical CPUs;
                or those of all machines that the environment variable TF_CONFIG names (`multiworker`).

        Raises:
            UserError: TF_CONFIG does not say which workers there are, or names several without `multiworker`.
        """
        self._distribution = distribution
        self.worker = _worker(distribution)  # refuses a TF_CONFIG that does not fit
        self.strategy = tf.distribute.get_strategy() if distribution == "one" else _strategy(distribution)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the worker whose files count."""
        return self.worker.input_pipeline_id == 0

    @property
    def several_workers(self) -> bool:
        """Whether there are other workers than this process."""
        return self.worker.num_input_pipelines > 1

    @contextlib.contextmanager
    def own_folder(self, workdir: str) -> Iterator[str]:
        """A context with the folder that this process writes to: `workdir` for the chief, for others one that then vanishes.

        Saving takes operations of all workers together, so those whose files do not count save too.

        Reference: TensorFlow's guide, Multi-worker training with Keras, "Model saving and loading".
        """
        if self.is_chief:
            yield workdir
            return
        with tempfile.TemporaryDirectory(prefix="keras_simsiam_worker_") as folder:
            yield folder

    def chief_first(self, act: Callable[[], None]) -> None:
        """Call a function on the chief, then on the other workers; a UserError of one ends all.

        Raises:
            UserError: this worker's own, or that another had one.
        """
        error = None
        for turn in (True, False):
            if self.is_chief == turn:
                try:
                    act()
                except UserError as mine:
                    error = mine
            if self.any_worker(error is not None):
                raise error or UserError("another worker has refused to start: its own line says why")

    def wait_for_all(self) -> None:
        """Return when all workers have come here: one that left while others still compute would end them."""
        self.any_worker(False)

    def any_worker(self, mine: bool) -> bool:
        """Whether `mine` is true on any worker; all of them must ask together, and get the same answer."""
        if not self.several_workers:
            return mine

        @tf.function
        def total():
            return self.strategy.reduce("SUM", self.strategy.run(lambda: tf.constant(float(mine))), axis=None)

        return bool(total() > 0)

    def check_batch(self, size: int, accumulate: int = 1) -> None:
        """Refuse a global batch that the replicas cannot share equally, each in so many parts.

        Raises:
            UserError: their number does not divide it, or that of all parts.
        """
        replicas = self.strategy.num_replicas_in_sync
        if size % replicas:
            near = [count for count in (size // replicas * replicas, -(-size // replicas) * replicas) if count]
            raise UserError(
                f"`batch_size={size}`: {replicas} devices of `distribution={self._distribution}` cannot share it equally; "
                f"give {' or '.join(map(str, near))}"
            )
        if size // replicas % accumulate or (accumulate > 1 and size // replicas // accumulate < 2):
            raise UserError(
                f"`accumulate={accumulate}`: each of {replicas} devices has {size // replicas} of `batch_size={size}`, which "
                "so many parts cannot share equally, two samples at least in each; give a smaller divisor"
            )

    def distribute(self, batches: tf.data.Dataset):
        """The batches, divided over the devices.

        Args:
            batches: batches, each of the global batch over the number of workers.

        Returns:
            What a `tf.function` that runs the strategy iterates over.
        """
        if self._distribution != "multiworker":
            return self.strategy.experimental_distribute_dataset(batches)
        devices = self.strategy.num_replicas_in_sync // self.worker.num_input_pipelines
        if devices > 1:
            batch = tf.nest.flatten(batches.element_spec)[0].shape[0]
            batches = batches.rebatch(batch // devices, drop_remainder=True)
        return self.strategy.distribute_datasets_from_function(lambda _: batches)


# a second one in a process would give its collective operations the numbers of the first's
@functools.cache
def _strategy(distribution):
    if distribution == "multiworker":
        tf.get_logger().setLevel("ERROR")  # else two lines for each operation that the workers share
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _worker(distribution):
    text = os.environ.get("TF_CONFIG", "")
    tasks, own = _tasks(text)
    if distribution != "multiworker":
        if len(tasks) > 1:
            raise UserError(
                f"TF_CONFIG names {len(tasks)} workers, and each would train alone by `distribution={distribution}`: "
                "use `distribution=multiworker`, or unset TF_CONFIG"
            )
        return tf.distribute.InputContext()
    if own not in tasks:
        given = " ".join(text.split()) or "(not set)"
        raise UserError(
            f"`distribution=multiworker`: TF_CONFIG={given} does not say who the workers are and which of "
            f"them this is; set it, say, to {_EXAMPLE}"
        )
    return tf.distribute.InputContext(len(tasks), tasks.index(own))


def _tasks(text):
    """The tasks that a TF_CONFIG names as (type, index), the chief first, and that of this process; () and None without."""
    try:
        config = json.loads(text)
        tasks = [(kind, index) for kind in ("chief", "worker") for index in range(len(config["cluster"].get(kind, ())))]
        return tasks, (config["task"]["type"], config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return (), None


def check_precision(policy):
    """Refuse `mixed_float16` where there is no GPU: a CPU emulates it, slowly.

    Raises:
        UserError: there is none.
    """
    if policy == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise UserError("`precision=mixed_float16`: there is no GPU here; use mixed_bfloat16 or float32")


@contextlib.contextmanager
def precision(policy):
    """A context in which Keras's global policy is `policy`, such as `mixed_bfloat16`."""
    before = keras_compat.precision()
    keras_compat.set_precision(policy)
    try:
        yield
    finally:
        keras_compat.set_precision(before)
