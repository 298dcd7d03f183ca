"""Several objectives at once: their weighted sum against NumPy and against the methods alone, and what each one moves."""

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.methods import build
from keras_simsiam.methods.cross_modal import CrossModal
from keras_simsiam.methods.intra_modal import IntraModal
from keras_simsiam.methods.objectives import Objectives
from keras_simsiam.methods.simclr import SimCLR
from keras_simsiam.methods.simsiam import SimSiam
from keras_simsiam.models import resnet
from keras_simsiam.models.heads import side_by_side
from keras_simsiam.optimization.optimizers import TorchSGD
from keras_simsiam.training import run
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.devices import precision
from tests.methods.small import batch_of, linear_towers

TERMS = ("joint", "rgb", "hha", "cross")
WEIGHTS = {"joint": 1.0, "rgb": 0.5, "hha": 2.0, "cross": 0.25}


def _batch(samples=4):
    random = np.random.default_rng(0)
    return batch_of(
        [
            {name: tf.constant(random.uniform(size=(samples, 2, 2, 3)), tf.float32) for name in ("rgb", "hha")}
            for _ in range(2)
        ]
    )


def _method(toy, kind, weights=WEIGHTS, encoder=None, **kwargs):
    """The weighted sum of SimSiam's or SimCLR's losses, each with its own linear heads."""
    encoder, terms = encoder or linear_towers(), {}
    for term in weights:
        heads = [toy.linear(6 if term == "joint" else 3, 5), *([toy.linear(5, 5)] if kind is SimSiam else [])]
        terms[term] = kind(encoder, *heads, **kwargs)
    return Objectives(encoder, terms, weights)


def _parts(method, batch):
    """Both views' embeddings in NumPy: dicts from `joint`, `rgb`, `hha` to float64 [B,n]."""
    for view in batch["views"]:
        halves = {}
        for name in ("rgb", "hha"):
            dense = method.encoder.get_layer(f"{name}_tower")
            halves[name] = view[name].numpy().reshape(len(view[name]), -1) @ dense.kernel.numpy() + dense.bias.numpy()
        yield halves | {"joint": np.concatenate([halves["rgb"], halves["hha"]], axis=1)}


def _numpy_losses(toy, method, batch, loss):
    """The loss of each term, of `loss` of a term's heads and two embeddings."""
    first, second = _parts(method, batch)
    found = {name: loss(method.terms[name], first[name], second[name]) for name in ("joint", "rgb", "hha")}
    crossed = [loss(method.terms["cross"], first[a], second[b]) for a, b in (("rgb", "hha"), ("hha", "rgb"))]
    return found | {"cross": np.mean(crossed)}


def _dense(model, x):
    return x @ model.layers[-1].kernel.numpy() + model.layers[-1].bias.numpy()


def _simsiam(toy, term, first, second):
    z = [_dense(term.projector, embedding) for embedding in (first, second)]
    p = [_dense(term.predictor, each) for each in z]
    return -np.mean([np.mean(np.sum(toy.normalized(p[i]) * toy.normalized(z[1 - i]), axis=1)) for i in (0, 1)])


def _simclr(toy, term, first, second):
    z = toy.normalized(np.concatenate([_dense(term.projector, first), _dense(term.projector, second)]))
    similarity, count = z @ z.T / term.temperature, len(first)
    np.fill_diagonal(similarity, -np.inf)
    partner = similarity[np.arange(2 * count), (np.arange(2 * count) + count) % (2 * count)]
    return np.mean(np.log(np.exp(similarity).sum(axis=1)) - partner)


@pytest.mark.parametrize(("kind", "formula"), [(SimSiam, _simsiam), (SimCLR, _simclr)])
def test_the_loss_is_the_weighted_sum_of_the_formulas(toy, kind, formula):
    method, batch = _method(toy, kind), _batch()
    losses = _numpy_losses(toy, method, batch, lambda *given: formula(toy, *given))
    expected = sum(WEIGHTS[term] * losses[term] for term in TERMS)
    assert float(method.objective(batch)) == pytest.approx(expected, abs=1e-5)
    method.reset_metrics()
    method.compile(TorchSGD(0.1))
    logs = {name: float(value) for name, value in method.train_step(batch).items()}
    assert logs["loss"] == pytest.approx(expected, abs=1e-5)
    for term in TERMS:
        assert logs[f"loss_{term}"] == pytest.approx(losses[term], abs=1e-5)
        assert 0 < logs[f"std_projection_{term}"] < 2
    assert ("std_prediction_rgb" in logs) == (kind is SimSiam)


@pytest.mark.parametrize("kind", [SimSiam, SimCLR])
def test_gradients_are_the_weighted_sum_of_the_methods_alone(toy, kind):
    """Each method alone, on an encoder that gives the part it compares."""
    method, batch = _method(toy, kind, {term: WEIGHTS[term] for term in ("joint", "rgb", "hha")}), _batch()
    variables = method.encoder.trainable_variables
    with tf.GradientTape() as tape:
        loss = method.objective(batch)
    expected = [np.zeros(variable.shape) for variable in variables]
    for term, alone in method.terms.items():
        place = {"joint": slice(0, 6), "rgb": slice(0, 3), "hha": slice(3, 6)}[term]
        alone.encoder = lambda view, training, place=place: {"embedding": method.encoder(view)["embedding"][:, place]}
        with tf.GradientTape() as alone_tape:
            one = alone.objective(batch)
        for total, gradient in zip(expected, alone_tape.gradient(one, variables), strict=True):
            total += WEIGHTS[term] * (0 if gradient is None else gradient.numpy())
    for gradient, total in zip(tape.gradient(loss, variables), expected, strict=True):
        assert np.abs(total).max() > 1e-4
        np.testing.assert_allclose(gradient, total, atol=1e-5)


def test_weights_of_one_kind_are_the_published_comparisons(toy):
    encoder, batch = linear_towers(), _batch()
    across = _method(toy, SimSiam, {"cross": 1.0}, encoder)
    heads = across.terms["cross"].projector, across.terms["cross"].predictor
    expected = CrossModal(encoder, *heads).objective(batch)
    np.testing.assert_allclose(across.objective(batch), expected, atol=1e-6)
    within = _method(toy, SimSiam, {"rgb": 0.5, "hha": 0.5}, encoder)
    pairs = [(term.projector, term.predictor) for term in within.terms.values()]
    expected = IntraModal(encoder, *(side_by_side(*heads) for heads in zip(*pairs, strict=True))).objective(batch)
    np.testing.assert_allclose(within.objective(batch), expected, atol=1e-6)


def test_the_encoder_sees_each_view_once(toy):
    encoder, seen = linear_towers(), []

    def counted(view, training):
        seen.append(training)
        return encoder(view, training=training)

    _method(toy, SimCLR, encoder=counted).objective(_batch())
    assert seen == [True, True]


def test_a_term_moves_its_own_tower_alone(toy):
    method = _method(toy, SimCLR, {"hha": 1.0})
    with tf.GradientTape() as tape:
        loss = method.objective(_batch())
    rgb, hha = (method.encoder.get_layer(f"{name}_tower").kernel for name in ("rgb", "hha"))
    gradients = tape.gradient(loss, [rgb, hha], unconnected_gradients="zero")
    assert float(tf.reduce_max(tf.abs(gradients[0]))) == 0.0 and float(tf.reduce_max(tf.abs(gradients[1]))) > 1e-4


def _config(**changes):
    small = {"stem": "cifar", "image_size": 8, "width": 2, "batch_size": 4, "epochs": 2, "projector_width": 8}
    return RunConfig("data", "run", **small | changes)


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setitem(resnet.BACKBONES, "resnet18", ((1, 1, 1, 1), False))


def test_weights_of_a_configuration_decide_which_terms_there_are(_small):
    plain = run.build_method(_config(), 2)
    assert type(plain) is SimSiam
    method = run.build_method(_config(compare_joint=0.0, compare_hha=1.0, compare_cross=0.5, predictor_lr="10"), 2)
    assert dict(method.factors) == {"hha": 1.0, "cross": 0.5} and set(method.terms) == {"hha", "cross"}
    for term in method.terms.values():
        assert term.projector.input_shape == (None, 16) and term.predictor.input_shape == (None, 8)
        for variable in term.predictor.trainable_variables:
            assert method.optimizer.rate_of(variable) is not method.optimizer._learning_rate
    contrast = run.build_method(_config(method="simclr", compare_rgb=1.0, temperature=0.2), 2)
    assert {name: term.temperature for name, term in contrast.terms.items()} == {"joint": 0.2, "rgb": 0.2}
    assert contrast.terms["joint"].projector.input_shape == (None, 32)
    # the encoder starts with the weights of a run without
    for one, other in zip(plain.encoder.get_weights(), contrast.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert build.COMPARE_PARTS == ("simsiam", "simclr")


@pytest.mark.parametrize(
    ("fusion", "policy"),
    [("two_tower", "mixed_bfloat16"), pytest.param("shared", "float32", marks=pytest.mark.slow)],
)
def test_a_step_with_every_fusion_that_has_halves(_small, fusion, policy):
    config = _config(method="simclr", compare_rgb=1.0, compare_hha=1.0, compare_cross=1.0, fusion=fusion)
    with precision(policy):
        method = run.build_method(config, 2)
    before = [variable.numpy() for variable in method.trained_variables]
    random = np.random.default_rng(0)
    views = [{name: np.float32(random.uniform(size=(4, 8, 8, 3))) for name in ("rgb", "hha")} for _ in range(2)]
    logs = method.train_step(batch_of(views))
    assert np.isfinite(list(map(float, logs.values()))).all()
    for old, new in zip(before, method.trained_variables, strict=True):
        assert np.abs(new - old).max() > 0, new.name
