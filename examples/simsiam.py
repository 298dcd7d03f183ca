"""From shards, or from your own arrays, to a trained encoder and its kNN score, as a program of yours would do it.

python -m examples.simsiam data/washington
python -m examples.simsiam
"""

import sys

import numpy as np
import tensorflow as tf

import keras_simsiam as ks

IMAGE_SIZE, BATCH, EPOCHS = 64, 32, 5


def from_shards(data_dir):
    """The train and test samples of a data set that tfrecords.build wrote."""
    dataset = ks.Dataset(data_dir)
    return dataset.samples("train"), dataset.samples("test"), "rgbd" if dataset.has_depth else "rgb"


def from_arrays(count=96, size=48):
    """Samples of your own arrays: here noise in three colours before walls that lean in three ways."""
    random, label = np.random.default_rng(0), np.arange(count) % 3
    colour = 50 + 70 * np.eye(3)[label][:, None, None]  # Nx1x1x3
    lean = np.linspace(-0.3, 0.3, size) * (label - 1)[:, None]  # NxW, metres
    frames = {
        "rgb": random.normal(colour, 25, (count, size, size, 3)).clip(0, 255).astype(np.uint8),
        "depth": random.normal(1.5 + lean[:, None], 0.01, (count, size, size)).astype(np.float32),
        "intrinsics": np.tile(np.float32([size, size, size / 2, size / 2]), (count, 1)),
        "label": label,
    }
    samples = tf.data.Dataset.from_tensor_slices(frames)
    return samples.skip(count // 4), samples.take(count // 4), "rgbd"


def main(train, test, modality):
    """Trains SimSiam without labels, then asks kNN for the labels of the test samples."""
    preprocessing = ks.Preprocessing(modality, IMAGE_SIZE)
    batches = ks.view_batches(train, preprocessing=preprocessing, batch_size=BATCH)
    encoder = ks.build_encoder(modality, "resnet18", IMAGE_SIZE, width=16, stem="cifar")
    method = ks.SimSiam(encoder, ks.projector(encoder.output["embedding"].shape[-1]), ks.predictor())
    method.compile(ks.TorchSGD(0.05 * BATCH / 256, weight_decay=1e-4))
    method.fit(batches, epochs=EPOCHS, steps_per_epoch=len(train) // BATCH)

    bank, queries = (ks.features(encoder, samples, preprocessing) for samples in (train, test))
    predicted = ks.knn(bank.embeddings, bank.labels, queries.embeddings)
    print(f"kNN: {100 * np.mean(predicted == queries.labels):.1f} % of {len(predicted)} test frames")


if __name__ == "__main__":
    main(*(from_shards(sys.argv[1]) if sys.argv[1:] else from_arrays()))
