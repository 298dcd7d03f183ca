"""--task=monodepth: how well depth can be read from an encoder of colour (Ray)."""

import dataclasses
import functools

import numpy as np

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.core.settings import setting
from keras_simsiam.dense.monodepth import depth_training, frames, metrics, network, pictures, summary
from keras_simsiam.evaluation.encoders.compared import STARTING, TRAINED, UNTRAINED
from keras_simsiam.evaluation.encoders.source import IMAGENET
from keras_simsiam.evaluation.tasks import Seed

_RANDOM = "random"
_SHOWN = 6  # frames in the figure
_MEAN, _PIXEL_MEAN = "no image: mean depth", "no image: mean depth of each pixel"
_NETWORK = "depth_network_{strategy}.keras"
_PREDICTIONS, _PICTURE, _CURVES = "predictions_monodepth.npz", "monodepth_predictions.png", "monodepth_curves.png"


@dataclasses.dataclass(frozen=True)
class Settings(depth_training.Settings, Seed):
    """What is trained, how often and how."""

    depth_strategy: tuple[str, ...] = setting(
        ("probe",),
        "What learns depth, of probe (the decoder), finetune, switch.",
        choices=depth_training.STRATEGIES,
    )
    depth_trials: int = setting(5, "Decoders trained of each configuration, from `seed` on.", low=1)


def check(compared, data, settings):
    """Refuses data without depth, an encoder that cannot but see it, and a switch of strategy without time for it.

    Raises:
        UserError: one line that names the flag and the remedy.
    """
    data.require_depth("monodepth")
    if "switch" in settings.depth_strategy and settings.depth_epochs < 2:
        raise UserError(f"`depth_epochs={settings.depth_epochs}`: `depth_strategy=switch` needs two, one of each kind")
    for encoder in compared.encoders.values():
        network.colour_encoder(encoder)


def run(compared, data, output, settings):
    """Trains a decoder behind each encoder by each strategy, and measures the depth that it predicts of the test split.

    The test split's depth reaches scores and pictures alone: the epoch is chosen on the split `val`, where there is one.

    Args:
        compared: `ComparedEncoders`.
        data: a `Data` with depth; its classes take no part.
        output: Path of the folder for the predictions of all trials, the two figures, and the depth network that the first
            trial of each strategy has made of the trained encoder.
        settings: `Settings`; the seed is of the first trial, the next has one more.

    Returns:
        A task's results (keras_simsiam.evaluation.tasks): `configurations`, by names such as `contrastive probe`: what
        `summary.summarise` gives; `histories` and `epochs` as `training.Trained` has them, a list a trial; `against` the
        untrained encoder and no image, what `summary.difference` says of rel. `baselines`: predictions that take no image.
        `networks`: the file of each depth network, by its configuration.

    Raises:
        UserError: a split has no frames or no depth; the error is no longer finite.
    """
    material = _material(compared, data)
    size, mean = material.image_size, material.scale.mean
    test = frames.centre_crops(frames.prepared(data.dataset.samples(data.test), size), size)
    blind = {_MEAN: mean, _PIXEL_MEAN: frames.mean_of_each_pixel(material.frames, size, mean)}
    predicted = {name: np.broadcast_to(depth, (1, *test.depth.shape)) for name, depth in blind.items()}
    # before any training, as it refuses a test split without depth
    baselines = {name: summary.summarise(depths, test) for name, depths in predicted.items()}

    found, others, kept = {}, {}, {}
    seeds = range(settings.seed, settings.seed + settings.depth_trials)
    for encoder_name, name, untrained, encoder, strategy in _configurations(compared, settings.depth_strategy):
        trained = functools.partial(depth_training.train, encoder, strategy, material, settings)
        if encoder_name == TRAINED:
            kept[name] = _NETWORK.format(strategy=strategy)
        keep = output / kept[name] if name in kept else None
        predicted[name], course = _trials(name, trained, seeds, test.rgb, keep, data.progress)
        found[name] = summary.summarise(predicted[name], test) | course
        others[name] = {_RANDOM: untrained, "no image": _PIXEL_MEAN}
    for name in found:
        found[name]["against"] = _against(name, others[name], predicted, test)
    _write(output, test, {name: predicted[name] for name in found}, found)
    return {
        "protocol": _protocol(settings, material),
        "table": summary.table(found, baselines),
        "configurations": found,
        "baselines": baselines,
        "train_depth": dataclasses.asdict(material.scale),
        "validation_frames": 0 if material.validation is None else len(material.validation.frames),
        "networks": kept,
        "files": [_PREDICTIONS, _PICTURE, _CURVES, *kept.values()],
    }


def _material(compared, data):
    size = compared.preprocessing.image_size
    learnt = frames.prepared(data.dataset.samples(data.train), size).cache()
    return depth_training.Material(learnt, frames.scale_of(learnt), _validation(data, size), size)


def _validation(data, size):
    """The `Crops` by which the epoch is chosen; None where there is no validation split apart from the two others."""
    if not data.validation:
        return None
    crops = frames.centre_crops(frames.prepared(data.dataset.samples(data.validation), size), size)
    if not np.any(crops.depth > 0):
        raise UserError(
            f"split {data.validation} of {data.dataset.path} has no measured depth: build the data set without it"
        )
    return crops


def _configurations(compared, strategies):
    """(encoder's name, name, that of the untrained encoder, encoder of colour, strategy) of all that is trained.

    Names are such as `contrastive probe`, or `contrastive (RGB tower) probe` of an encoder that has a tower of depth too.
    """
    for encoder_name, encoder in compared.encoders.items():
        colour, is_tower = network.colour_encoder(encoder)
        tower = " (RGB tower)" if is_tower else ""
        for strategy in dict.fromkeys(strategies):
            name, untrained = (f"{kind}{tower} {strategy}" for kind in (_kind(compared, encoder_name), _RANDOM))
            yield encoder_name, name, untrained, colour, strategy


def _kind(compared, encoder_name):
    """What trained an encoder, in the paper's words."""
    if encoder_name == UNTRAINED:
        return _RANDOM
    if encoder_name == STARTING:
        return STARTING
    source = compared.source
    if source.kind == IMAGENET:
        return "classification"
    if source.config is None:
        return encoder_name
    return "classification" if source.config.method == "supervised" else "contrastive"


def _trials(name, train, seeds, rgb, keep, progress):
    """Trains once a seed: predictions of images, float32 [T,N,S,S], and what happened, as JSON can hold it.

    The first network is written to the path `keep`, unless that is None.
    """
    predicted, courses = [], []
    for trial, seed in enumerate(seeds, start=1):
        trained = train(seed)
        error = f"{trained.train[-1]:.4f} m² on the training frames"
        progress(f"monodepth: {name}, trial {trial} of {len(seeds)}: {error}")
        if keep and trial == 1:
            keras_compat.portable(trained.model).save(keep)
        predicted.append(depth_training.predict(trained.model, rgb))
        courses.append((trained.epoch, trained.train, trained.validation))
    epochs, train_errors, validation_errors = (list(values) for values in zip(*courses, strict=True))
    return np.stack(predicted), {
        "epochs": epochs,
        "histories": {"train": train_errors, "validation": validation_errors},
    }


def _against(name, others, predicted, test):
    """What the difference of a configuration from others is worth, in rel, of those there are."""
    return {
        other: summary.difference(predicted[name], predicted[key], test, "rel")
        for other, key in others.items()
        if key in predicted and key != name
    }


def _protocol(settings, material):
    """All that changes the numbers, in one line."""
    last = "the last one, as there is no split val"
    chosen = last if material.validation is None else "of the lowest error on split val"
    count, size = material.scale.count, material.image_size
    return (
        f"decoder {settings.depth_decoder}, {', '.join(settings.depth_strategy)}, {settings.depth_trials} trial(s), "
        f"{settings.depth_epochs} epochs of {count} frames, Adam {settings.depth_lr:g}, "
        f"batch {min(settings.depth_batch_size, count)}, epoch: {chosen}; "
        f"centre crops of {size}×{size}, missing depth left out, predictions clipped to "
        f"{metrics.NEAREST:g}..{metrics.FARTHEST:g} m but for mse and rmse"
    )


def _write(output, test, predicted, configurations):
    np.savez_compressed(output / _PREDICTIONS, frames=test.frames, depth=test.depth, **predicted)
    measured = np.flatnonzero((test.depth > 0).any(axis=(1, 2)))
    shown = measured[np.unique(np.linspace(0, len(measured) - 1, _SHOWN).round().astype(int))]
    first_trials = {name: depths[0][shown] for name, depths in predicted.items()}
    pictures.predictions(test.rgb[shown], test.depth[shown], first_trials, output / _PICTURE)
    pictures.curves({name: found["histories"] for name, found in configurations.items()}, output / _CURVES)
