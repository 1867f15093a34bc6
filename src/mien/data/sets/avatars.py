"""Avatars: cartoon faces with CelebA-style attributes and the true counterfactual of every edit.

A face is drawn from the parts of ``python-avatars``, see ``mien.data.avatar_parts``. Because it is drawn, the same
face with one attribute changed can be drawn too: ``Source.counterfactual``.

Every factor has its own random stream, a function of the seed, the factor and the number of the avatar only.
Attributes are therefore independent of each other and of the other factors (skin tone, background, hair style…).
The only exception are the hair colors, which exclude each other: black, blond, brown and gray at 23 % each; the
remaining 8 % are red and have none of these attributes. Brows and beard have the color of the hair. Under a hat,
short hair is a fringe, so that its color is visible.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import base
from mien.data.avatar_parts import layer
from mien.errors import MienError, UnknownName

VERSION = 2  # raise it when avatars of the same seed look different, so that sets are prepared anew

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
UNDER_HAT = "PIXIE"  # short hair under a hat: the hat would hide most other styles completely
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

# these names seed random streams: another spelling would draw other avatars
HAIR_STREAM, OTHER_HAIR_STREAM, HAT_STREAM = "hair colour", "other hair colour", "hat colour"


class Source(base.Source):
    """``count`` avatars; avatar i depends on the seed and i, not on the count and the size.

    Args:
        count: number of avatars, ≥ 1.
        seed: seed of the random streams, 0 to 2**32 - 1.
        classes: "hair" to make the hair color the class, for models that need classes; None for no classes.

    Raises:
        MienError: count or seed out of range.
        UnknownName: another value of ``classes``.
    """

    name = "avatars"
    attributes = tuple(sorted([*SHARES, *(name for name in HAIR if name)]))

    def __init__(self, count: int = 4000, seed: int = 0, classes: str | None = None):
        if count < 1 or not 0 <= seed < 2**32:
            raise MienError(
                f"expected count ≥ 1 and seed in 0 to 2**32 - 1, got count={count}, seed={seed}: pass other values"
            )
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

    def options(self) -> dict[str, Any]:
        # only if there are classes: sets that earlier versions prepared without classes remain valid
        return {"count": self.count, "seed": self.seed, **({"classes": "hair"} if self.classes else {})}

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        return self.row(i)

    def label(self, i: int) -> int:
        if not self.classes:
            return -1
        has = self._attributes(i, {})
        color = next((name for name in HAIR if name and has[name] > 0), "")
        return list(HAIR).index(color)

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        return self.draw(i, size)

    def row(self, i: int, changes: Mapping[str, int] | None = None) -> NDArray[np.int8]:
        """Return the attributes (A,) int8 ±1 of avatar i after ``changes`` {attribute: ±1}.

        A new hair color replaces the old one.

        Raises:
            UnknownName: no such attribute.
            MienError: a value other than ±1, or no such avatar.

        >>> Source().row(0, {"Gray_Hair": 1}).tolist()[1:6]
        [-1, -1, -1, -1, 1]
        """
        has = self._attributes(i, changes or {})
        return np.array([has[name] for name in self.attributes], np.int8)

    def counterfactual(self, i: int, attribute: str, value: int | None = None, size: int = 64) -> NDArray[np.uint8]:
        """Return avatar i with one attribute changed and everything else unchanged.

        Args:
            i: number of the avatar, 0 to ``count`` - 1.
            attribute: one of ``attributes``.
            value: +1 or -1; None for the opposite of the present value. If the present hair color is set to -1,
                the avatar gets another color, always the same one for this avatar.
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

    def draw(self, i: int, size: int, changes: Mapping[str, int] | None = None) -> NDArray[np.uint8]:
        """Return avatar i after ``changes`` {attribute: ±1}: uint8 (size, size, 3).

        Raises:
            UnknownName: no such attribute.
            MienError: a value other than ±1, or no such avatar.
        """
        has = self._attributes(i, changes or {})
        hair = self._shade(i, "hair", COLORS[next((n for n in HAIR if n and has[n] > 0), "")], 0.06)
        skin = self._pick(i, "pale", PALE) if has["Pale_Skin"] > 0 else self._pick(i, "skin", DARKER)
        mouth = MOUTHS[has["Smiling"], has["Mouth_Slightly_Open"]]
        out = np.empty((size, size, 3), np.float32)
        out[:] = self._shade(i, "background", self._pick(i, "background", BACKGROUNDS), 0.05)

        def add(slot: str, part: str, color: NDArray[np.float32] | None = None) -> None:
            layer(slot, part, size).paint(out, color)

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
        picture: NDArray[np.uint8] = np.rint(255 * out.clip(0, 1)).astype(np.uint8)
        return picture

    def _attributes(self, i: int, changes: Mapping[str, int]) -> dict[str, int]:
        if not 0 <= i < self.count:
            raise MienError(f"expected an avatar of 0 to {self.count - 1}, got {i}: pass another number")
        has = {name: 1 if self._uniform(i, name) < share else -1 for name, share in SHARES.items()}
        color = _among(self._uniform(i, HAIR_STREAM), HAIR)
        for name, value in changes.items():
            if name not in self.attributes:
                raise UnknownName("attribute", name, self.attributes)
            if value not in (1, -1):
                raise MienError(f"expected +1 or -1 for {name}, got {value!r}: pass one of them")
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
        """Return a number in [0, 1) from the stream of this factor.

        The stream is SplitMix64 (Steele et al., 2014), seeded by the seed and the name of the factor.
        """
        if (stream := self._streams.get(factor)) is None:
            digest = hashlib.sha256(f"{self.seed} {factor}".encode()).digest()
            stream = self._streams[factor] = int.from_bytes(digest[:8], "little")
        z = (stream + (i + 1) * 0x9E3779B97F4A7C15) & _64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _64
        return ((z ^ (z >> 31)) >> 11) / 2**53

    def _pick(self, i: int, factor: str, values: tuple[str, ...]) -> str:
        return values[int(self._uniform(i, factor) * len(values))]

    def _shade(self, i: int, factor: str, color: str, spread: float) -> NDArray[np.float32]:
        """Return the color (3,) in [0, 1], up to ``spread`` lighter or darker."""
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)], np.float32) / 255
        return np.asarray(rgb + np.float32(spread * (2 * self._uniform(i, factor + " shade") - 1)), np.float32)


_64 = 2**64 - 1


def _among(u: float, shares: Mapping[str, float]) -> str:
    u *= sum(shares.values())
    for name, share in shares.items():
        if (u := u - share) < 0:
            return name
    return name
