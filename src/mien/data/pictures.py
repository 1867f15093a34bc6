"""Picture files to arrays and back: the formats of SUFFIXES open as RGB; other files raise a one-line error."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from mien.data.color import to_rgb
from mien.data.regular import BadFile, read_regular
from mien.errors import MienError
from mien.files import write_atomically

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2",
    ".ppm", ".pgm", ".pbm", ".jfif", ".jpe", ".heic", ".heif",
)  # fmt: skip
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # bytes 8 to 12 of a file
TALL = 1.5  # ratio of height to width; Pillow 13 changes the order of resizing above 1.8
SMALLEST = 8  # pixels a side
# Pillow's names of the formats of these suffixes; MPO is a JPEG with a second picture. Pillow can open more, but some
# of its readers start other programs (EPS starts Ghostscript), and the name of a file says nothing about its format.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF")
LARGEST = 64_000_000  # pixels in all
MANY = 12_000_000  # pixels; of larger pictures one is decoded at a time, so that memory does not grow with the cores
LARGEST_FILE = 512 * 2**20  # bytes

WAVE_HEIGHT, WAVE_WIDTH = 64, 128  # pixels of a drawn signal
WAVE_LINE = 1.4  # pixels
WAVE_GROUND, WAVE_INK = 0.88, -0.85  # in [-1, 1]; the ground is a little darker than the white between pictures

# Pillow warns of large pictures when it opens them, before their size is known. Its limit is lifted while a
# header is read. The lock prevents that one thread restores the limit while another reads a header.
_header_lock = threading.Lock()
_large_pictures = threading.Lock()


# Pillow warns of oddities of damaged files, such as "Corrupt EXIF data". A picture opens or is refused with a reason.
PILLOW_WARNINGS: dict[str, Any] = {"action": "ignore", "category": UserWarning, "module": r"PIL\."}
warnings.filterwarnings(**PILLOW_WARNINGS)


class BadPicture(MienError):
    """A file cannot be used as a picture; the message is the reason."""


def open_picture(source: str | os.PathLike[str] | bytes | BinaryIO, at_least: int | None = None) -> Image.Image:
    """Open a picture as RGB, rotated as its EXIF says.

    Gray pictures of 8 to 32 bits, palettes and CMYK are converted, and colors with an ICC profile become sRGB (see
    :mod:`mien.data.color`). Of an animation the first frame is taken. Transparent pixels are blended with white.
    HEIC needs the extra ``heic``; AVIF needs Pillow 11.3 or newer.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        at_least: smallest side in pixels. If it is given, a JPEG may be decoded at a half, a quarter or an eighth
            of its size with no side under ``at_least``; this is several times faster if the picture is reduced later.

    Returns:
        A loaded Pillow picture of mode RGB.

    Raises:
        BadPicture: no such file, a folder, an empty file, no picture, a truncated file, a picture under 8x8 or over
            64 megapixels.

    >>> gray = Image.new("L", (12, 9), 128)
    >>> file = io.BytesIO(); gray.save(file, "png")
    >>> open_picture(file.getvalue()).getpixel((0, 0))
    (128, 128, 128)
    """
    data = _bytes(source)
    image = _header_of(data)
    width, height = image.size
    if width * height > LARGEST:
        raise BadPicture(f"expected at most {LARGEST // 10**6} megapixels, got {width}x{height}: reduce the picture")
    if min(width, height) < SMALLEST:
        raise BadPicture(f"expected {SMALLEST}x{SMALLEST} pixels or more, got {width}x{height}: use a larger picture")
    try:
        with _large_pictures if width * height > MANY else contextlib.nullcontext():
            if at_least and image.format == "JPEG":
                image.draft(image.mode, (at_least, at_least))
            image.load()
            return to_rgb(_upright(image))
    except MienError:
        raise
    except Exception as error:  # decoders raise anything on damaged data: OSError, SyntaxError, struct.error…
        raise BadPicture(_reason(error)) from None


@cache
def unreadable(suffix: str) -> str:
    """Return why pictures with this suffix cannot be read here, with what to install; nothing if they can.

    The first call for HEIC lets Pillow open it.
    """
    if suffix in (".heic", ".heif"):
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            return "HEIC needs the extra heic: pip install 'mien[heic]'"
        register_heif_opener()
    if suffix == ".avif" and not features.check("avif"):
        return "AVIF needs Pillow 11.3 or newer: pip install -U pillow"
    return ""


def _bytes(source: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    """Return the content of the file; no handle remains open."""
    if isinstance(source, str | os.PathLike):
        try:
            data = read_regular(source, LARGEST_FILE)
        except BadFile as error:
            raise BadPicture(str(error)) from None
    else:
        data = source if isinstance(source, bytes | bytearray | memoryview) else source.read()
    if not data:
        raise BadPicture("empty file")
    return bytes(data)


def _header_of(data: bytes) -> Image.Image:
    """Return the picture after its header is read, before any pixel is decoded."""
    kind = data[8:12] if data[4:8] == b"ftyp" else b""
    if kind in HEIC_BRANDS and (reason := unreadable(".heic")):
        raise BadPicture(reason)
    with _header_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data), formats=_formats())
        except UnidentifiedImageError:
            reason = unreadable(".avif") if kind in (b"avif", b"avis") else ""
            raise BadPicture(reason or "not a picture") from None
        except Exception as error:
            raise BadPicture(_reason(error)) from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _formats() -> tuple[str, ...]:
    """Return the formats that this Pillow can open; HEIF is one of them after its reader is registered."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    signs = ("truncat", "unexpected end", "premature", "not enough", "incomplete")
    truncation = any(sign in text.lower() for sign in signs)
    return f"truncated: {text}" if truncation else f"damaged picture: {text}"


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture rotated as its EXIF says; a picture with a damaged EXIF is not rotated."""
    with contextlib.suppress(Exception):
        image = ImageOps.exif_transpose(image)
    return image


def to_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Crop the largest centered square and resize it by Lanczos with antialiasing.

    Args:
        image: a picture of mode RGB or L, any size.
        size: side of the result in pixels.

    Returns:
        uint8 array (size, size, 3); (size, size) for mode L.

    >>> to_square(Image.new("RGB", (30, 20), "red"), 8)[0, 0]
    array([255,   0,   0], dtype=uint8)
    """
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return resize(image, size, (left, top, left + side, top + side))


def resize(
    image: Image.Image, size: int | tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> NDArray[np.uint8]:
    """Return a part of a picture, resized by Lanczos with antialiasing.

    Args:
        image: a picture of mode RGB or L.
        size: side of the result, or its (height, width), in pixels.
        box: (left, top, right, bottom) of the part in pixels; None for the whole picture.

    Returns:
        uint8 (height, width, 3); (height, width) for mode L.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if image.height > TALL * image.width:
        # Pillow 13 reduces the height of tall pictures first, and older ones the width. Levels are rounded and clipped
        # between the two, so the order matters. The width comes first here, with every version.
        left, top, right, bottom = box or (0, 0, *image.size)
        image = image.resize((width, image.height), Image.Resampling.LANCZOS, box=(left, 0, right, image.height))
        box = (0, top, width, bottom)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


def to_float(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert uint8 pictures (..., H, W, C) to float32 (..., C, H, W) in [-1, 1].

    >>> to_float(np.array([[[0, 255, 0]]], np.uint8)).ravel()
    array([-1.,  1., -1.], dtype=float32)
    """
    x: NDArray[np.float32] = np.moveaxis(pictures, -1, -3).astype(np.float32) / np.float32(127.5) - 1
    return x


def from_float(x: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert pictures (..., C, H, W) in [-1, 1] to uint8 (..., H, W, C); values outside are clipped.

    >>> from_float(to_float(np.full((4, 4, 3), 77, np.uint8)))[0, 0]
    array([77, 77, 77], dtype=uint8)
    """
    levels = np.rint((np.asarray(x, np.float32) + 1) * np.float32(127.5)).clip(0, 255)
    return np.moveaxis(levels.astype(np.uint8), -3, -1)


def shown(x: Any) -> NDArray[Any]:
    """Return pictures (..., C, H, W), a tensor or an array, as an array; signals become small pictures of their curve.

    >>> shown(np.zeros((2, 5, 1, 1, 1024))).shape
    (2, 5, 1, 64, 128)
    """
    values: NDArray[Any] = x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)
    if values.shape[-2] != 1:
        return values
    curves = waveforms(values.reshape(-1, *values.shape[-3:]))
    return curves.reshape(*values.shape[:-3], *curves.shape[1:])


def waveforms(x: NDArray[Any]) -> NDArray[np.float32]:
    """Draw signals as small pictures: a dark curve on a light background.

    Each of the 128 columns covers all its samples from the smallest to the largest, so every peak is visible.
    The channels are drawn one below the other. Values outside [-1, 1] are drawn at the border; NaN is not drawn.

    Args:
        x: signals (B, C, 1, L) in [-1, 1], L ≥ 2.

    Returns:
        float32 (B, 1, 64, 128) in [-1, 1].

    Raises:
        MienError: another shape.

    >>> pictures = waveforms(np.zeros((2, 1, 1, 1024)))
    >>> pictures.shape, np.flatnonzero(pictures[0, 0, :, 5] < 0).tolist()
    ((2, 1, 64, 128), [31, 32])
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 4 or x.shape[2] != 1 or x.shape[3] < 2 or not 1 <= x.shape[1] <= WAVE_HEIGHT // 4:
        raise MienError(
            f"expected signals (B, C, 1, L) of 1 to {WAVE_HEIGHT // 4} channels, got {x.shape}: reshape them"
        )
    count, channels, _, length = x.shape
    x = x.reshape(count, channels, length).clip(-1, 1)
    if length <= WAVE_WIDTH:  # straight lines between the samples
        position = np.linspace(0, length - 1, 2 * WAVE_WIDTH, dtype=np.float32)
        before = np.minimum(position.astype(int), length - 2)
        x = x[..., before] + (position - before) * (x[..., before + 1] - x[..., before])
    starts = np.arange(WAVE_WIDTH) * x.shape[2] // WAVE_WIDTH
    successor = x[..., np.append(starts[1:], x.shape[2] - 1)]  # the curve reaches the next column's first sample
    most = np.maximum(np.maximum.reduceat(x, starts, axis=2), successor)
    least = np.minimum(np.minimum.reduceat(x, starts, axis=2), successor)
    height = WAVE_HEIGHT // channels
    top, bottom = (((1 - level) / 2 * (height - 2) + 1)[:, :, None] for level in (most, least))  # (B, C, 1, 128)
    row = np.arange(height, dtype=np.float32)[:, None]
    line = np.minimum(bottom + WAVE_LINE / 2, row + 1) - np.maximum(top - WAVE_LINE / 2, row)
    ink = np.nan_to_num(line.clip(0, 1))  # (B, C, height, 128)
    pictures = np.full((count, 1, WAVE_HEIGHT, WAVE_WIDTH), WAVE_GROUND, np.float32)
    pictures[:, 0, : channels * height] -= (WAVE_GROUND - WAVE_INK) * ink.reshape(count, -1, WAVE_WIDTH)
    return pictures


def save_picture(picture: NDArray[Any] | Image.Image, path: str | os.PathLike[str]) -> Path:
    """Save a picture atomically and return its path: an incomplete file never has the final name.

    Args:
        picture: uint8 array (H, W, 3), (H, W, 1) or (H, W), or a Pillow picture.
        path: the file to write; its suffix sets the format; missing folders are created.

    Raises:
        MienError: an array of another type or shape, a suffix of no picture format, or a full disk.
    """
    path = Path(path)
    if isinstance(picture, np.ndarray):
        gray = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
        if picture.dtype != np.uint8 or not (gray.ndim == 2 or (gray.ndim == 3 and gray.shape[2] == 3)):
            got = f"{picture.dtype} {picture.shape}"
            raise MienError(f"expected a uint8 picture (H, W, 3), got {got}: convert it by pictures.from_float")
        picture = Image.fromarray(gray)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise MienError(f"{path.name}: expected the suffix of a picture format, got '{path.suffix}': use .png or .jpg")
    image = picture
    write_atomically(path, lambda temporary: image.save(temporary, kind))
    return path
