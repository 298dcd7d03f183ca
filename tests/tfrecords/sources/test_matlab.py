import h5py
import numpy as np
import pytest
from scipy import io

from keras_simsiam.core.errors import UserError
from tfrecords.sources import matlab


@pytest.fixture
def write_hdf5(tmp_path):
    """A function that writes a MATLAB 7.3 file, a cell array being a vector of references, and gives its path."""

    def write(**content):
        path = str(tmp_path / "file.mat")
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, value in content.items():
                if isinstance(value, list):
                    cells = file.create_dataset(name, (1, len(value)), h5py.ref_dtype)
                    for index, text in enumerate(value):
                        letters = np.array([[ord(letter) for letter in text]], np.uint16).T
                        cells[0, index] = file.create_dataset(f"#refs#/{name}{index}", data=letters).ref
                else:
                    file[name] = value
        return path

    return write


def test_strings_of_a_cell_array(write_hdf5):
    with matlab.open_hdf5(write_hdf5(scenes=["kitchen_0004", "café", ""], other=np.ones(2))) as file:
        assert matlab.texts(file, "scenes") == ["kitchen_0004", "café", ""]
        assert matlab.texts(file, "names") is None
        with pytest.raises(UserError, match="other is not a cell array of strings"):
            matlab.texts(file, "other")


@pytest.mark.parametrize("format", ["5", "7.3"])
def test_variables_of_either_kind_of_file(write_hdf5, tmp_path, format):
    numbers, texts = np.array([[3.0], [1.0]]), ["a/b", "c"]
    if format == "7.3":
        path = write_hdf5(numbers=numbers.T, texts=texts, one=["alone"])
    else:
        path = str(tmp_path / "5.mat")
        cells = {name: np.array(value, object) for name, value in (("texts", texts), ("one", ["alone"]))}
        io.savemat(path, {"numbers": numbers} | cells)
    found = [value.tolist() for value in matlab.variables(path, "numbers", "texts", "one")]
    assert found == [[3.0, 1.0], ["a/b", "c"], ["alone"]]
    with pytest.raises(UserError, match="has no variable missing"):
        matlab.variables(path, "numbers", "missing")


def test_files_that_are_not_hdf5(write_hdf5, tmp_path):
    matlab5, text = tmp_path / "5.mat", tmp_path / "text.mat"
    io.savemat(matlab5, {"a": np.ones(3)})
    text.write_text("<html>404 Not Found</html>")
    with pytest.raises(UserError, match=r"5\.mat is a MATLAB 5 file, not a MATLAB 7\.3"):
        matlab.open_hdf5(str(matlab5))
    with pytest.raises(UserError, match=r"text\.mat is no MATLAB 7\.3 \(HDF5\) file, or is cut off"):
        matlab.open_hdf5(str(text))
    with pytest.raises(UserError, match=r"none\.mat: No such file or directory: give the path of a \.mat file"):
        matlab.open_hdf5(str(tmp_path / "none.mat"))
    with pytest.raises(UserError, match="Is a directory"):
        matlab.open_hdf5(str(tmp_path))


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_files_that_are_cut_off(write_hdf5, tmp_path, kept):
    path = write_hdf5(numbers=np.arange(4000.0))
    matlab5 = tmp_path / "5.mat"
    io.savemat(matlab5, {"numbers": np.arange(4000.0)}, do_compression=True)
    for file in (tmp_path / "file.mat", matlab5):
        file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(UserError, match=r"file\.mat is no MATLAB 7\.3 \(HDF5\) file, or is cut off"):
        matlab.open_hdf5(path)
    for file in (path, str(matlab5)):
        with pytest.raises(UserError, match=f"{file} is") as error:
            matlab.variables(file, "numbers")
        assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.mat: No such file"):
        matlab.variables(str(tmp_path / "none.mat"), "numbers")
