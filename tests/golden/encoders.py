"""Writes a run's encoder as each stack saves it: python -m tests.golden.encoders, on the classic stack, then on the modern.

keras2/ and keras3/ hold flags.txt and encoder.keras, with the same weights; embedding.npy what the first makes of a view.
"""

import pathlib
import zipfile

import numpy as np

from keras_simsiam.core import keras_compat, settings
from keras_simsiam.training.config import RunConfig
from keras_simsiam.training.untrained import untrained_encoder

FOLDER = pathlib.Path(__file__).parent


def view():
    """A batch of three views."""
    random = np.random.default_rng(0)
    return {
        name: np.float32(random.uniform(0, 1, (3, 16, 16, channels))) for name, channels in (("rgb", 3), ("hha", 4))
    }


def main():
    folder = FOLDER / ("keras3" if keras_compat.KERAS_3 else "keras2")
    config = RunConfig(
        "data", folder.name, modality="rgbd", image_size=16, width=1, stem="cifar", fusion="shared", holes="mask"
    )
    encoder, random = untrained_encoder(config), np.random.default_rng(1)
    for variable in encoder.variables:
        low = 0.5 if "variance" in variable.name else -1
        variable.assign(np.float32(random.uniform(low, 1, variable.shape)))
    folder.mkdir(exist_ok=True)
    (folder / "flags.txt").write_text("".join(line + "\n" for line in settings.to_lines(config)))
    keras_compat.portable(encoder).save(folder / "stored.keras")
    with (
        zipfile.ZipFile(folder / "stored.keras") as stored,
        zipfile.ZipFile(folder / "encoder.keras", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    (folder / "stored.keras").unlink()
    if not keras_compat.KERAS_3:
        np.save(FOLDER / "embedding.npy", encoder(view())["embedding"].numpy())


if __name__ == "__main__":
    main()
