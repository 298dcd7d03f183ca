import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core.errors import UserError
from keras_simsiam.evaluation import finetuning
from keras_simsiam.evaluation.tasks.finetune import make_plan
from keras_simsiam.views.augmentation import Augmentation
from keras_simsiam.views.preprocessing import Preprocessing

SIZE = 8
PREPROCESSING, AUGMENTATION = Preprocessing("rgb", SIZE), Augmentation()
LABELS = np.arange(24) % 2


@pytest.fixture(scope="module")
def samples():
    """Bright frames and dark ones, of sizes of their own."""
    random = np.random.default_rng(0)
    frames = [
        (60 + 120 * label + random.integers(-40, 40, (10 + i % 3, 12, 3))).astype(np.uint8)
        for i, label in enumerate(LABELS)
    ]
    spec = {"rgb": tf.TensorSpec([None, None, 3], tf.uint8), "label": tf.TensorSpec([], tf.int64)}
    return tf.data.Dataset.from_generator(
        lambda: ({"rgb": rgb, "label": label} for rgb, label in zip(frames, LABELS, strict=True)), output_signature=spec
    )


@pytest.fixture
def encoder():
    keras.utils.set_random_seed(0)
    x = keras.Input((SIZE, SIZE, 3), name="rgb")
    y = keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Conv2D(4, 3)(x))
    return keras.Model({"rgb": x}, {"embedding": keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(y))})


@pytest.fixture(scope="module")
def frames(samples):
    return finetuning.keep(samples, np.arange(4, 24), LABELS, preprocessing=PREPROCESSING, limit_gb=1.0)


def test_the_frames_kept_are_those_of_the_places(samples, frames):
    rows = np.array([3, 0, 19])
    found = np.concatenate([view["rgb"].numpy() for view in frames.clean(rows, 2)])
    every = [sample["rgb"].numpy() for sample in samples]
    for image, row in zip(found, rows, strict=True):
        assert image.mean() * 255 == pytest.approx(every[4 + row].mean(), abs=6)
    np.testing.assert_array_equal(frames.labels, LABELS[4:])
    np.testing.assert_array_equal([frames.decode(row)["label"] for row in range(20)], LABELS[4:])
    with pytest.raises(UserError, match="`cache_gb=1e-09`: 3 frames to learn from and validate by do not fit"):
        finetuning.keep(samples, np.arange(3), LABELS, preprocessing=PREPROCESSING, limit_gb=1e-9)


def test_it_learns_and_leaves_the_encoder_as_it_is(encoder, frames):
    before = [weight.copy() for weight in encoder.get_weights()]
    validation = np.arange(14, 20)
    recipe = finetuning.Recipe(epochs=40, base_lr=4.0, seed=0)
    network, accuracies = finetuning.train(
        encoder,
        2,
        frames=frames,
        rows=np.arange(14),
        validation=validation,
        augmentation=AUGMENTATION,
        recipe=recipe,
    )
    assert len(accuracies) == 40 and max(accuracies) == 1
    for weight, was in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    assert not np.allclose(network.get_weights()[0], before[0])  # the encoder is trained, not the classifier alone
    view = next(iter(frames.clean(validation, 6)))
    logits = network(view, training=False)["embedding"].numpy()
    # the weights are those of the epoch that was chosen, not of the last
    assert np.mean(logits.argmax(1) == frames.labels[validation]) == max(accuracies)


def test_a_loss_that_is_no_number_is_one_line(encoder, frames):
    encoder.set_weights([weight * np.nan for weight in encoder.get_weights()])
    with pytest.raises(UserError, match="lower `finetune_lr`"):
        finetuning.train(
            encoder,
            2,
            frames=frames,
            rows=np.arange(8),
            validation=np.arange(8, 12),
            augmentation=AUGMENTATION,
            recipe=finetuning.Recipe(1, 0.1, 0),
        )


@pytest.mark.parametrize(
    ("accuracies", "epoch"), [([0.5], 1), ([0.1, 0.9, 0.2], 2), ([0.1, 0.9, 0.2, 0.9, 0.3], 4), ([0.0, 0.0], 2)]
)
def test_of_several_best_epochs_the_last(accuracies, epoch):
    assert finetuning.best_epoch(accuracies) == epoch


def test_no_frame_is_learnt_from_and_validated_by():
    labels = np.random.default_rng(0).integers(0, 5, 203)
    plan = make_plan(labels, (0.1, 1.0), range(3), 5)
    assert len(plan.validation) == 20 and len(np.bincount(labels[plan.places[plan.validation]])) == 5
    for name, size in (("10 %", 20), ("100 %", 183)):
        for rows in plan.learnt[name]:
            assert len(rows) == len(set(rows)) == size and not set(rows) & set(plan.validation)
    first, second, _ = (set(rows) for rows in plan.learnt["10 %"])
    assert first != second
    counts = np.bincount(labels[plan.places[plan.learnt["10 %"][0]]])
    np.testing.assert_array_equal(counts, 4)


def test_a_validation_split_leaves_all_training_frames_to_learn_from():
    labels = np.random.default_rng(0).integers(0, 5, 203)
    plan = make_plan(labels, (0.1, 1.0), range(2), 5, apart=30)
    np.testing.assert_array_equal(plan.places[plan.validation], np.arange(203, 233))
    for name, size in (("10 %", 20), ("100 %", 203)):
        for rows in plan.learnt[name]:
            assert len(set(rows)) == size and plan.places[rows].max() < 203
