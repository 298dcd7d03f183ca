"""Reads encoded image files and checks, while a data set is built, that they are what a record must hold."""

import cv2
import numpy as np

from keras_simsiam.errors import UserError

MISSING = "{} is missing: fetch it, or remove the other files of that frame"

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # how such a file begins


def read_color(path: str) -> tuple[bytes, tuple[int, int]]:
    """Reads an 8-bit colour image, PNG or JPEG.

    Returns:
      The file's bytes, and the image's height and width in pixels.

    Raises:
      UserError: the file is missing, is of another format, does not decode, or has more than 8 bits a channel.
    """
    encoded = _read_bytes(path)
    return encoded, check_color(encoded, path)


def check_color(encoded: bytes, origin: str) -> tuple[int, int]:
    """The height and width in pixels of an encoded colour image, which is checked as `read_color` does.

    Args:
      encoded: the bytes of a PNG or JPEG.
      origin: what the message of an error shall call it.
    """
    image = _decode(encoded, origin, _PNG, _JPEG)
    if image.dtype != np.uint8:
        raise UserError(f"{origin} is not an 8-bit image: convert it to 8 bits a channel")
    return image.shape[:2]


def read_depth(path: str, size: tuple[int, int] | None = None) -> tuple[bytes, np.ndarray]:
    """Reads a 16-bit depth image of one channel.

    Args:
      path: of a PNG file.
      size: height and width that it must have, where given.

    Returns:
      The file's bytes, and the image, uint16 [H,W], in the file's units; 0 = missing (all of it may be).

    Raises:
      UserError: the file is missing, is no PNG, does not decode, is not 16-bit of one channel, or is of another size.
    """
    encoded = _read_bytes(path)
    depth = check_depth(encoded, path)
    _check_size(path, depth, size)
    return encoded, depth


def check_depth(encoded: bytes, origin: str) -> np.ndarray:
    """Decodes a depth image, uint16 [H,W], which is checked as `read_depth` does.

    Args:
      encoded: the bytes of a PNG.
      origin: what the message of an error shall call it.
    """
    depth = _decode(encoded, origin, _PNG)
    if depth.dtype != np.uint16 or depth.ndim != 2:
        raise UserError(f"{origin} is not a 16-bit image of one channel: fetch the original depth file again")
    return depth


def read_mask(path: str, size: tuple[int, int]) -> np.ndarray:
    """Reads an object mask: bool [H,W], True on the object.

    Raises:
      UserError: the file does not decode, has several channels, or is not of height and width `size`.
    """
    mask = _decode(_read_bytes(path), path, _PNG)
    if mask.ndim != 2:
        raise UserError(f"{path} is not a mask of one channel: fetch the original mask again")
    _check_size(path, mask, size)
    return mask > 0


def read_text(path: str) -> str:
    """Reads a small text file that belongs to a frame.

    Raises:
      UserError: the file is missing.
    """
    return _read_bytes(path).decode(errors="replace")


def _read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise UserError(MISSING.format(path)) from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): fetch it again, or remove that frame's files"
        ) from None


def _decode(encoded, path, *signatures):
    # OpenCV reads formats that TensorFlow does not.
    if encoded and not encoded.startswith(signatures):
        formats = "a PNG" if signatures == (_PNG,) else "a PNG or JPEG"
        raise UserError(f"{path} is not {formats} file, whatever its name: convert it, or remove that frame's files")
    # OpenCV raises on an empty buffer, where it returns None for any other that it cannot decode.
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED) if encoded else None
    if image is None:
        raise UserError(f"{path} is not a readable image: fetch it again, or remove that frame's files")
    return image


def _check_size(path, image, size):
    if size is not None and image.shape != tuple(size):
        (height, width), (wanted_height, wanted_width) = image.shape, size
        raise UserError(
            f"{path} is {width}x{height} but the image beside it {wanted_width}x{wanted_height}: "
            "fetch that frame's files again, or remove them"
        )
