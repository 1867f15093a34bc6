"""Pictures from files and back: what Pillow can read comes out as RGB, what it cannot as one clear line."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mien.errors import MienError
from mien.files import write_atomically

SMALLEST = 8  # pixels a side
LARGEST = 64_000_000  # pixels in all
LARGEST_FILE = 512 * 2**20  # bytes

WAVE_HEIGHT, WAVE_WIDTH = 64, 128  # pixels of a drawn signal
WAVE_LINE = 1.4  # pixels
WAVE_GROUND, WAVE_INK = 0.88, -0.85  # in [-1, 1]: a little darker than the white between pictures

# Pillow warns of large pictures on opening, before their size can be asked. Its limit is lifted while a
# header is read, and only then; the lock keeps one thread from restoring it under another.
_header = threading.Lock()


class BadPicture(MienError):
    """A file that cannot be used as a picture, and why."""


def open_picture(source: str | os.PathLike | bytes | BinaryIO, at_least: int | None = None) -> Image.Image:
    """Open a picture as RGB, upright: gray of 8 or 16 bits, palettes, CMYK, first frames; white behind alpha.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        at_least: if given, a JPEG may come out at a half, a quarter or an eighth of its size, with no side
            under `at_least` pixels: several times faster, where a smaller picture is wanted in the end.

    Returns:
        A loaded Pillow picture of mode RGB.

    Raises:
        BadPicture: no such file, a folder, empty, not a picture, cut short, under 8x8 or over 64 megapixels.

    >>> gray = Image.new("L", (12, 9), 128)
    >>> file = io.BytesIO(); gray.save(file, "png")
    >>> open_picture(file.getvalue()).getpixel((0, 0))
    (128, 128, 128)
    """
    data = _bytes(source)
    image = _header_of(data)
    width, height = image.size
    if width * height > LARGEST:
        raise BadPicture(f"picture of {width}x{height}: at most {LARGEST // 10**6} megapixels are read")
    if min(width, height) < SMALLEST:
        raise BadPicture(f"picture of {width}x{height}: at least {SMALLEST}x{SMALLEST} is wanted")
    try:
        if at_least and image.format == "JPEG":
            image.draft(image.mode, (at_least, at_least))
        image.load()
        return _to_rgb(_upright(image))
    except MienError:
        raise
    except Exception as error:  # decoders fed garbage raise anything: OSError, SyntaxError, struct.error…
        raise BadPicture(_reason(error)) from None


def _bytes(source: str | os.PathLike | bytes | BinaryIO) -> bytes:
    """The whole file, read in one go: no handle stays open."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            size = path.stat().st_size
            if path.is_dir():
                raise BadPicture("a folder, not a picture")
            if size > LARGEST_FILE:
                limit = LARGEST_FILE // 2**20
                raise BadPicture(f"file of {size / 2**20:.0f} MB: at most {limit} MB are read")
            data = path.read_bytes()
        except FileNotFoundError:
            raise BadPicture("no such file") from None
        except OSError as error:
            raise BadPicture(f"cannot be read: {error.strerror or error}") from None
    else:
        data = source if isinstance(source, bytes | bytearray | memoryview) else source.read()
    if not data:
        raise BadPicture("empty file")
    return bytes(data)


def _header_of(data: bytes) -> Image.Image:
    """The picture with its header read and not a pixel decoded."""
    with _header:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data))
        except UnidentifiedImageError:
            raise BadPicture("not a picture") from None
        except Exception as error:
            raise BadPicture(_reason(error)) from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    signs = ("truncat", "unexpected end", "premature", "not enough", "incomplete")
    cut = any(sign in text.lower() for sign in signs)
    return f"truncated: {text}" if cut else f"broken picture: {text}"


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; a broken EXIF is no reason to refuse the picture."""
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(image)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode == "I":  # Pillow's own conversion clips at 255
        levels = np.asarray(image).astype(np.float64) / 65535
        return Image.fromarray(np.uint8(np.rint(255 * levels.clip(0, 1)))).convert("RGB")
    if image.mode == "F":
        levels = np.nan_to_num(np.asarray(image, np.float64))
        levels = levels / (1 if levels.max() <= 1 else 255)
        return Image.fromarray(np.uint8(np.rint(255 * levels.clip(0, 1)))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(white, seen).convert("RGB")
    return image.convert("RGB")


def to_square(image: Image.Image, size: int) -> np.ndarray:
    """Crop the largest centered square and resize it (Lanczos, with antialiasing).

    Args:
        image: a picture of mode RGB or L, any size.
        size: side of the result in pixels.

    Returns:
        uint8 array (size, size, 3), or (size, size) of a gray one.

    >>> to_square(Image.new("RGB", (30, 20), "red"), 8)[0, 0]
    array([255,   0,   0], dtype=uint8)
    """
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return resize(image, size, (left, top, left + side, top + side))


def resize(
    image: Image.Image, size: int | tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """The part `box` (left, top, right, bottom; pixels) of a picture, resized by Lanczos.

    Args:
        image: a picture of mode RGB or L.
        size: side of the result, or its (height, width), in pixels.
        box: None for all of it.

    Returns:
        uint8 (height, width, 3), or (height, width) of a gray one.
    """
    height, width = (size, size) if isinstance(size, int) else size
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def to_float(pictures: np.ndarray) -> np.ndarray:
    """uint8 pictures (..., H, W, C) to float32 (..., C, H, W) in [-1, 1].

    >>> to_float(np.array([[[0, 255, 0]]], np.uint8)).ravel()
    array([-1.,  1., -1.], dtype=float32)
    """
    return np.moveaxis(pictures, -1, -3).astype(np.float32) / np.float32(127.5) - 1


def from_float(x: np.ndarray) -> np.ndarray:
    """Pictures (..., C, H, W) in [-1, 1] to uint8 (..., H, W, C); what lies outside is clipped.

    >>> from_float(to_float(np.full((4, 4, 3), 77, np.uint8)))[0, 0]
    array([77, 77, 77], dtype=uint8)
    """
    levels = np.rint((np.asarray(x, np.float32) + 1) * np.float32(127.5)).clip(0, 255)
    return np.moveaxis(levels.astype(np.uint8), -3, -1)


def shown(x: Any) -> np.ndarray:
    """Pictures (..., C, H, W), a tensor or an array, as an array to draw: signals are drawn as small pictures first.

    >>> shown(np.zeros((2, 5, 1, 1, 1024))).shape
    (2, 5, 1, 64, 128)
    """
    values = x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)
    if values.shape[-2] != 1:
        return values
    drawn = waveforms(values.reshape(-1, *values.shape[-3:]))
    return drawn.reshape(*values.shape[:-3], *drawn.shape[1:])


def waveforms(x: np.ndarray) -> np.ndarray:
    """Signals drawn as small pictures: a dark line on a light ground, so that they can be shown as pictures are.

    Each of the 128 columns shows all its samples, from the least to the largest, so no peak is lost. Several
    channels lie below each other. What is outside of [-1, 1] is drawn at the border, what is no number not at all.

    Args:
        x: signals (B, C, 1, L) in [-1, 1], L ≥ 2.

    Returns:
        float32 (B, 1, 64, 128) in [-1, 1].

    Raises:
        MienError: another shape.

    >>> drawn = waveforms(np.zeros((2, 1, 1, 1024)))
    >>> drawn.shape, np.flatnonzero(drawn[0, 0, :, 5] < 0).tolist()
    ((2, 1, 64, 128), [31, 32])
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 4 or x.shape[2] != 1 or x.shape[3] < 2 or not 1 <= x.shape[1] <= WAVE_HEIGHT // 4:
        raise MienError(f"expected signals (B, C, 1, L) of 1 to {WAVE_HEIGHT // 4} channels, got {x.shape}")
    count, channels, _, length = x.shape
    x = x.reshape(count, channels, length).clip(-1, 1)
    if length <= WAVE_WIDTH:  # straight lines between the samples
        at = np.linspace(0, length - 1, 2 * WAVE_WIDTH, dtype=np.float32)
        left = np.minimum(at.astype(int), length - 2)
        x = x[..., left] + (at - left) * (x[..., left + 1] - x[..., left])
    starts = np.arange(WAVE_WIDTH) * x.shape[2] // WAVE_WIDTH
    following = x[..., np.append(starts[1:], x.shape[2] - 1)]  # the line goes on to the next column's first sample
    most = np.maximum(np.maximum.reduceat(x, starts, axis=2), following)
    least = np.minimum(np.minimum.reduceat(x, starts, axis=2), following)
    height = WAVE_HEIGHT // channels
    top, bottom = (((1 - level) / 2 * (height - 2) + 1)[:, :, None] for level in (most, least))  # (B, C, 1, 128)
    row = np.arange(height, dtype=np.float32)[:, None]
    line = np.minimum(bottom + WAVE_LINE / 2, row + 1) - np.maximum(top - WAVE_LINE / 2, row)
    ink = np.nan_to_num(line.clip(0, 1))  # (B, C, height, 128)
    drawn = np.full((count, 1, WAVE_HEIGHT, WAVE_WIDTH), WAVE_GROUND, np.float32)
    drawn[:, 0, : channels * height] -= (WAVE_GROUND - WAVE_INK) * ink.reshape(count, -1, WAVE_WIDTH)
    return drawn


def save_picture(picture: np.ndarray | Image.Image, path: str | os.PathLike) -> Path:
    """Save a picture under its final name only when all of it is written.

    Args:
        picture: uint8 array (H, W, 3), (H, W, 1) or (H, W), or a Pillow picture.
        path: where to; its suffix chooses the format; missing folders are made.

    Raises:
        MienError: an array of another type or shape, a suffix that is no picture format, a disk that is full.
    """
    path = Path(path)
    if isinstance(picture, np.ndarray):
        gray = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
        if picture.dtype != np.uint8 or not (gray.ndim == 2 or (gray.ndim == 3 and gray.shape[2] == 3)):
            got = f"{picture.dtype} {picture.shape}"
            raise MienError(f"expected a uint8 picture (H, W, 3), got {got}: see pictures.from_float")
        picture = Image.fromarray(gray)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise MienError(f"{path.name}: '{path.suffix}' is no picture format: use .png or .jpg")
    image = picture
    write_atomically(path, lambda temporary: image.save(temporary, kind))
    return path
