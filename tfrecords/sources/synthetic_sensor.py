"""What a Kinect makes of exact images: noise, quantised disparity, missing depth; a colour camera's blur and noise."""

import cv2
import numpy as np

# Baseline and disparity steps of the first Kinect; 0.064 pixels of disparity noise give the 1.4 mm at 1 m, growing with
# z², that Khoshelham & Elberink (2012) measured.
_BASELINE = 0.075
_STEPS_PER_PIXEL = 8
_DISPARITY_NOISE = 0.064
_GRAZING = 0.2
_BLOCK = 3  # pixels
_SILHOUETTE = 1.2  # pixels of disparity within 5×5 pixels


def depth_image(
    depth: np.ndarray, facing: np.ndarray, *, focal_length: float, blobs: float, random: np.random.Generator
) -> np.ndarray:
    """The depth image of a structured-light sensor.

    Args:
        depth: exact, float [H,W], metres.
        facing: [H,W], the cosine between the surface's normal and the ray; grazing surfaces return no pattern.
        focal_length: pixels.
        blobs: expected number of patches that return no pattern, for whatever reason.
        random: of the noise.

    Returns:
        uint16 [H,W], millimetres, 0 = missing.
    """
    scale = focal_length * _BASELINE
    exact = scale / depth
    disparity, unmatched = _at_silhouettes(exact, random)
    noise = cv2.GaussianBlur(random.normal(size=depth.shape), (3, 3), 0.8)
    disparity += _DISPARITY_NOISE / noise.std() * noise
    disparity = np.round(disparity * _STEPS_PER_PIXEL) / _STEPS_PER_PIXEL
    grazing = facing < _GRAZING + 0.05 * noise
    missing = unmatched | grazing | _in_shadow(exact) | _patches(depth.shape, blobs, random)
    return np.where(missing, 0, np.round(1000 * scale / disparity)).astype(np.uint16)


def color_image(rgb: np.ndarray, gain: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The colour image, uint8 [H,W,3], of exact radiance, float [H,W,3] in 0..1, under a white balance [3]."""
    blurred = cv2.GaussianBlur(rgb * gain, (3, 3), 0.6)
    return np.clip(np.round(255 * blurred + random.normal(0, 3, rgb.shape)), 0, 255).astype(np.uint8)


def _at_silhouettes(disparity, random):
    """The disparity with ragged silhouettes, and where they find no match at all.

    The pattern is matched window by window: near a silhouette a block of pixels takes the disparity of another block.
    """
    height, width = disparity.shape
    blocks = (2, -(-height // _BLOCK), -(-width // _BLOCK))
    shift_y, shift_x = np.kron(random.integers(-2, 3, blocks), np.ones((_BLOCK, _BLOCK), int))[:, :height, :width]
    unmatched = np.kron(random.random(blocks[1:]) < 0.15, np.ones((_BLOCK, _BLOCK), bool))[:height, :width]
    y, x = np.mgrid[:height, :width]
    shifted = disparity[np.clip(y + shift_y, 0, height - 1), np.clip(x + shift_x, 0, width - 1)]
    window = np.ones((5, 5), np.uint8)
    silhouette = cv2.dilate(disparity, window) - cv2.erode(disparity, window) > _SILHOUETTE
    return np.where(silhouette, shifted, disparity), silhouette & unmatched


def _in_shadow(disparity):
    """Where something nearer stands between a point and the projector, which sits to the right of the camera.

    Point x of a row lies at x - disparity in the projector's row: right of all points to its left, unless occluded.
    """
    column = np.arange(disparity.shape[1]) - disparity
    rightmost_free = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]
    return column > rightmost_free + 0.5


def _patches(shape, expected, random):
    mask = np.zeros(shape, np.uint8)
    for _ in range(random.poisson(expected)):
        centre = (int(random.integers(shape[1])), int(random.integers(shape[0])))
        axes = (int(random.integers(1, 8)), int(random.integers(1, 5)))
        cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
    return mask > 0
