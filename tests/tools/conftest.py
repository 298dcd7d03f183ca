"""A small depth image of known content, and a real one."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def depth():
    """uint16 [24,32], millimetres: a tilted plane with a hole."""
    rows, columns = np.mgrid[:24, :32]
    image = (1500 + 20 * rows + 3 * columns).astype(np.uint16)
    image[4:7, 5:9] = 0
    return image


@pytest.fixture(scope="session")
def real_depth(unpack):
    """uint16 [480,640], millimetres: frame 0 of Open3D's Redwood sample, an eighth of it missing."""
    name = "rgbd_frames/redwood/depth/00000.png"
    return cv2.imread(str(unpack("rgbd_frames.tar.xz", [name]) / name), cv2.IMREAD_UNCHANGED)
