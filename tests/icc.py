"""ICC profiles for the tests, written byte by byte: a matrix profile of RGB, a gray one, and a table for CMYK."""

import itertools
import struct

import numpy as np

# colorants (X, Y, Z) in rows, adapted to D50; curves are powers
P3 = [[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]]
ADOBE = [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]]
PROPHOTO = [[0.79768, 0.28804, 0.0], [0.13519, 0.71188, 0.0], [0.03134, 0.00009, 0.82491]]
SRGB = [[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]]
D50 = (0.9642, 1.0, 0.8249)


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _text(b"desc"), b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(D50), **tags}
    start, directory, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        directory += name + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4sI", start + len(body), b"\0" * 4, 0x02400000) + kind + space + connection
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + _xyz(D50)[8:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + directory + body


def _text(kind: bytes) -> bytes:
    return kind + b"\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 8 + b"\0" * 70


def _xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def rgb_profile(colorants, gamma: float) -> bytes:
    """A matrix profile."""
    tags = {name: _xyz(row) for name, row in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags | {name: _curve(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")})


def gray_profile(gamma: float) -> bytes:
    """A profile of gray levels."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _curve(gamma)})


def cmyk_profile(gamma: float) -> bytes:
    """A press whose ink K takes away the lightness ``100 k^gamma``, and whose other inks leave the paper white."""
    table = b"".join(bytes([0 if k else 255, 128, 128]) for _, _, _, k in itertools.product((0, 1), repeat=4))
    head = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    ramp, ink = bytes(range(256)), bytes(round(255 * (i / 255) ** gamma) for i in range(256))
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": head + 3 * ramp + ink + table + 3 * ramp})


def to_srgb(levels, colorants, gamma: float):
    """What a color of 8 bits is in sRGB, by the definitions."""
    linear = (np.asarray(levels) / 255) ** gamma @ np.array(colorants) @ np.linalg.inv(np.array(SRGB))
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
