"""The two stacks side by side: import, input pipeline, train step in two precisions, HHA.

    python -m benchmarks.stacks --classic=.venv/bin/python --modern=.venv-modern/bin/python --data_dir=data/washington

Each is measured in a process of its Python, one after the other in turns; the table has the median of all turns and the ratio.
"""

from keras_simsiam.core.command import run_command

import json
import statistics
import subprocess
import time

import tensorflow as tf
from absl import flags
from tqdm import tqdm

from benchmarks import machine
from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.depth import hha
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.views.batches import view_batches
from tfrecords import Dataset

flags.DEFINE_string("classic", ".venv/bin/python", "Python 3.11 with TensorFlow 2.15.")
flags.DEFINE_string("modern", ".venv-modern/bin/python", "Python 3.12 or 3.13 with TensorFlow 2.21.")
flags.DEFINE_string("data_dir", None, "Folder of a data set with depth.", required=True)
flags.DEFINE_integer("rounds", 3, "Turns.", lower_bound=1)
flags.DEFINE_bool("measure", False, "Measure this Python and print JSON, as the command asks of each.")

BATCH, SIZE, WIDTH, STEPS = 64, 64, 32, 20
PRECISIONS = ("float32", "mixed_bfloat16")
IMPORTS = (
    "import time; start = time.perf_counter(); import keras_simsiam as ks; ks.train; print(time.perf_counter() - start)"
)


def main():
    """The command."""
    if flags.FLAGS.measure:
        print(json.dumps(measured()))
        return
    stacks = {"classic": flags.FLAGS.classic, "modern": flags.FLAGS.modern}
    turns = {name: [] for name in stacks}
    for _ in tqdm(range(flags.FLAGS.rounds), desc="turns"):
        for name, python in stacks.items():
            turns[name].append(_turn(python))
    print(f"{turns['classic'][0]['machine']}\n{turns['modern'][0]['machine']}\n")
    print(f"{SIZE} px, width {WIDTH}, batches of {BATCH}, RGB-D; median of {flags.FLAGS.rounds} turns\n")
    print("| | classic | modern | modern / classic, time |\n|---|---|---|---|")
    for what, is_rate in ROWS.items():
        classic, modern = (statistics.median(turn[what] for turn in turns[name]) for name in stacks)
        print(f"| {what} | {classic:.3g} | {modern:.3g} | {classic / modern if is_rate else modern / classic:.2f} |")


# what is measured, and whether more is better
ROWS = {
    "import keras_simsiam, s": False,
    "input pipeline, images/s": True,
    "train step float32, images/s": True,
    "train step mixed_bfloat16, images/s": True,
    "HHA of a 640x480 frame, ms": False,
    "building the train step's graph, s": False,
}


def _turn(python):
    """What one process of a Python measures, and how long its import takes, a dict."""
    command = [python, "-m", "benchmarks.stacks", "--measure", f"--data_dir={flags.FLAGS.data_dir}"]
    try:
        lines = [
            subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
            for call in (command, [python, "-c", IMPORTS])
        ]
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise UserError(f"{python} cannot be measured ({reason}): name a Python by --classic or --modern") from error
    return json.loads(lines[0]) | {"import keras_simsiam, s": float(lines[1])}


def measured():
    """Everything but the import, a dict."""
    dataset = Dataset(flags.FLAGS.data_dir)
    config = RunConfig(dataset.path, "", modality="rgbd", image_size=SIZE, width=WIDTH, batch_size=BATCH)
    batches = view_batches(
        dataset.records("train"),
        dataset.decode,
        count=dataset.splits["train"].count,
        preprocessing=config.preprocessing,
        augmentation=config.augmentation,
        batch_size=BATCH,
        seed=0,
    )
    results = {"machine": machine.describe()}
    results["input pipeline, images/s"] = BATCH / _seconds(iter(batches).get_next, STEPS)
    batch = next(iter(batches))
    for precision in PRECISIONS:
        keras_compat.set_precision(precision)
        method = run.build_method(config, steps_per_epoch=1000)
        method.optimizer.build(method.trained_variables)
        step, start = tf.function(method.train_step), time.perf_counter()
        float(step(batch)["loss"])
        results["building the train step's graph, s"] = time.perf_counter() - start
        results[f"train step {precision}, images/s"] = BATCH / _seconds(
            lambda step=step: float(step(batch)["loss"]), STEPS
        )
    depth, camera = tf.random.stateless_uniform([480, 640], [0, 0], 0.5, 5.0), tf.constant([570.3, 570.3, 319.0, 239.0])
    encode = tf.function(lambda depth: hha.encode(depth, camera))
    results["HHA of a 640x480 frame, ms"] = 1000 * _seconds(lambda: encode(depth).numpy(), STEPS)
    return results


def _seconds(call, repeats):
    """Median duration of a call, after two to warm up."""
    return machine.milliseconds(call, repeats) / 1000


if __name__ == "__main__":
    run_command(main)
