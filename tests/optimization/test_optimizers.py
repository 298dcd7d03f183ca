"""PyTorch's SGD and LARS: against NumPy under a cosine schedule, PyTorch's own numbers, learning rates by variable."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras
from tensorflow.python.eager import context

from keras_simsiam.optimization.optimizers import LARS, TorchSGD
from keras_simsiam.optimization.schedules import HalfCosine


def test_follows_numpy_under_a_cosine_schedule():
    random = np.random.default_rng(0)
    weight = tf.Variable(random.normal(size=(3, 4)), dtype=tf.float32)
    schedule = HalfCosine(0.3, epochs=20, steps_per_epoch=5)
    optimizer = TorchSGD(schedule, momentum=0.9, weight_decay=0.01)
    expected, velocity = weight.numpy().astype(np.float64), np.zeros((3, 4))
    for step in range(100):
        gradient = random.normal(size=(3, 4))
        velocity = 0.9 * velocity + gradient + 0.01 * expected
        expected = expected - 0.3 * 0.5 * (1 + np.cos(np.pi * (step // 5) / 20)) * velocity
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weight)])
    np.testing.assert_allclose(weight, expected, atol=1e-5)


@pytest.mark.parametrize(
    "schedule", [HalfCosine(0.2, 100, 1), HalfCosine(0.2, 10, 10, cosine_per="step")], ids=["epoch", "step"]
)
def test_follows_torch(schedule):
    """100 steps of two dense layers with biases, as torch.optim.SGD made them in float64, recorded every 10 steps.

    The recording: loss = mean((tanh(x·w1 + b1)·w2 + b2 − y)²); torch.optim.SGD([w1, b1, w2, b2], lr=0.2, momentum=0.9,
    weight_decay=5e-3); torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100), stepped after each step.
    """
    recorded = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "torch_sgd.json").read_text())
    x, y = (tf.constant(recorded[name], tf.float32) for name in ("x", "y"))
    parameters = [tf.Variable(start, dtype=tf.float32) for start in recorded["start"]]
    optimizer = TorchSGD(schedule, momentum=0.9, weight_decay=5e-3)
    optimizer.build(parameters)

    @tf.function
    def step():
        w1, b1, w2, b2 = parameters
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, parameters), parameters, strict=True))

    for number in range(1, 101):
        step()
        if str(number) in recorded["after"]:
            for parameter, expected in zip(parameters, recorded["after"][str(number)], strict=True):
                np.testing.assert_allclose(parameter.numpy().ravel(), expected, rtol=0, atol=1e-5)
    assert len(recorded["after"]) == 10


@pytest.mark.parametrize("optimizer", [TorchSGD(0.1, weight_decay=0.01), LARS(0.1, weight_decay=0.01)])
def test_no_sum_of_an_order_that_varies(optimizer):
    """AddN begins with whichever of its terms may be overwritten by then: of three, the last bit differs from run to run."""
    weights = [tf.Variable(tf.ones([4, 3])), tf.Variable(tf.ones([4]))]
    optimizer.build(weights)

    @tf.function
    def step(scale):
        gradients = [tf.sin(scale * weight) for weight in weights]
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return tf.linalg.global_norm(gradients)  # as the train step reads them too

    context.context().enable_run_metadata()
    step(tf.constant(0.5))
    graphs = [graph.post_optimization_graph for graph in context.context().export_run_metadata().function_graphs]
    context.context().disable_run_metadata()
    nodes = [node for graph in graphs for part in _parts(graph) for node in _nodes(part)]
    assert any(node.op == "AssignSubVariableOp" for node in nodes)
    assert not [node.name for node in nodes if node.op == "AddN" and len(node.input) > 2]


def _parts(graph):
    """The graph and the functions that it calls."""
    fields = {field.name: value for field, value in graph.ListFields()}
    return [graph, *fields["library"].function] if "library" in fields else [graph]


def _nodes(part):
    return part.node if hasattr(part, "node") else part.node_def


def test_the_learning_rate_is_outside_the_velocity():
    """The toy that tells PyTorch's SGD from Keras's: gradient 1 twice, the rate falling from 1 to 0.1."""
    weight = tf.Variable(0.0)
    optimizer = TorchSGD(1.0, momentum=0.9)
    optimizer.apply_gradients([(tf.constant(1.0), weight)])
    optimizer.learning_rate = 0.1
    optimizer.apply_gradients([(tf.constant(1.0), weight)])
    assert float(weight) == pytest.approx(-1 - 0.1 * 1.9)  # Keras's SGD: −1 − (0.9 + 0.1) = −2


def test_decay_of_weights_leaves_scales_and_biases_alone():
    kernel, bias = tf.Variable([[2.0]]), tf.Variable([2.0])
    for decay, expected in (("all", [1.8, 1.8]), ("weights", [1.8, 2.0])):
        kernel.assign([[2.0]])
        bias.assign([2.0])
        optimizer = TorchSGD(1.0, weight_decay=0.1, decay=decay)
        optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in (kernel, bias)])
        np.testing.assert_allclose([kernel.numpy().item(), bias.numpy().item()], expected, rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
def test_lars_follows_numpy(compiled):
    """u = g + wd·w, v ← 0.9·v + (η·‖w‖/‖u‖)·u, w ← w − lr·v for the kernels of a convolution and a dense layer; the scale
    has v ← 0.9·v + g."""
    random = np.random.default_rng(1)
    shapes = [(3, 3, 2, 4), (5, 6), (4,)]
    variables = [tf.Variable(random.normal(size=shape), dtype=tf.float32) for shape in shapes]
    optimizer = LARS(HalfCosine(2.0, 10, 5, warmup_epochs=2, cosine_per="step"), weight_decay=0.01, trust=0.02)
    optimizer.build(variables)
    apply = lambda gradients: optimizer.apply_gradients(zip(gradients, variables, strict=True))  # noqa: E731
    apply = tf.function(apply) if compiled else apply
    expected = [variable.numpy().astype(np.float64) for variable in variables]
    velocities = [np.zeros(shape) for shape in shapes]
    for step in range(50):
        gradients = [random.normal(size=shape) for shape in shapes]
        apply([tf.constant(gradient, tf.float32) for gradient in gradients])
        rate = 2.0 * (step / 10 if step < 10 else 0.5 * (1 + np.cos(np.pi * (step - 10) / 40)))
        for index, update in enumerate(gradients):
            if index < 2:
                update = update + 0.01 * expected[index]
                update = update * 0.02 * np.sqrt((expected[index] ** 2).sum() / (update**2).sum())
            velocities[index] = 0.9 * velocities[index] + update
            expected[index] = expected[index] - rate * velocities[index]
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=0, atol=2e-5 * np.abs(value).max())


def test_lars_where_a_norm_is_zero():
    """A layer that starts at zero learns at the plain rate; without a gradient nothing moves, and nothing becomes NaN."""
    empty, still = tf.Variable(tf.zeros([2, 2])), tf.Variable(tf.ones([2, 2]))
    LARS(0.5).apply_gradients([(tf.ones([2, 2]), empty), (tf.zeros([2, 2]), still)])
    np.testing.assert_array_equal(empty, np.full([2, 2], -0.5))
    np.testing.assert_array_equal(still, np.ones([2, 2]))


@pytest.mark.parametrize("optimizer_of", [TorchSGD, LARS])
def test_overrides_by_identity_not_by_name(optimizer_of):
    first, second, third = (tf.Variable(0.0, name="same") for _ in range(3))
    optimizer = optimizer_of(
        HalfCosine(0.1, 2, 1), momentum=0.0, overrides=[([second], 1.0), ([third], HalfCosine(10.0, 2, 1))]
    )
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant(1.0), variable) for variable in (first, second, third)])
    # rates of the two epochs: 0.1, 0.05 | 1, 1 | 10, 5
    np.testing.assert_allclose([first, second, third], [-0.15, -2.0, -15.0], atol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        TorchSGD(
            HalfCosine(0.3, 4, 2, warmup_epochs=1.5, cosine_per="step"), momentum=0.8, weight_decay=0.1, decay="weights"
        ),
        LARS(HalfCosine(3.0, 4, 2, warmup_epochs=1.5), momentum=0.8, weight_decay=0.1, trust=0.05),
    ],
    ids=["sgd", "lars"],
)
def test_saved_and_loaded_it_goes_on_as_it_would_have(optimizer, tmp_path):
    """Velocities, the step and every setting are in the file: the loaded model takes the same next steps."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.BatchNormalization()(inputs)))
    model.compile(optimizer, "mse")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 3)), random.normal(size=(6, 2))
    model.fit(x, y, epochs=3, batch_size=6, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == optimizer.get_config()
    before = model.get_weights()
    for each in (model, loaded):
        each.fit(x, y, epochs=3, batch_size=6, shuffle=False, verbose=0)
    for start, one, other in zip(before, model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
        assert (one != start).any()
