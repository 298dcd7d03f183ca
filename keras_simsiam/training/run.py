"""A training run and the folder it lives in: configuration, checkpoints, resume, logs, the trained encoder.

workdir/flags.txt        the flags that made it, usable as --flagfile
        metrics.jsonl    a line an epoch
        tensorboard/     the same for TensorBoard, with view grids, the flags and the embeddings of the last epoch
        checkpoints/     the last states of the run: the same command goes on from there
        figures/         view pairs as the encoder takes them
        encoder.keras    the trained encoder, float32 whatever the run's precision
        encoder_best.keras    that of the epoch in which kNN was best, where the data set has a validation split
        encoder.whitening.npz, encoder_best.whitening.npz    what whitens their embeddings, by the training frames
"""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence

import tensorflow as tf
from tensorflow import keras

from keras_simsiam.core import files, keras_compat
from keras_simsiam.core.dataset import Dataset
from keras_simsiam.core.errors import UserError
from keras_simsiam.methods import build
from keras_simsiam.optimization import schedules
from keras_simsiam.optimization.adamw import adamw
from keras_simsiam.optimization.lamb import lamb
from keras_simsiam.optimization.optimizers import LARS, TorchSGD
from keras_simsiam.training import checkpoints, loop, monitors, saving, signals, starting_weights, whitening
from keras_simsiam.training.config import RunConfig, load_config, open_workdir
from keras_simsiam.training.data import load_data
from keras_simsiam.training.devices import Devices, check_precision, precision
from keras_simsiam.training.trained import BEST, encoder_file, encoder_path, load_encoder, require_encoder  # noqa: F401
from keras_simsiam.training.untrained import encoder_of, untrained_encoder
from keras_simsiam.views import positives
from keras_simsiam.views.batches import records_held, view_batches


def train(
    config: RunConfig,
    dataset: Dataset,
    *,
    knn_dataset: Dataset | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    devices: Devices | None = None,
) -> dict[str, float]:
    """Train a run on a data set to its last epoch, from its newest checkpoint where there is one.

    Example:
        >>> dataset = ks.Dataset(data_dir)
        >>> config = ks.RunConfig(
        ...     dataset.path, workdir, modality="rgb", image_size=32, width=4, batch_size=8, epochs=1
        ... )
        >>> last = ks.train(config, dataset)
        >>> -1 <= last["loss"] <= 1
        True

    Args:
        config: the run's configuration.
        dataset: the data set of `config.data_dir`; a `tfrecords.Dataset` is one.
        knn_dataset: another, labelled data set for the kNN monitor, of `config.knn_data_dir`; None: the same.
        callbacks: more Keras callbacks, called after the run's own.
        devices: the `Devices` of the configuration, where they are made already.

    Returns:
        The epoch's last numbers; empty where the run was already complete.

    Raises:
        ValueError: a data set is not the one that the configuration names.
        UserError: as `data.load_data` and `fit`; a shard is corrupt.
        signals.Stopped: SIGTERM or Ctrl-C, once the step is finished and the state is saved.
    """
    given = dataset.path, knn_dataset.path if knn_dataset else ""
    if given != (config.data_dir, config.knn_data_dir):  # else flags.txt would name what the run was not trained on
        raise ValueError(
            f"the configuration has data_dir={config.data_dir!r}, knn_data_dir={config.knn_data_dir!r}, "
            f"the data sets are of {given[0]!r}, {given[1]!r}: give the same"
        )
    devices = devices or Devices(config.distribution)
    data = load_data(config, dataset, knn_dataset=knn_dataset, devices=devices)
    # Only of a `tfrecords.Dataset`: the protocol does not ask a program's data set for it.
    origin = getattr(dataset, "depth_origin", "")
    if origin and config.modality != "rgb" and devices.is_chief:
        print(f"depth: {origin}", file=sys.stderr)
    with data.naming_corrupt_shards():
        return fit(config, data, callbacks, devices=devices)


def fit(config, data, callbacks=(), *, devices=None):
    """Train a run to its last epoch, from its newest checkpoint where there is one.

    Args:
        config: a `RunConfig`.
        data: a `data.Data`.
        callbacks: more Keras callbacks, called after the run's own.
        devices: the `Devices` of the configuration, where they are made already.

    Returns:
        The epoch's last numbers, a dict; empty where the run was already complete.

    Raises:
        UserError: the workdir holds another configuration or something else; float16 without a GPU; more samples in a batch
            than there are; no labels to supervise by; no recordings to pair frames of; a method, or recordings, that would
            hold more than --cache_gb; the loss is not finite; a checkpoint cannot be read or written; what --init names
            cannot be read, or is another network.
        signals.Stopped: SIGTERM or Ctrl-C, once the step is finished and the state is saved.
    """
    devices = devices or Devices(config.distribution)
    _check_data(config, data, devices)
    data = _paired(config, data)
    start = _Start()
    devices.chief_first(lambda: _open(config, devices, start))
    if os.path.exists(encoder_path(config.workdir)):
        return {}
    config = dataclasses.replace(config, init_sha256=start.sha256)
    if devices.is_chief:
        print("\n  ".join(start.lines), end="\n" if start.lines else "", file=sys.stderr)
    with devices.own_folder(config.workdir) as folder:
        given = dataclasses.replace(config, workdir=folder)
        last = _fit_in(given, data, devices, callbacks, config.workdir, start.weights)
        devices.wait_for_all()
    return last


@dataclasses.dataclass
class _Start:
    """What --init gives a run: weights, None where it has a checkpoint; what is said of them; the hash of their file."""

    weights: list | None = None
    lines: list = dataclasses.field(default_factory=list)
    sha256: str = ""


def _open(config, devices, start):
    """Make or check the run's folder; where the run begins from --init, read that into `start` before."""
    if not devices.is_chief and not os.path.exists(os.path.join(config.workdir, "flags.txt")):
        raise UserError(
            f"`workdir={config.workdir}`: not the chief's; all workers must see one folder, on a shared disk"
        )
    if config.init:
        config = _started(config, start)
    open_workdir(config)


def _started(config, start):
    """The configuration with the hash of what --init names; that is read only where the run begins."""
    if not config.init_sha256 and os.path.exists(os.path.join(config.workdir, "flags.txt")):
        stored = load_config(config.workdir)
        config = dataclasses.replace(config, init_sha256=stored.init_sha256 if stored.init == config.init else "")
    if not checkpoints.exist(config.workdir) and not os.path.exists(encoder_path(config.workdir)):
        config = dataclasses.replace(config, init_sha256=starting_weights.check_source(config)[1])
        encoder, start.lines = starting_weights.starting_encoder(config)
        start.weights = encoder.get_weights()
    start.sha256 = config.init_sha256
    return config


def _fit_in(config, data, devices, callbacks, workdir, starting):
    """Train in the folder that is this process's own, from the newest checkpoint of `workdir`, or from weights."""
    open_workdir(config)
    steps_per_epoch = data.count // config.batch_size
    keras.backend.clear_session()
    with precision(config.precision), devices.strategy.scope():
        method = build_method(
            config, steps_per_epoch, num_classes=data.num_classes, samples=data.count, starting=starting
        )
        store = checkpoints.Store(method, steps_per_epoch, workdir)
        position = store.restore()
        store.save_in(config.workdir)
        batches = _view_batches(config, data, devices, first_epoch=position.epoch, first_step=position.step)
        _forget_epochs_after(config.workdir, position.epoch)
        writer = _events(os.path.join(config.workdir, "tensorboard"))
        with signals.noted() as received:
            last = loop.fit(
                method,
                devices.distribute(batches),
                epochs=config.epochs,
                steps_per_epoch=steps_per_epoch,
                first_epoch=position.epoch,
                first_step=position.step,
                callbacks=[
                    *monitors.run_callbacks(
                        config,
                        data,
                        steps_per_epoch=steps_per_epoch,
                        position=position,
                        draw=_drawing(config, data, devices),
                        writer=writer,
                    ),
                    *_best_encoder(config, data, position),
                    saving.Checkpoints(
                        store, steps_per_epoch, every=config.checkpoint_steps, received=received, devices=devices
                    ),
                    *callbacks,
                ],
            )
    if position.epoch == config.epochs:
        encoder = _float32(config, method.encoder)
        # of equal weights the one whose graph the kNN monitor has made
        is_equal = config.precision == "float32" and config.distribution == "one"
        _save_whitenings(config, data, method.encoder if is_equal else encoder)
        _save_encoder(config, encoder_path(config.workdir), encoder)
    return last


def _check_data(config, data, devices):
    """Refuse data, and a machine, that the configuration cannot train on."""
    check_precision(config.precision)
    devices.check_batch(config.batch_size, config.accumulate)
    if data.count < config.batch_size:
        raise UserError(
            f"`batch_size={config.batch_size}`: the training split has {data.count} frames, give at most that"
        )
    if config.method == "supervised" and not data.num_classes:
        raise UserError("`method=supervised`: the data set has no labels to learn from and a split to test them on")
    build.check_memory(config, data.count)


def _paired(config, data):
    """The data with each frame's partners where the configuration pairs frames; a complete run is spared the reading."""
    if config.positives == "augment" or os.path.exists(encoder_path(config.workdir)):
        return data
    pairs = {"positives": config.positives, "window": config.positive_window}
    records, decode, partner = positives.in_memory(data.records, data.decode, limit_gb=config.cache_gb, **pairs)
    return dataclasses.replace(data, records=records, decode=decode, partner=partner)


def _view_batches(config, data, devices, *, first_epoch, first_step=0, samples=None):
    """Batches of this worker's share of the global one, or of so many samples."""
    workers = devices.worker.num_input_pipelines
    return view_batches(
        *data.cache(data.records, data.decode),
        count=data.count // workers,
        preprocessing=config.preprocessing,
        augmentation=config.augmentation,
        batch_size=min(samples or config.batch_size, config.batch_size // workers),
        seed=config.seed,
        first_epoch=first_epoch,
        first_step=first_step,
        shuffle_records=records_held(config.shuffle_mb, data.record_bytes),
        first_index=data.first_index,
        partner=data.partner,
    )


def build_method(config, steps_per_epoch, *, num_classes=0, samples=1, starting=None):
    """The method of a configuration, with its optimizer, newly initialised from the configuration's seed.

    Args:
        config: a `RunConfig`.
        steps_per_epoch: optimizer steps of one epoch.
        num_classes: number of labels, for supervised pre-training.
        samples: number of training samples, for a method that keeps something of each.
        starting: the encoder's weights, a list of arrays; None: as drawn. The heads are drawn alike with both.

    Returns:
        A compiled `methods.base.Method`.
    """
    keras.utils.set_random_seed(config.seed)
    synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
    encoder = encoder_of(config, synchronized, any_size=config.small_crops > 0)
    if starting is not None:
        encoder.set_weights(starting)
    sizes = build.Sizes(config.epochs * steps_per_epoch, samples, num_classes)
    method = build.build(config, encoder, sizes=sizes, synchronized=synchronized)
    optimizer = _optimizer(config, method, steps_per_epoch)
    method.compile(optimizer, jit_compile=config.jit_compile, accumulate=config.accumulate)
    return method


def _save_whitenings(config, data, encoder):
    """Save what whitens the last encoder's embeddings and the best one's; before the last encoder, which ends the run."""
    encoders, best = {encoder_path(config.workdir): encoder}, os.path.join(config.workdir, BEST)
    if os.path.exists(best):
        encoders[best] = load_encoder(best)
    whitening.fit_and_save(encoders, data, config)


def _float32(config, encoder):
    """An encoder's weights in a float32 encoder: what is evaluated and served does not depend on the run's precision."""
    saved = untrained_encoder(config)
    saved.set_weights(encoder.get_weights())
    return saved


def _save_encoder(config, path, encoder):
    with files.writing(path), files.replacing(path, os.path.join(config.workdir, "encoder.partial.keras")) as partial:
        keras_compat.portable(encoder).save(partial)


def _best_encoder(config, data, position):
    """The callback that keeps the best encoder, in a list; none where that would be a choice by test labels.

    None of several workers either: saving takes all of them, and their accuracies may differ by a rounding.
    """
    if not data.choose_best or config.distribution == "multiworker":
        return []
    path = os.path.join(config.workdir, BEST)
    return [saving.BestEncoder(position, lambda encoder: _save_encoder(config, path, _float32(config, encoder)))]


def _optimizer(config, method, steps_per_epoch):
    rate = schedules.scaled_rate(config.base_lr, config.batch_size)
    schedule = schedules.HalfCosine(
        rate, config.epochs, steps_per_epoch, warmup_epochs=config.warmup_epochs, cosine_per=config.cosine_per
    )
    if config.optimizer == "adamw":
        variables = method.trained_variables
        return adamw(schedule, config.weight_decay, variables=variables, decay=config.decay)
    if config.optimizer == "lamb":
        return lamb(schedule, config.weight_decay, config.decay)
    overrides = []
    if config.predictor_lr != "cosine":
        overrides = [(method.predictor_variables, _predictor_rate(config.predictor_lr, schedule))]
    options = {"momentum": 0.9, "weight_decay": config.weight_decay, "overrides": overrides}
    if config.optimizer == "lars":
        return LARS(schedule, **options)
    return TorchSGD(schedule, decay=config.decay, **options)


def _predictor_rate(predictor_lr, schedule):
    """`fixed`: the cosine's initial value throughout, as in Chen & He's ImageNet runs (Appendix A), in a warm-up too, as in
    solo-learn; else a factor α, α · lr."""
    if predictor_lr == "fixed":
        return schedule.initial
    return schedules.HalfCosine(**schedule.get_config() | {"initial": float(predictor_lr) * schedule.initial})


def _events(folder):
    with files.writing(folder):
        return tf.summary.create_file_writer(folder)


def _drawing(config, data, devices):
    """A function from an epoch, from 0, to the views of the first few samples that it trains on."""
    uncached = dataclasses.replace(data, cache=lambda records, decode: (records, decode))  # the same views, bit for bit

    def draw(epoch):
        batches = _view_batches(config, uncached, devices, first_epoch=epoch, samples=monitors.views.SAMPLES)
        return next(iter(batches))["views"]

    return draw


def _forget_epochs_after(workdir, epoch):
    """Drop the lines of epochs that were logged after the checkpoint a run resumes from: they will come again."""
    path = os.path.join(workdir, "metrics.jsonl")
    if not os.path.exists(path):
        return
    with open(path) as file:
        lines = [line for line in file if line.endswith("\n") and json.loads(line)["epoch"] <= epoch]
    with files.writing(path):
        files.write_text(path, "".join(lines))
