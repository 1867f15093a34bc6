"""The parts of avatars as layers: rendered once for a size, then laid over each other in any color.

``python-avatars`` supplies each part as SVG and ``resvg-py`` rasterizes it.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VIEW = (33.0, 4.0, 198.0)  # left, top and side of the visible square in the drawing's units: the head
FINER = 2  # a part is rasterized at this many times the size, then averaged


class Layer(NamedTuple):
    """One part of an avatar; laid over a picture it gives (1 - cover) * picture + fixed + tint * color.

    A rendered part is an affine function of its fill color, so two renderings determine it for every color.
    """

    box: tuple[slice, slice]
    keep: NDArray[np.float32]  # (h, w, 1), 1 - cover
    fixed: NDArray[np.float32]  # (h, w, 3)
    tint: NDArray[np.float32]  # (h, w, 1)

    def paint(self, picture: NDArray[np.float32], color: NDArray[np.float32] | None) -> None:
        """Lay the part over ``picture`` (size, size, 3) in place, in the color (3,) in [0, 1] if it has one."""
        region = picture[self.box]
        region *= self.keep
        region += self.fixed
        if color is not None:
            region += self.tint * color


@lru_cache(maxsize=512)
def layer(slot: str, part: str, size: int) -> Layer:
    """Return the part ``part`` of python-avatars for the slot ``slot``, such as "nose", at ``size`` pixels."""
    black, white = (_raster(_svg(slot, part, paint), size) for paint in ("#000000", "#FFFFFF"))
    cover, fixed, tint = black[..., 3:], black[..., :3], (white - black)[..., :3].mean(-1, keepdims=True)
    if slot == "hair under hat":
        cover, fixed, tint = (_below_hat(size) * a for a in (cover, fixed, tint))
    rows, columns = (np.flatnonzero(cover.any((axis, 2))) for axis in (1, 0))
    if not rows.size:
        return Layer((slice(0), slice(0)), cover[:0, :0], fixed[:0, :0], tint[:0, :0])
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Layer(box, *(np.ascontiguousarray(a) for a in (1 - cover[box], fixed[box], tint[box])))


def _below_hat(size: int) -> NDArray[np.float32]:
    """Return the visible share of hair (size, size, 1): 0 under a hat, 1 below its rim, which is an arc."""
    pixel = VIEW[2] / size
    x, y = (VIEW[k] + (np.arange(size) + 0.5) * pixel for k in (0, 1))
    rim = 62 + 0.005 * (x - 132) ** 2
    share: NDArray[np.float32] = ((y[:, None] - rim) / pixel + 0.5).clip(0, 1).astype(np.float32)
    return share[..., None]


def _raster(svg: str, size: int) -> NDArray[np.float32]:
    """Return a rasterized SVG, float32 (size, size, 4) in [0, 1], with colors multiplied by alpha."""
    import resvg_py

    png = resvg_py.svg_to_bytes(svg_string=svg, width=FINER * size, skip_system_fonts=True)
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    rgba = np.asarray(image, np.float32) / 255
    rgba = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1)
    pixels: NDArray[np.float32] = rgba.reshape(size, FINER, size, FINER, 4).mean((1, 3))
    return pixels


_NAMESPACE = "{http://www.w3.org/2000/svg}"


def _svg(slot: str, part: str, paint: str) -> str:
    """Return the SVG of one part alone, at its place in the head, in the color ``paint``."""
    import python_avatars as pa

    slots = {  # slot: (python_avatars' argument, enum of its parts, group of the drawing that holds it)
        "skin": ("", None, "Body"), "clothing": ("clothing", pa.ClothingType, "Clothing"),
        "nose": ("nose", pa.NoseType, "Face"), "eyes": ("eyes", pa.EyeType, "Face"),
        "eyebrows": ("eyebrows", pa.EyebrowType, "Face"), "mouth": ("mouth", pa.MouthType, "Face"),
        "facial_hair": ("facial_hair", pa.FacialHairType, "Top"),
        "accessory": ("accessory", pa.AccessoryType, "Top"), "hair": ("top", pa.HairType, "Top"),
        "hair under hat": ("top", pa.HairType, "Top"), "hat": ("top", pa.HatType, "Top"),
    }  # fmt: skip
    argument, kind, home = slots[slot]
    arguments: dict[str, Any] = {name: None for name, _, _ in slots.values() if name}
    if slot in ("facial_hair", "accessory"):
        arguments["top"] = pa.HairType.NONE  # the drawing of the top contains these two
    if kind:
        arguments[argument] = kind[part]
    colors = ("skin_color", "hair_color", "hat_color", "facial_hair_color", "clothing_color")
    avatar = pa.Avatar(style=pa.AvatarStyle.TRANSPARENT, **arguments, **dict.fromkeys(colors, paint))
    root = ElementTree.fromstring(avatar.render())
    head = root.findall(f"{_NAMESPACE}g")[-1]
    for group in list(head):
        if group.get("id", "").rpartition("_")[2] != home:
            head.remove(group)
    _adjust(head, slot, paint)
    left, top, side = VIEW
    root.set("viewBox", f"{left} {top} {side} {side}")
    root.set("width", "1")
    root.set("height", "1")
    return ElementTree.tostring(root, encoding="unicode")


def _adjust(head: ElementTree.Element, slot: str, paint: str) -> None:
    """Change a part so that it is visible at 32 pixels."""
    group = head[0]
    if slot == "mouth":
        group[0].set("transform", "translate(2 52) translate(54 20) scale(1.45) translate(-54 -20)")
    elif slot == "eyebrows":  # the original is black at 60 %
        for path in group.iter(f"{_NAMESPACE}path"):
            path.set("fill", paint)
            path.set("fill-opacity", "0.9")
    elif slot == "hat":
        group.set("transform", "translate(0 82) scale(1 0.78) translate(0 -102)")
        dim = "#000000" if paint == "#000000" else "#C0C0C0"
        for element in group.iter():
            if element.get("fill") == "#F4F4F4":  # white resembles gray hair: use the hat's color, darker
                element.set("fill", dim)
