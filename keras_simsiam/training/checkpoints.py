"""Checkpoints of a run: all that the same command needs to go on as if it had never stopped, even in mid-epoch.

checkpoints/ckpt-<n>.data-00000-of-00001, ckpt-<n>.index    the state after n steps of the optimizer
            partial/                                        one that is being written
"""

import json
import os
import re
import shutil
import sys

import tensorflow as tf
from tqdm import tqdm

from keras_simsiam.core import files, keras_compat
from keras_simsiam.core.errors import UserError

CHECKPOINTS_KEPT = 2


class Position(tf.train.experimental.PythonState):
    """Where a run is, besides what its method holds.

    Attributes:
        epoch: number of finished epochs.
        step: number of finished steps of the epoch begun after those, 0 where none is.
        best_knn: as `best_knn_whitened`, of features as they are: what earlier versions chose by.
        first_loss: the loss of the run's first step, of the untrained network; None before it.
        untrained: dict of what the kNN monitor measured before the first step, None before that.
        best_knn_whitened: the accuracy of kNN on whitened features for which the best encoder was kept, 0 before the first.
    """

    _NAMES = ("epoch", "step", "best_knn", "first_loss", "untrained", "best_knn_whitened")

    def __init__(self):
        self.epoch, self.step, self.first_loss, self.untrained = 0, 0, None, None
        self.best_knn = self.best_knn_whitened = 0.0

    def serialize(self):
        """The attributes as JSON, for tf.train.Checkpoint."""
        return json.dumps([getattr(self, name) for name in self._NAMES])

    def deserialize(self, string_value):
        """Take what `serialize` gave; what an earlier version did not write stays as it is."""
        for name, value in zip(self._NAMES, json.loads(string_value), strict=False):
            setattr(self, name, value)


class Store:
    """The checkpoints of a run directory, of which the newest few are kept.

    They are found by listing the folder, as a file that names the newest could be wrong. Each is written in a separate folder,
    and its index, by which it is found, is moved last: what a kill leaves behind is never taken for a checkpoint.

    Attributes:
        method: the run's method.
        position: the run's `Position`.
        folder: path of the checkpoints.
        last_good: path of the newest that was read or written, without its suffix; None where there is none.
    """

    def __init__(self, method, steps_per_epoch, workdir):
        """
        Args:
            method: a compiled `methods.base.Method`.
            steps_per_epoch: optimizer steps of one epoch.
            workdir: the run's folder.
        """
        method.optimizer.build(method.trained_variables)  # or its velocities would be made, empty, after the restore
        self.method = method
        self.position = Position()
        self.folder = self._written = os.path.join(workdir, "checkpoints")
        self.last_good = None
        self._steps_per_epoch = steps_per_epoch
        self._state = tf.train.Checkpoint(method=method, position=self.position, **keras_compat.untracked(method))

    def restore(self):
        """Put the newest readable checkpoint, if any, into the method and the position; warn of unreadable ones.

        Returns:
            The position.

        Raises:
            UserError: checkpoints exist and none can be read, or they are of the other stack (docs/stacks.md).
        """
        unreadable = []
        for number in reversed(_numbers(self.folder)):
            path = self._path(number)
            if keras_compat.is_of_other_keras(path):
                raise UserError(
                    f"{path} was written {keras_compat.OTHER_STACK}: go on there, or choose another `workdir`"
                )
            try:
                self._state.read(path).assert_existing_objects_matched()
            except Exception as error:  # of many kinds, by what of a file is damaged
                unreadable.append(f"{path} ({files.reason(error)})")
                continue
            self.last_good = path
            if unreadable:
                tqdm.write(f"WARNING: unreadable: {', '.join(unreadable)}; going on from {path}", file=sys.stderr)
            return self.position
        if unreadable:
            raise UserError(
                f"{self.folder}: no checkpoint is readable, {', '.join(unreadable)}: "
                "put a copy there, or delete that folder, and the same command starts over"
            )
        return self.position

    def save_in(self, workdir):
        """From now on writes to another folder: all workers must write what is saved, and only the chief's counts."""
        self._written = os.path.join(workdir, "checkpoints")

    def save(self):
        """Write the state, all at once, and delete what it replaces: older checkpoints, and later ones that were unreadable.

        Raises:
            UserError: it cannot be written; the earlier ones stay as they are.
        """
        number = self.position.epoch * self._steps_per_epoch + self.position.step
        last_good = self.last_good or "which would have been the first"
        remedy = f"make room, and the same command goes on from the last good checkpoint, {last_good}"
        with files.writing(self._written, remedy):
            self._write(os.path.basename(self._path(number)))
        self.last_good = self._path(number)
        _delete_all_but(
            self._written, [other for other in _numbers(self._written) if other <= number][-CHECKPOINTS_KEPT:]
        )

    def _write(self, name):
        """Write the state in a separate folder, and move it, once it is on the disk, to where it is found."""
        partial = os.path.join(self._written, "partial")
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        try:
            self._state.write(os.path.join(partial, name))
            for file in sorted(os.listdir(partial)):  # so the data come before the index
                files.flush(os.path.join(partial, file))
                os.replace(os.path.join(partial, file), os.path.join(self._written, file))
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        files.flush(self._written)

    def _path(self, number):
        return os.path.join(self.folder, f"ckpt-{number}")


def exist(workdir):
    """Whether a run has a checkpoint, readable or not."""
    return bool(_numbers(os.path.join(workdir, "checkpoints")))


def _numbers(folder):
    """The numbers of all checkpoints of a folder, ascending."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"ckpt-(\d+)\.index", name)))


def _delete_all_but(folder, kept):
    for name in sorted(os.listdir(folder), reverse=True):  # an index before its data
        match = re.fullmatch(r"ckpt-(\d+)\..*", name)
        if match and int(match[1]) not in kept:
            os.remove(os.path.join(folder, name))
