"""A training step of ViT-Ti/16 next to the same in PyTorch, where that is installed.

    python -m benchmarks.vit
    python -m benchmarks.vit --busy

A step has DINO's shape: a student takes two views of 224 pixels forward and backward, a teacher takes both forward; AdamW moves
the student, a moving average the teacher. Heads, crops and augmentation are left out, and the loss is a squared distance. Both
take turns in one process; medians and the median of the turns' ratios are printed.
"""

from keras_simsiam.core.command import run_command

import statistics

import numpy as np
import tensorflow as tf
from absl import flags
from tensorflow import keras

from benchmarks import machine
from keras_simsiam.core.keras_compat import tf_variable
from keras_simsiam.models import vit

try:
    import torch
except ImportError:
    torch = None

flags.DEFINE_integer("rounds", 5, "Turns of each of the two.", lower_bound=1)
flags.DEFINE_integer("batch", 8, "Samples in a batch, of two views each.", lower_bound=1)
flags.DEFINE_bool("busy", False, "One thread each and its seconds on a core, on a machine that others use too.")

NAME, SIZE, PATCH, MOMENTUM, RATE = "vit_ti", 224, 16, 0.996, 1e-4


def main():
    """The command."""
    settings = flags.FLAGS
    if settings.busy:  # of several threads, those that wait for each other would count too
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    views = np.random.default_rng(0).standard_normal((2, settings.batch, SIZE, SIZE, 3)).astype(np.float32)
    steps = {"TensorFlow": tensorflow_step(views)}
    if torch is None:
        print("PyTorch is not installed: pip install torch for the comparison")
    else:
        if settings.busy:
            torch.set_num_threads(1)
        steps["PyTorch"] = pytorch_step(views)
    times = machine.in_turns(settings.rounds, *steps.values(), clock=machine.clock(settings.busy))
    print(f"{machine.describe()}; {NAME}, patch {PATCH}, {SIZE} px, batches of {settings.batch}")
    for name, seconds in zip(steps, times, strict=True):
        print(f"{name}: {statistics.median(seconds):.3g} s per step")
    if torch is not None:
        ratio = statistics.median(ours / theirs for ours, theirs in zip(*times, strict=True))
        print(f"TensorFlow / PyTorch {torch.__version__}: {ratio:.2f}")


def tensorflow_step(views):
    """A function that takes a step with keras_simsiam's ViT."""
    student, teacher = (vit.vit(NAME, SIZE, PATCH) for _ in range(2))
    teacher.set_weights(student.get_weights())
    optimizer = keras.optimizers.AdamW(RATE)
    pairs = [tuple(map(tf_variable, pair)) for pair in zip(teacher.variables, student.variables, strict=True)]

    @tf.function
    def step(first, second):
        targets = [teacher(view)["embedding"] for view in (second, first)]
        with tf.GradientTape() as tape:
            outputs = [student(view, training=True)["embedding"] for view in (first, second)]
            loss = sum(tf.reduce_mean((a - b) ** 2) for a, b in zip(outputs, targets, strict=True))
        variables = student.trainable_variables
        optimizer.apply_gradients(list(zip(tape.gradient(loss, variables), variables, strict=True)))
        for moving, variable in pairs:
            moving.assign(MOMENTUM * moving + (1 - MOMENTUM) * variable)
        return loss

    images = [tf.constant(view) for view in views]
    return lambda: step(*images).numpy()


def pytorch_step(views):
    """A function that takes the same step with a plain ViT in PyTorch."""
    from torch import nn

    width, heads = vit.BACKBONES[NAME]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = (nn.LayerNorm(width, vit.EPSILON) for _ in range(2))
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            split = self.qkv(self.norm1(x)).unflatten(2, (3, heads, width // heads)).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(*split)
            x = x + self.proj(mixed.transpose(1, 2).flatten(2))
            return x + self.mlp(self.norm2(x))

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, width, PATCH, PATCH)
            self.token = nn.Parameter(torch.zeros(1, 1, width))
            self.register_buffer("positions", torch.tensor(vit.sincos(SIZE // PATCH, width)))
            self.blocks = nn.Sequential(*(Block() for _ in range(vit.DEPTH)))
            self.norm = nn.LayerNorm(width, vit.EPSILON)

        def forward(self, images):
            patches = self.patch(images).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(len(images), -1, -1), patches], 1) + self.positions
            return self.norm(self.blocks(x))[:, 0]

    student, teacher = ViT(), ViT()
    teacher.load_state_dict(student.state_dict())
    optimizer = torch.optim.AdamW(student.parameters(), RATE)
    first, second = (torch.tensor(view).permute(0, 3, 1, 2).contiguous() for view in views)

    def step():
        with torch.no_grad():
            targets = [teacher(view) for view in (second, first)]
        loss = sum(
            ((student(view) - target) ** 2).mean() for view, target in zip((first, second), targets, strict=True)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for moving, parameter in zip(teacher.parameters(), student.parameters(), strict=True):
                moving.lerp_(parameter, 1 - MOMENTUM)
        return loss.item()

    return step


if __name__ == "__main__":
    run_command(main)
