"""Reads encoded image files and checks, while a data set is built, that they are what a record must hold."""

import functools
import struct

import cv2
import numpy as np

from keras_simsiam.core.errors import UserError

MISSING = "{} is missing: fetch it, or remove the other files of that frame"

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # how such a file begins


# How the markers of a JPEG begin that hold its size: every start of a frame, but not C4, C8 and CC, which are none.
_JPEG_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


@functools.lru_cache(maxsize=1)  # who has just checked a file's depth and who gathers statistics of it decode it once
def decode(encoded: bytes) -> np.ndarray | None:
    """Decode an image as it is: its depth and its channels (blue first); read-only, as it may be given out again.

    Returns:
        uint8 or uint16 [H,W] or [H,W,C]; None for what is no readable image.
    """
    # OpenCV raises on an empty buffer, where it returns None for any other that it cannot decode.
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED) if encoded else None
    if image is not None:
        image.flags.writeable = False
    return image


def header_size(encoded: bytes, name: str) -> tuple[int, int]:
    """Height and width in pixels of a PNG or JPEG, only from its header.

    Args:
        encoded: the file's bytes.
        name: what an error shall call it.

    Raises:
        UserError: it is neither, or ends before its size.
    """
    try:
        if encoded.startswith(_PNG):
            width, height = struct.unpack_from(">II", encoded, 16)
            return height, width
        if encoded.startswith(_JPEG):
            return _jpeg_size(encoded)
    except (struct.error, IndexError):
        raise UserError(f"{name}: its colour image ends within its header: fetch it again") from None
    raise UserError(f"{name}: its colour image is not a PNG or JPEG: convert it")


def read_color(path: str) -> tuple[bytes, tuple[int, int]]:
    """Read an 8-bit colour image, PNG or JPEG.

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
    """Read a 16-bit depth image of one channel.

    Args:
        path: of a PNG file.
        size: height and width that it must have, where given.

    Returns:
        The file's bytes, and the image, uint16 [H,W], in the file's units; 0 = missing (all of it may be); read-only.

    Raises:
        UserError: the file is missing, is no PNG, does not decode, is not 16-bit of one channel, or is of another size.
    """
    encoded = _read_bytes(path)
    depth = _decode(encoded, path, _PNG)
    if depth.dtype != np.uint16 or depth.ndim != 2:
        raise UserError(f"{path} is not a 16-bit image of one channel: fetch the original depth file again")
    _check_size(path, depth, size)
    return encoded, depth


def read_mask(path: str, size: tuple[int, int]) -> np.ndarray:
    """Read an object mask: bool [H,W], True on the object.

    Raises:
        UserError: the file does not decode, has several channels, or is not of height and width `size`.
    """
    mask = _decode(_read_bytes(path), path, _PNG)
    if mask.ndim != 2:
        raise UserError(f"{path} is not a mask of one channel: fetch the original mask again")
    _check_size(path, mask, size)
    return mask > 0


def read_text(path: str) -> str:
    """Read a small text file that belongs to a frame.

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


def _jpeg_size(encoded):
    """Walk from marker to marker, each FF, its code and the length of what follows (ITU-T T.81, B.1.1)."""
    position = 2
    while encoded[position + 1] not in _JPEG_SIZES:
        # A marker may be led by any number of bytes FF.
        if encoded[position + 1] == 0xFF:
            position += 1
        else:
            position += 2 + struct.unpack_from(">H", encoded, position + 2)[0]
    return struct.unpack_from(">HH", encoded, position + 5)


def _decode(encoded, path, *signatures):
    # OpenCV reads formats that TensorFlow does not.
    if encoded and not encoded.startswith(signatures):
        formats = "a PNG" if signatures == (_PNG,) else "a PNG or JPEG"
        raise UserError(f"{path} is not {formats} file, whatever its name: convert it, or remove that frame's files")
    image = decode(encoded)
    if image is None:
        raise UserError(f"{path} is not a readable image: fetch it again, or remove that frame's files")
    return image


def _check_size(path, image, size):
    if size is not None and image.shape != tuple(size):
        (height, width), (wanted_height, wanted_width) = image.shape, size
        raise UserError(
            f"{path} is {width}x{height} but the image next to it {wanted_width}x{wanted_height}: "
            "fetch that frame's files again, or remove them"
        )
