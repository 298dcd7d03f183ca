"""A small depth image of known content, and a real one."""

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

PACK = Path(__file__).parents[3] / "shared" / "data" / "rgbd_frames.tar.xz"


@pytest.fixture
def depth():
    """uint16 [24,32], millimetres: a tilted plane with a hole."""
    rows, columns = np.mgrid[:24, :32]
    image = (1500 + 20 * rows + 3 * columns).astype(np.uint16)
    image[4:7, 5:9] = 0
    return image


@pytest.fixture(scope="session")
def real_depth(tmp_path_factory):
    """uint16 [480,640], millimetres: frame 0 of Open3D's Redwood sample, an eighth of it missing."""
    if not PACK.exists():
        pytest.skip("the real frames are not beside the repository")
    folder = tmp_path_factory.mktemp("rgbd_frames")
    with tarfile.open(PACK) as pack:
        pack.extract("rgbd_frames/redwood/depth/00000.png", folder, filter="data")
    return cv2.imread(str(folder / "rgbd_frames/redwood/depth/00000.png"), cv2.IMREAD_UNCHANGED)
