"""Encoders and checkpoints of the other stack: golden/keras2 and keras3 were saved by Keras 2.15 and by Keras 3."""

import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from keras_simsiam.core import keras_compat
from keras_simsiam.core.errors import UserError
from keras_simsiam.dense.monodepth import network
from keras_simsiam.training import run
from keras_simsiam.training.checkpoints import Store
from keras_simsiam.training.config import RunConfig
from tests.golden.encoders import view

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
OTHER = GOLDEN / ("keras2" if keras_compat.KERAS_3 else "keras3")


@pytest.mark.parametrize("saved", ["keras2", "keras3"])
def test_an_encoder_of_either_stack_gives_the_same_embedding(saved):
    encoder = run.load_encoder(str(GOLDEN / saved))
    expected = np.load(GOLDEN / "embedding.npy")
    np.testing.assert_allclose(encoder(view())["embedding"], expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_which_keras_saved_it(tmp_path):
    own = GOLDEN / ("keras3" if keras_compat.KERAS_3 else "keras2")
    assert keras_compat.other_keras(str(own / "encoder.keras")) is None
    assert keras_compat.other_keras(str(OTHER / "encoder.keras")).startswith("2.15" if keras_compat.KERAS_3 else "3.")
    (tmp_path / "no_zip.keras").write_text("x")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({}))
    for name in ("no_zip", "empty", "missing"):
        assert keras_compat.other_keras(str(tmp_path / f"{name}.keras")) is None


def test_a_file_alone_is_refused_with_what_converts_it(tmp_path):
    shutil.copy(OTHER / "encoder.keras", tmp_path)
    with pytest.raises(UserError, match=r"was saved by Keras \d, on Python 3\.1.*flags\.txt of its run next to it$"):
        run.load_encoder(str(tmp_path / "encoder.keras"))
    with pytest.raises(UserError, match=r"was saved by Keras \d.*export\.encoder --depth_network"):
        network.load(str(tmp_path / "encoder.keras"))


@pytest.mark.parametrize(("given", "other"), [("--width=1", "--width=2"), ("--modality=rgbd", "--modality=rgb")])
def test_another_runs_flags_are_refused(tmp_path, given, other):
    """Of a network that asks for less than the file has, Keras would take a part in silence."""
    shutil.copytree(OTHER, tmp_path / "run")
    flags = tmp_path / "run" / "flags.txt"
    text = flags.read_text().replace(given, other)
    flags.write_text(text.replace("--fusion=shared", "--fusion=two_tower") if "=rgb" in other else text)
    with pytest.raises(UserError, match=r"holds another network than flags\.txt next to it says"):
        run.load_encoder(str(tmp_path / "run"))


def test_a_run_does_not_go_on_from_the_other_stacks_checkpoint(tmp_path):
    """By the names in it: what the other stack calls the epoch's means."""
    method = run.build_method(RunConfig("data", "run", modality="rgb", image_size=8, width=1, stem="cifar"), 2)
    store = Store(method, 2, str(tmp_path))
    store.save()
    assert Store(method, 2, str(tmp_path)).restore().epoch == 0
    mean = tf.Variable(0.0)
    others = {"method": tf.Module(), "metrics": [mean]}
    if keras_compat.KERAS_3:
        others = {"method": tf.Module()}
        others["method"]._means = {"loss": mean}
    path = tmp_path / "checkpoints" / "ckpt-1"
    tf.train.Checkpoint(**others).write(str(path))
    with pytest.raises(UserError, match=r"ckpt-1 was written by Keras \d, on Python 3\.1.*another `workdir`$"):
        Store(method, 2, str(tmp_path)).restore()
