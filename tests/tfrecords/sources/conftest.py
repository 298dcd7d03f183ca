"""A labelled .mat file in the layout of NYU Depth v2."""

import h5py
import numpy as np
import pytest


@pytest.fixture
def write_nyu(tmp_path):
    """A function that writes nyu_depth_v2_labeled.mat and gives its path.

    Images and depths that are not given are empty: HDF5 then stores nothing of them, however many there are. Cell arrays
    are vectors of object references, as MATLAB 7.3 keeps them.
    """

    def write(count, images=None, depths=None, raw_depths=None, accel=None, **cells):
        path = str(tmp_path / "nyu_depth_v2_labeled.mat")
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, shape, kind, values in (
                ("images", (count, 3, 640, 480), np.uint8, images),
                ("depths", (count, 640, 480), np.float32, depths),
                ("rawDepths", (count, 640, 480), np.float32, raw_depths),
            ):
                variable = file.create_dataset(name, shape, kind, chunks=(1, *shape[1:]), maxshape=(None, *shape[1:]))
                for index, value in enumerate([] if values is None else values):
                    variable[index] = value.T
            if accel is not None:
                file["accelData"] = np.asarray(accel, float).T
            for name, texts in cells.items():
                references = file.create_dataset(name, (1, len(texts)), h5py.ref_dtype)
                for index, text in enumerate(texts):
                    letters = np.array([[ord(letter)] for letter in text], np.uint16)
                    references[0, index] = file.create_dataset(f"#refs#/{name}{index}", data=letters).ref
        with open(path, "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
        return path

    return write
