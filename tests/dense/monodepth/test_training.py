import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import depth_training, frames, network

SIZE = 16
SETTINGS = depth_training.Settings(depth_epochs=4, depth_batch_size=4, depth_lr=1e-2)


def scenes(count, seed, missing=0.3):
    """A dataset of frames whose brightness is their depth, some of it missing."""
    random = np.random.default_rng(seed)
    depth = np.repeat(np.repeat(random.uniform(1, 2, (count, 5, 6)), 4, 1), 4, 2).astype(np.float32)
    rgb = np.repeat((depth[..., None] * 120).astype(np.uint8), 3, -1)
    depth[random.uniform(size=depth.shape) < missing] = 0
    names = [f"frame_{index}" for index in range(count)]
    samples = tf.data.Dataset.from_tensor_slices({"rgb": rgb, "depth": depth, "frame": names})
    return frames.prepared(samples, SIZE).cache()


@pytest.fixture(scope="module")
def parts(tiny):
    """(encoder, training frames, their scale, validation crops)."""
    learnt = scenes(9, 0)
    return tiny, learnt, frames.scale_of(learnt), frames.centre_crops(scenes(5, 1), SIZE)


def run(parts, strategy, settings=SETTINGS, seed=0, validation=False):
    encoder, learnt, scale, crops = parts
    material = depth_training.Material(learnt, scale, crops if validation else None, SIZE)
    return depth_training.train(encoder, strategy, material, settings, seed)


@pytest.fixture(scope="module")
def trained(parts):
    return {strategy: run(parts, strategy) for strategy in depth_training.STRATEGIES}


@pytest.fixture(scope="module")
def chosen(parts):
    return run(parts, "finetune", validation=True)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_each_strategy_changes(parts, trained):
    before = parts[0].get_weights()
    after = {strategy: one.model.get_layer("encoder").get_weights() for strategy, one in trained.items()}
    assert same(after["probe"], before)  # the moving statistics of BatchNorm too
    assert not same(after["finetune"], before)
    assert not same(after["switch"], before)


def test_switch_probes_first(trained):
    half = SETTINGS.depth_epochs // 2
    assert trained["switch"].train[:half] == trained["probe"].train[:half]
    assert trained["switch"].train[half:] != trained["probe"].train[half:]
    assert trained["finetune"].train[:half] != trained["probe"].train[:half]


def test_the_epoch_of_the_lowest_validation_error_is_kept(parts, chosen):
    crops = parts[3]
    assert len(chosen.train) == len(chosen.validation) == SETTINGS.depth_epochs
    assert chosen.epoch == 1 + np.argmin(chosen.validation)
    errors = (depth_training.predict(chosen.model, crops.rgb, 2) - crops.depth)[crops.depth > 0]
    assert np.mean(errors**2) == pytest.approx(min(chosen.validation), rel=1e-4)


def test_without_validation_the_last_epoch_is_kept(trained):
    for one in trained.values():
        assert one.epoch == SETTINGS.depth_epochs and one.validation == []


def test_a_seed_decides_all_and_validation_nothing_of_the_training(parts, trained, chosen):
    assert chosen.train == trained["finetune"].train
    assert run(parts, "finetune", seed=1).train != trained["finetune"].train


def test_the_skip_connected_decoder_learns_also_from_fewer_frames_than_a_batch(parts):
    settings = dataclasses.replace(SETTINGS, depth_decoder="skip", depth_epochs=25, depth_batch_size=64)
    one = run(parts, "probe", settings)
    assert min(one.train) < 0.4 * parts[2].std ** 2  # what the mean depth gives


def test_a_diverging_error(parts):
    with pytest.raises(UserError, match="lower `depth_lr`"):
        run(parts, "probe", dataclasses.replace(SETTINGS, depth_lr=1e30))


def test_a_frozen_encoder_that_has_changed_is_noticed(parts, monkeypatch):
    def build(*arguments):
        built = network.build(*arguments)
        built.encoder.set_weights([values + 1 for values in built.encoder.get_weights()])
        return built

    monkeypatch.setattr(depth_training, "network", type("module", (), {"build": staticmethod(build)}))
    with pytest.raises(RuntimeError, match="frozen encoder"):
        run(parts, "probe", dataclasses.replace(SETTINGS, depth_epochs=1))


def test_squared_error():
    random = np.random.default_rng(0)
    prediction, truth = random.normal(size=(2, 5, 5)), np.abs(random.normal(size=(2, 5, 5)))
    truth[0, :3] = 0
    total, measured = depth_training.squared_error(tf.constant(prediction, tf.float32), tf.constant(truth, tf.float32))
    assert float(measured) == 35
    assert float(total) == pytest.approx(np.square(prediction - truth)[truth > 0].sum(), rel=1e-5)
    assert [float(part) for part in depth_training.squared_error(tf.ones((1, 2, 2)), tf.zeros((1, 2, 2)))] == [0, 0]
