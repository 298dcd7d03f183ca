"""Reads what data sets keep in .mat files: MATLAB 5 files by SciPy, MATLAB 7.3 files, which are HDF5, by h5py."""

import h5py
import numpy as np

from keras_simsiam.core.errors import UserError


def open_hdf5(path: str) -> h5py.File:
    """Open a MATLAB 7.3 file for reading; close it, or use it as a context.

    Raises:
        UserError: the file is missing, cut off, or not HDF5.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(128)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the path of a .mat file") from None
    if beginning.startswith(b"MATLAB 5"):
        raise UserError(f"{path} is a MATLAB 5 file, not a MATLAB 7.3 (HDF5) file: fetch the data set's own again")
    try:
        return h5py.File(path, "r")
    except OSError:
        raise UserError(f"{path} is no MATLAB 7.3 (HDF5) file, or is cut off: fetch it again") from None


def texts(file: h5py.File, name: str) -> list[str] | None:
    """The strings of a cell array, a vector of object references; None where the file has no such variable.

    Raises:
        UserError: the variable is no such cell array.
    """
    if name not in file:
        return None
    try:
        return ["".join(map(chr, file[reference][()].ravel())) for reference in file[name][()].ravel()]
    except (OSError, AttributeError, TypeError, ValueError):
        raise UserError(f"{file.filename}: {name} is not a cell array of strings: fetch the file again") from None


def variables(path: str, *names: str) -> list[np.ndarray]:
    """Some vectors of a small .mat file of either kind: numbers as they are, a cell array as its strings.

    Raises:
        UserError: the file is missing or damaged, or lacks one of them.
    """
    content = _read_hdf5(path, names) if h5py.is_hdf5(path) else _read_matlab5(path)
    for name in names:
        if name not in content:
            raise UserError(f"{path} has no variable {name}: give the data set's own file")
    return [np.ravel(content[name]) for name in names]


def _read_hdf5(path, names):
    with open_hdf5(path) as file:
        present = [name for name in names if isinstance(file.get(name), h5py.Dataset)]
        return {
            name: texts(file, name) if h5py.check_ref_dtype(file[name].dtype) else file[name][()] for name in present
        }


def _read_matlab5(path):
    from scipy import io

    try:
        return io.loadmat(path, simplify_cells=True, appendmat=False)
    except FileNotFoundError:
        raise UserError(f"{path}: No such file: give the path of a .mat file") from None
    except Exception:  # SciPy has no error of its own for a damaged file, it raises whatever it comes upon
        raise UserError(f"{path} is not a readable .mat file: fetch it again") from None
