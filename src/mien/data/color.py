"""Decoded pictures to sRGB of 8 bits: color profiles, transparency, and files of more than 8 bits."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# largest value of 8, 10, 12, 14, 16, 24 and 31 bits
FULL_SCALES = (255, 1023, 4095, 16383, 65535, 2**24 - 1, 2**31 - 1)
BLOCK = 2**20  # pixels that are converted at a time
# the color space of a profile, and the mode of the pictures that it describes
PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded picture as sRGB of mode RGB; transparent pixels are blended with white.

    A color profile in the picture (Display-P3, Adobe RGB, ProPhoto RGB, CMYK of a press…) is applied. Without a
    profile the values are taken as sRGB. A damaged profile, or one that does not fit the picture, is ignored.

    >>> to_rgb(Image.new("LA", (8, 8), (90, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    profile = image.info.get("icc_profile")
    if image.mode == "RGB" and not profile and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        image = to_8_bits(image)
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        transparent = image.convert("RGBA")
        gray = image.mode in ("L", "LA", "La")  # the profile of a gray picture describes gray levels
        colors = _to_srgb(transparent.convert("L" if gray else "RGB"), profile).convert("RGBA")
        colors.putalpha(transparent.getchannel("A"))
        return Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors).convert("RGB")
    elif image.mode not in PROFILE_MODES.values():  # black and white, palettes, YCbCr, LAB, HSV
        image = image.convert("RGB")
    return _to_srgb(image, profile).convert("RGB")


def to_8_bits(image: Image.Image) -> Image.Image:
    """Return a gray picture of 16 or 32 bits as mode L.

    A file does not say how many of its bits are used: cameras and microscopes write 12 bits into 16. So the full
    scale is the smallest of 255, 1023, 4095, 16383 and 65535 (8, 10, 12, 14 and 16 bits; then 24 and 31) that is not
    below the largest value of the picture. The full scale of floating-point numbers is 1 if none is above 1. Values
    below 0 and NaN are black.

    >>> to_8_bits(Image.fromarray(np.full((8, 8), 4095, np.uint16))).getpixel((0, 0))
    255
    """
    rows = np.asarray(image)
    parts = np.array_split(rows, max(1, rows.size // BLOCK))  # in parts: 64 megapixels as float64 are 512 MB
    largest = max(float(_levels(part).max(initial=0)) for part in parts)
    full = 1 if image.mode == "F" and largest <= 1 else next((s for s in FULL_SCALES if largest <= s), largest)
    result = [np.uint8(np.rint(255 * (_levels(part) / full).clip(0, 1))) for part in parts]
    return Image.fromarray(np.concatenate(result))


def _levels(part: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # damaged files hold NaN of a kind that warns when it is converted
        levels: NDArray[np.float64] = np.nan_to_num(part.astype(np.float64), posinf=0, neginf=0)
    return levels


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture of mode RGB, L or CMYK in sRGB; unchanged if its profile is sRGB, unfit or damaged."""
    if not profile or (transform := _transform(bytes(profile), image.mode)) is None:
        return image
    try:
        result: Image.Image | None = transform.apply(image)
    except Exception:  # the color engine raises anything on a damaged profile
        return image
    return image if result is None else result


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Return the transform of a profile to sRGB, None if there is nothing to convert or the profile is damaged."""
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if PROFILE_MODES.get(source.profile.xcolor_space) != mode:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB":
            # there are many sRGB profiles under many names: one that changes no color is one of them
            grid = np.stack(np.meshgrid(*[np.arange(0, 256, 51)] * 3), -1).astype(np.uint8).reshape(1, -1, 3)
            colors = np.asarray(transform.apply(Image.fromarray(grid)))
            if abs(colors.astype(int) - grid).max() <= 2:
                return None
    except Exception:  # as above; also a Pillow without a color engine
        return None
    return transform
