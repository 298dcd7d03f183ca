"""The epochs of a run: what `keras.Model.fit` does with a `train_step`, but able to begin in mid-epoch."""

from tensorflow import keras

from keras_simsiam.core import keras_compat

_STEP_ENDS = ("on_train_batch_end", "on_batch_end")  # the second is what the first calls


def fit(method, batches, *, epochs, steps_per_epoch, callbacks, first_epoch=0, first_step=0):
    """Train by the method's `train_step`, with Keras callbacks.

    `fit` takes the epoch to begin with as an argument, but no step. Keras's own way to resume in mid-epoch, BackupAndRestore,
    exists in Keras 2 alone.

    Args:
        method: a compiled `methods.base.Method`.
        batches: an iterable of what `train_step` takes, as `Devices.distribute` gives it; the first is that of `first_step`.
        epochs: number of epochs, those before `first_epoch` included.
        steps_per_epoch: batches in each.
        callbacks: Keras callbacks.
        first_epoch: epoch to begin with, from 0.
        first_step: step of that epoch to begin with, from 0.

    Returns:
        The last epoch's numbers, a dict of floats with what callbacks have added; empty where no epoch was left.
    """
    listeners = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=method, epochs=epochs, steps=steps_per_epoch
    )
    method.stop_training = False
    train = keras_compat.train_function(method)
    iterator = iter(batches)
    listeners.on_train_begin()
    for epoch in range(first_epoch, epochs):
        for metric in method.metrics:
            metric.reset_state()
        listeners.on_epoch_begin(epoch)
        for step in range(first_step, steps_per_epoch):
            listeners.on_train_batch_begin(step)
            logs = train(iterator)
            _step_ended(listeners.callbacks, step, logs)
        first_step = 0
        listeners.on_epoch_end(epoch, {name: float(value) for name, value in logs.items()})
        if method.stop_training:
            break
    listeners.on_train_end()
    return {name: values[-1] for name, values in method.history.history.items()}


def _step_ended(callbacks, step, logs):
    """Tells the callbacks; the numbers stay on the device unless one wants to read them, which waits for the device.

    As the CallbackList of Keras 2; that of Keras 3 reads them at each step.
    """
    read = None
    for callback in callbacks:
        if getattr(callback, "_supports_tf_logs", False):
            callback.on_train_batch_end(step, logs)
        elif any(getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name) for name in _STEP_ENDS):
            read = read or {name: float(value) for name, value in logs.items()}
            callback.on_train_batch_end(step, read)
