"""Avatars: cartoon faces with CelebA-style attributes and the true counterfactual of every edit.

`python-avatars` supplies the parts, `resvg-py` rasterizes each of them once for a size, and a face is their
superposition. As faces are drawn, what one would be with an attribute changed is known: `counterfactual`.

Every factor has its own random stream, a function of (seed, factor, number of the avatar) only. Attributes
are therefore independent of each other and of the nuisances (skin tone, background, style of hair…), except
the colors of hair, which exclude each other: black, blond, brown and gray at 23 % each, red at 8 % for none
of them. Brows and beard have the color of the hair; under a hat short hair is a fringe, to stay visible.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from mien.data import dataset
from mien.errors import MienError, UnknownName

VERSION = 2  # raised when avatars of the same seed look different, so that prepared sets are made anew

HAIR = {"Black_Hair": 0.23, "Blond_Hair": 0.23, "Brown_Hair": 0.23, "Gray_Hair": 0.23, "": 0.08}  # "" is red
SHARES = {
    "Beard": 0.35, "Eyeglasses": 0.40, "Long_Hair": 0.50, "Mouth_Slightly_Open": 0.50, "Pale_Skin": 0.40,
    "Smiling": 0.50, "Wearing_Hat": 0.35,
}  # fmt: skip

COLORS = {
    "Black_Hair": "#17141A", "Blond_Hair": "#EBCB62", "Brown_Hair": "#5E2F14", "Gray_Hair": "#B4B6BA",
    "": "#C9421B",
}  # fmt: skip
PALE = ("#FFE9DC", "#FBE3D6", "#FFEBD9")
DARKER = ("#E5AC7C", "#D99B68", "#C98A5A", "#B5764A", "#9C6644")
CLOTHES = ("#65C9FF", "#5199E4", "#25557C", "#929598", "#3C4F5C", "#7FD8A0", "#FF488E", "#E0444A", "#8E5BB5")
HATS = ("#25557C", "#C2353B", "#2E8B57", "#6B3F8E", "#D9772B", "#1F8A8A")
BACKGROUNDS = ("#BFE3F2", "#CDE8CF", "#F3DFC1", "#E7D3EA", "#F6CFCB", "#D9DDE3", "#8FB8D8", "#A9C7A0")

# names of python_avatars' parts
SHORT = ("SHORT_FLAT", "SHORT_ROUND", "SHORT_WAVED", "SHORT_CURLY", "PIXIE", "QUIFF")
UNDER_HAT = "PIXIE"  # short hair under a hat: of most other styles it would hide everything
LONG = ("BOB", "STRAIGHT_STRAND", "LONG_NOT_TOO_LONG", "STRAIGHT_1", "CURLY")
GLASSES = ("PRESCRIPTION_2", "ROUND", "WAYFARERS")
BEARDS = ("BEARD_MEDIUM", "BEARD_LIGHT", "BEARD_MAGESTIC")
HAT_KINDS = ("WINTER_HAT_3", "WINTER_HAT_4")
EYES = ("DEFAULT", "DEFAULT", "HAPPY", "SQUINT", "SURPRISED")
BROWS = ("DEFAULT_NATURAL", "FLAT_NATURAL", "RAISED_EXCITED_NATURAL")
NOSES = ("DEFAULT", "SMALL", "WIDE")
GARMENTS = ("SHIRT_CREW_NECK", "SHIRT_SCOOP_NECK", "SHIRT_V_NECK", "HOODIE", "COLLAR_SWEATER")
MOUTHS = {  # by (Smiling, Mouth_Slightly_Open)
    (1, 1): ("SMILE",), (1, -1): ("TWINKLE",), (-1, 1): ("CONCERNED",), (-1, -1): ("SERIOUS",),
}  # fmt: skip

VIEW = (33.0, 4.0, 198.0)  # left, top and side of what is seen, in the drawing's units: the head
# the names start random streams: another spelling would draw other avatars
HAIR_STREAM, OTHER_HAIR_STREAM, HAT_STREAM = "hair colour", "other hair colour", "hat colour"
FINER = 2  # parts are rasterized at this many times the size, then averaged


class Source(dataset.Source):
    """`count` avatars; number i is the same whatever the count and the size.

    Args:
        count, seed: how many, and which.
        classes: "hair" to make the color of the hair the class, for models that need classes; None for no classes.
    """

    name = "avatars"
    attributes = tuple(sorted([*SHARES, *(name for name in HAIR if name)]))

    def __init__(self, count: int = 4000, seed: int = 0, classes: str | None = None):
        if count < 1 or not 0 <= seed < 2**32:
            raise MienError(f"expected count ≥ 1 and seed in 0 to 2**32 - 1, got count={count}, seed={seed}")
        if classes not in (None, "hair"):
            raise UnknownName("source of classes", str(classes), ["hair"])
        self.count, self.seed = count, seed
        self.classes = tuple(name or "Red_Hair" for name in HAIR) if classes else ()

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> str:
        return f"{i:06d}"

    def fingerprint(self) -> str:
        parts = version("python-avatars")  # other releases may draw other parts
        return hashlib.sha256(json.dumps(["avatars", VERSION, parts, self.options()]).encode()).hexdigest()

    def options(self) -> dict:
        # said only where there are classes: sets prepared without stay valid
        return {"count": self.count, "seed": self.seed, **({"classes": "hair"} if self.classes else {})}

    def attribute_row(self, i: int) -> np.ndarray:
        return self.row(i)

    def label(self, i: int) -> int:
        if not self.classes:
            return -1
        has = self._attributes(i, {})
        color = next((name for name in HAIR if name and has[name] > 0), "")
        return list(HAIR).index(color)

    def read(self, i: int, size: int) -> np.ndarray:
        return self.draw(i, size)

    def row(self, i: int, changes: Mapping[str, int] | None = None) -> np.ndarray:
        """Attributes (A,) int8 ±1 of avatar i with `changes` {attribute: ±1}; a new hair color ends the old.

        >>> Source().row(0, {"Gray_Hair": 1}).tolist()[1:6]
        [-1, -1, -1, -1, 1]
        """
        has = self._attributes(i, changes or {})
        return np.array([has[name] for name in self.attributes], np.int8)

    def counterfactual(self, i: int, attribute: str, value: int | None = None, size: int = 64) -> np.ndarray:
        """Avatar i with one attribute changed, and nothing else.

        Args:
            i: number of the avatar.
            attribute: one of `attributes`.
            value: +1 or -1; None for the opposite of what it has. Hair that loses its color takes another,
                always the same one for this avatar.
            size: side in pixels.

        Returns:
            uint8 (size, size, 3).

        Raises:
            UnknownName: no such attribute.
        """
        if attribute not in self.attributes:
            raise UnknownName("attribute", attribute, self.attributes)
        if value is None:
            value = -int(self.row(i)[self.attributes.index(attribute)])
        return self.draw(i, size, {attribute: value})

    def draw(self, i: int, size: int, changes: Mapping[str, int] | None = None) -> np.ndarray:
        """Avatar i with `changes` {attribute: ±1} made: uint8 (size, size, 3)."""
        has = self._attributes(i, changes or {})
        hair = self._shade(i, "hair", COLORS[next((n for n in HAIR if n and has[n] > 0), "")], 0.06)
        skin = self._pick(i, "pale", PALE) if has["Pale_Skin"] > 0 else self._pick(i, "skin", DARKER)
        mouth = MOUTHS[has["Smiling"], has["Mouth_Slightly_Open"]]
        out = np.empty((size, size, 3), np.float32)
        out[:] = self._shade(i, "background", self._pick(i, "background", BACKGROUNDS), 0.05)

        def add(slot: str, part: str, color: np.ndarray | None = None) -> None:
            _layer(slot, part, size).over(out, color)

        add("skin", "", self._shade(i, "skin tone", skin, 0.03))
        cloth = self._shade(i, "cloth", self._pick(i, "cloth", CLOTHES), 0.05)
        add("clothing", self._pick(i, "clothing", GARMENTS), cloth)
        add("nose", self._pick(i, "nose", NOSES))
        add("eyes", self._pick(i, "eyes", EYES))
        add("eyebrows", self._pick(i, "brows", BROWS), 0.8 * hair)
        if has["Beard"] > 0:
            add("facial_hair", self._pick(i, "beard", BEARDS), hair)
        add("mouth", self._pick(i, "mouth", mouth))
        long = self._pick(i, "long", LONG) if has["Long_Hair"] > 0 else None
        if has["Wearing_Hat"] > 0:
            add("hair under hat", long or UNDER_HAT, hair)
            fabric = self._shade(i, "hat", self._pick(i, HAT_STREAM, HATS), 0.05)
            add("hat", self._pick(i, "hat", HAT_KINDS), fabric)
        else:
            add("hair", long or self._pick(i, "short", SHORT), hair)
        if has["Eyeglasses"] > 0:
            add("accessory", self._pick(i, "glasses", GLASSES))
        return np.rint(255 * out.clip(0, 1)).astype(np.uint8)

    def _attributes(self, i: int, changes: Mapping[str, int]) -> dict[str, int]:
        if not 0 <= i < self.count:
            raise MienError(f"expected an avatar of 0 to {self.count - 1}, got {i}")
        has = {name: 1 if self._uniform(i, name) < share else -1 for name, share in SHARES.items()}
        color = _among(self._uniform(i, HAIR_STREAM), HAIR)
        for name, value in changes.items():
            if name not in self.attributes:
                raise UnknownName("attribute", name, self.attributes)
            if value not in (1, -1):
                raise MienError(f"expected +1 or -1 for {name}, got {value!r}")
            if name not in HAIR:
                has[name] = value
            elif value > 0:
                color = name
            elif color == name:
                others = {other: share for other, share in HAIR.items() if other != name}
                color = _among(self._uniform(i, OTHER_HAIR_STREAM), others)
        has |= {name: 1 if name == color else -1 for name in HAIR if name}
        return has

    @cached_property
    def _streams(self) -> dict[str, int]:
        return {}

    def _uniform(self, i: int, factor: str) -> float:
        """In [0, 1), from the stream of this factor: SplitMix64 (Steele et al., 2014) started at its name."""
        if (stream := self._streams.get(factor)) is None:
            digest = hashlib.sha256(f"{self.seed} {factor}".encode()).digest()
            stream = self._streams[factor] = int.from_bytes(digest[:8], "little")
        z = (stream + (i + 1) * 0x9E3779B97F4A7C15) & _64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _64
        return ((z ^ (z >> 31)) >> 11) / 2**53

    def _pick(self, i: int, factor: str, of: tuple[str, ...]) -> str:
        return of[int(self._uniform(i, factor) * len(of))]

    def _shade(self, i: int, factor: str, color: str, spread: float) -> np.ndarray:
        """The color (3,) in [0, 1], up to `spread` lighter or darker."""
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)], np.float32) / 255
        return rgb + np.float32(spread * (2 * self._uniform(i, factor + " shade") - 1))


_64 = 2**64 - 1


def _among(u: float, shares: Mapping[str, float]) -> str:
    u *= sum(shares.values())
    for name, share in shares.items():
        if (u := u - share) < 0:
            return name
    return name


class _Layer(NamedTuple):
    """A part as it lies over what is below: (1 - cover) * below + fixed + tint * color.

    A drawing is affine in the color of one of its fills, so that two renderings of it give every color.
    """

    box: tuple[slice, slice]
    keep: np.ndarray  # (h, w, 1), 1 - cover
    fixed: np.ndarray  # (h, w, 3)
    tint: np.ndarray  # (h, w, 1)

    def over(self, out: np.ndarray, color: np.ndarray | None) -> None:
        below = out[self.box]
        below *= self.keep
        below += self.fixed
        if color is not None:
            below += self.tint * color


@lru_cache(maxsize=512)
def _layer(slot: str, part: str, size: int) -> _Layer:
    black, white = (_raster(_svg(slot, part, paint), size) for paint in ("#000000", "#FFFFFF"))
    cover, fixed, tint = black[..., 3:], black[..., :3], (white - black)[..., :3].mean(-1, keepdims=True)
    if slot == "hair under hat":
        cover, fixed, tint = (_below_hat(size) * a for a in (cover, fixed, tint))
    rows, columns = (np.flatnonzero(cover.any((axis, 2))) for axis in (1, 0))
    if not rows.size:
        return _Layer((slice(0), slice(0)), cover[:0, :0], fixed[:0, :0], tint[:0, :0])
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return _Layer(box, *(np.ascontiguousarray(a) for a in (1 - cover[box], fixed[box], tint[box])))


def _below_hat(size: int) -> np.ndarray:
    """(size, size, 1): 0 where hair is under a hat, 1 below its rim, which is an arc."""
    pixel = VIEW[2] / size
    x, y = (VIEW[k] + (np.arange(size) + 0.5) * pixel for k in (0, 1))
    rim = 62 + 0.005 * (x - 132) ** 2
    return ((y[:, None] - rim) / pixel + 0.5).clip(0, 1).astype(np.float32)[..., None]


def _raster(svg: str, size: int) -> np.ndarray:
    """float32 (size, size, 4), colors multiplied by alpha, in [0, 1]."""
    import resvg_py

    png = resvg_py.svg_to_bytes(svg_string=svg, width=FINER * size, skip_system_fonts=True)
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    rgba = np.asarray(image, np.float32) / 255
    rgba = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1)
    return rgba.reshape(size, FINER, size, FINER, 4).mean((1, 3))


_NAMESPACE = "{http://www.w3.org/2000/svg}"


def _svg(slot: str, part: str, paint: str) -> str:
    """The drawing of one part alone, where it belongs in the head, with `paint` for its color."""
    import python_avatars as pa

    where = {  # slot: (python_avatars' argument, its kind of part, the group of the drawing it lands in)
        "skin": ("", None, "Body"), "clothing": ("clothing", pa.ClothingType, "Clothing"),
        "nose": ("nose", pa.NoseType, "Face"), "eyes": ("eyes", pa.EyeType, "Face"),
        "eyebrows": ("eyebrows", pa.EyebrowType, "Face"), "mouth": ("mouth", pa.MouthType, "Face"),
        "facial_hair": ("facial_hair", pa.FacialHairType, "Top"),
        "accessory": ("accessory", pa.AccessoryType, "Top"), "hair": ("top", pa.HairType, "Top"),
        "hair under hat": ("top", pa.HairType, "Top"), "hat": ("top", pa.HatType, "Top"),
    }  # fmt: skip
    argument, kind, lands = where[slot]
    arguments: dict = {name: None for name, _, _ in where.values() if name}
    if slot in ("facial_hair", "accessory"):
        arguments["top"] = pa.HairType.NONE  # they hang on the top
    if kind:
        arguments[argument] = kind[part]
    painted = ("skin_color", "hair_color", "hat_color", "facial_hair_color", "clothing_color")
    avatar = pa.Avatar(style=pa.AvatarStyle.TRANSPARENT, **arguments, **dict.fromkeys(painted, paint))
    root = ElementTree.fromstring(avatar.render())
    head = root.findall(f"{_NAMESPACE}g")[-1]
    for group in list(head):
        if group.get("id", "").rpartition("_")[2] != lands:
            head.remove(group)
    _adjust(head, slot, paint)
    left, top, side = VIEW
    root.set("viewBox", f"{left} {top} {side} {side}")
    root.set("width", "1")
    root.set("height", "1")
    return ElementTree.tostring(root, encoding="unicode")


def _adjust(head: ElementTree.Element, slot: str, paint: str) -> None:
    """Small changes that make a part readable at 32 pixels."""
    group = head[0]
    if slot == "mouth":
        group[0].set("transform", "translate(2 52) translate(54 20) scale(1.45) translate(-54 -20)")
    elif slot == "eyebrows":  # drawn as black at 60 %
        for path in group.iter(f"{_NAMESPACE}path"):
            path.set("fill", paint)
            path.set("fill-opacity", "0.9")
    elif slot == "hat":
        group.set("transform", "translate(0 82) scale(1 0.78) translate(0 -102)")
        dim = "#000000" if paint == "#000000" else "#C0C0C0"
        for element in group.iter():
            if element.get("fill") == "#F4F4F4":  # white would pass for gray hair: the hat's color, darker
                element.set("fill", dim)
