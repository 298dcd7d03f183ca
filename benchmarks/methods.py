"""What a method's step costs over the passes through its networks: measured in turns, in one process.

    python -m benchmarks.methods
    python -m benchmarks.methods --methods=simsiam,byol --width=32

The passes alone are what no step of the method can do without: its networks on its views, forward, and backward from a loss
that costs nothing, the mean square of the outputs. A step adds the method's loss, what is watched, the optimizer and the copies
that move. The last column is the target, at most 1.1.
"""

from keras_simsiam.core.command import run_command

import statistics

import tensorflow as tf
from absl import flags
from tensorflow import keras

from benchmarks import machine
from keras_simsiam.core import keras_compat
from keras_simsiam.methods.base import project
from keras_simsiam.methods.build import METHODS
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig

flags.DEFINE_list("methods", sorted(METHODS), "Methods to measure.")
flags.DEFINE_string("backbone", "resnet18", "Backbone.")
flags.DEFINE_integer("image_size", 64, "Side of a view in pixels.")
flags.DEFINE_integer("width", 32, "Channels of a ResNet's first stage.")
flags.DEFINE_integer("batch_size", 64, "Samples in a step.")
flags.DEFINE_integer("projector_width", 0, "Width of the heads; 0: as published.")
flags.DEFINE_enum("precision", "mixed_bfloat16", ["float32", "mixed_bfloat16"], "Precision of the arithmetic.")
flags.DEFINE_integer("rounds", 10, "Turns of a step and a pass.")
flags.DEFINE_boolean("busy", False, "Take the time of this process's cores: for a machine that others use.")

CLASSES, SAMPLES = 10, 1000


def main():
    settings = flags.FLAGS
    print(
        f"{machine.describe()}; {settings.backbone}, {settings.image_size} px, width {settings.width}, "
        f"batch {settings.batch_size}, {settings.precision}"
    )
    print("| method | step, ms | passes alone, ms | step / passes |")
    print("|---|---|---|---|")
    for name in settings.methods:
        print(_row(name), flush=True)


def _row(name):
    settings = flags.FLAGS
    keras.backend.clear_session()
    keras_compat.set_precision(settings.precision)
    config = RunConfig(
        "",
        "",
        modality="rgb",
        method=name,
        backbone=settings.backbone,
        **({} if settings.backbone.startswith("vit") else {"width": settings.width}),
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        projector_width=0 if name == "supervised" else settings.projector_width,  # it has no projector
    )
    method = run.build_method(config, 100, num_classes=CLASSES, samples=SAMPLES)
    batch = _batch(settings.batch_size, settings.image_size)
    step, passes = tf.function(method.train_step), tf.function(lambda batch: _passes(method, batch))
    taken = machine.in_turns(
        settings.rounds,
        lambda: float(step(batch)["loss"]),
        lambda: float(passes(batch)[0]),
        clock=machine.clock(settings.busy),
    )
    whole, alone = (1000 * statistics.median(seconds) for seconds in taken)
    ratio = statistics.median(one / other for one, other in zip(*taken, strict=True))
    return f"| {name} | {whole:.0f} | {alone:.0f} | {ratio:.2f} |"


def _batch(size, side):
    views = tuple({"rgb": tf.random.stateless_uniform([size, side, side, 3], [0, view])} for view in range(2))
    index = tf.range(size, dtype=tf.int64)
    return {"views": views, "label": index % CLASSES, "index": index}


def _passes(method, batch):
    """A loss that costs nothing, of a method's networks on its views, and the sum of its gradients: all are computed."""
    head = getattr(method, "projector", None) or method.classifier
    with tf.GradientTape() as tape:
        outputs = []
        learning, constant, copied = _views(method, batch["views"])
        for view in learning:
            outputs.append(_output(method, project(method.encoder, head, view)))
        for view in constant:
            outputs.append(tf.stop_gradient(project(method.encoder, head, view)))
        for view in copied:
            output = project(*method.copies, view)
            prototypes = getattr(method, "teacher_prototypes", None)
            outputs.append(tf.stop_gradient(output if prototypes is None else tf.matmul(output, prototypes)))
        loss = tf.add_n([tf.reduce_mean(output * output) for output in outputs])
    variables = method.trained_variables
    return loss, tf.add_n([tf.reduce_sum(each) for each in tape.gradient(loss, variables) if each is not None])


def _output(method, projection):
    """What the last of a method's networks makes of a projection."""
    if hasattr(method, "predictor"):
        return method.predictor(projection, training=True)
    if hasattr(method, "prototypes"):  # a last layer without a bias
        return tf.matmul(projection, method.prototypes)
    return projection


def _views(method, views):
    """The views that pass through the networks that learn, those through the same as constants, and those through copies."""
    if method.name == "mocov2":  # a query of the first, a key of the second
        return views[:1], (), views[1:]
    if method.name == "moving_average":  # the second is averaged
        return views[:1], views[1:], ()
    return views, (), views if method.copies else ()


if __name__ == "__main__":
    run_command(main)
