"""Features kept on disk: extracted once for an encoder and the frames it sees, reused by every task and every command.

An entry is a folder, embeddings.npy and facts.npz, that appears complete under a key of all that its numbers depend on.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import time

import numpy as np
import tensorflow as tf

import keras_simsiam
from keras_simsiam.core import files, fingerprint
from keras_simsiam.core.errors import UserError
from keras_simsiam.probes.features import FACTS, Features, finite
from keras_simsiam.views import cache

_EMBEDDINGS, _FACTS = "embeddings.npy", "facts.npz"
_KEY = re.compile("[0-9a-f]{32}")
_ABANDONED = 86400  # seconds without a batch after which a partial entry is that of a process that was killed
# The modules between a sample and its embedding; all that these import counts too.
_CODE = tuple(
    f"keras_simsiam.evaluation.{name}"
    for name in ("corruptions", "encoders.imagenet", "encoders.networks", "encoders.saved_model", "feature_store")
)


def default_folder():
    """Where features lie: `features` in the folder of the caches (`keras_simsiam.views.cache`)."""
    return os.path.join(cache.default_folder(), "features")


class Store:
    """A folder of features.

    Attributes:
        folder: its pathlib.Path.
        limit: the most that all entries may take, in bytes.
    """

    def __init__(self, folder, limit_gb):
        """
        Args:
            folder: path; made when something is to be kept.
            limit_gb: the most that all entries may take, in units of 10⁹ bytes; what was used least recently makes room. What
                this object has given out stays, whatever it takes.
        """
        self.folder, self.limit, self._given = pathlib.Path(folder), limit_gb * files.GB, set()

    def features(self, keys, count, embed):
        """Features from disk, those of an encoder that are not there extracted.

        Args:
            keys: dict from an encoder's name to a text that differs where its features could differ (`key`).
            count: N, the number of samples.
            embed: function from a list of such names to the chunks of their features, as `features.embed_each` yields them.

        Returns:
            A dict from the name to `Features`; the embeddings are a read-only memory map.

        Raises:
            UserError: there are no samples; an embedding is not finite; the folder cannot be written.
        """
        entries = {name: self.folder / hashlib.sha256(key.encode()).hexdigest()[:32] for name, key in keys.items()}
        self._given |= set(entries.values())
        missing = {name: entry for name, entry in entries.items() if not entry.exists()}
        if missing:
            self._extract(missing, count, embed(list(missing)))
            self._make_room()
        return {name: _read(entry) for name, entry in entries.items()}

    def _extract(self, entries, count, chunks):
        with contextlib.ExitStack() as stack:
            with _writing(self.folder):
                partial = [stack.enter_context(files.hidden_folder(self.folder)) for _ in entries]
            _write(partial, count, chunks)
            with _writing(self.folder):
                for folder, entry in zip(partial, entries.values(), strict=True):
                    _publish(folder, entry)

    def _make_room(self):
        """Deletes the least recently used entries beyond the limit, and what killed processes left; nothing else."""
        for left in filter(_is_abandoned, self.folder.glob(files.PARTIAL + "*")):
            shutil.rmtree(left, ignore_errors=True)
        entries = filter(_is_entry, self.folder.iterdir())
        sizes = {entry: sum(file.stat().st_size for file in entry.iterdir()) for entry in entries}
        excess = sum(sizes.values()) - self.limit
        for entry in sorted(sizes, key=lambda entry: entry.stat().st_mtime):
            if excess > 0 and entry not in self._given:
                shutil.rmtree(entry, ignore_errors=True)
                excess -= sizes[entry]


def key(encoder, preprocessing, samples, condition):
    """A text of all that decides an encoder's features of some samples.

    Args:
        encoder: a text that decides its weights.
        preprocessing: a text of what its samples go through.
        samples: a text that decides them and their order.
        condition: the name of the condition under which they are seen (`corruptions.CONDITIONS`).

    Returns:
        A text that changes with these, with the code between the sample and the embedding, and with the versions.
    """
    facts = [
        encoder,
        preprocessing,
        samples,
        condition,
        fingerprint.of(*_CODE),
        keras_simsiam.__version__,
        tf.__version__,
    ]
    return json.dumps(facts)


def _is_entry(path):
    """Whether a path in the folder is an entry: --feature_cache may name a folder in which a user keeps other things."""
    return bool(_KEY.fullmatch(path.name)) and (path / _FACTS).is_file()


def _is_abandoned(path):
    """Whether a partial folder is that of features, not of another command's output, and of a process that was killed."""
    if not path.is_dir() or time.time() - path.stat().st_mtime < _ABANDONED:
        return False
    return {file.name for file in path.iterdir()} <= {_EMBEDDINGS, _FACTS}


def _write(folders, count, chunks):
    """Writes each encoder's embeddings as they come: a large split is never in memory as a whole."""
    facts = []
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open(folder / _EMBEDDINGS, "wb")) for folder in folders]
        for embeddings, known in chunks:
            for file, part in zip(opened, embeddings, strict=True):
                with _writing(file.name):
                    _append(file, finite(part), count)
            facts.append(known)
    if not facts:
        raise UserError("there are no samples to evaluate: check the split and its shards")
    joined = {name: np.concatenate([part[name] for part in facts]) for name in FACTS}
    for folder in folders:
        with _writing(folder):
            np.savez(folder / _FACTS, **joined)


def _append(file, embeddings, count):
    """Writes rows of an array of `count` rows, the header before the first."""
    if not file.tell():
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, embeddings.shape[1])}
        np.lib.format.write_array_header_1_0(file, header)
    file.write(np.ascontiguousarray(embeddings, "<f4"))


def _writing(path):
    return files.writing(path, "make room or name another folder by `feature_cache`")


def _publish(partial, entry):
    """Gives a complete entry its name; where another process was faster, its entry stands."""
    try:
        os.rename(partial, entry)
    except OSError:
        if not entry.exists():
            raise


def _read(entry):
    """Features of an entry, which counts as used now."""
    with contextlib.suppress(OSError):  # of a cache that may be read and not written
        os.utime(entry)
    embeddings = np.load(entry / _EMBEDDINGS, mmap_mode="r")
    with np.load(entry / _FACTS) as facts:
        return Features(embeddings, facts["label"], facts["frame"], facts["instance"])
