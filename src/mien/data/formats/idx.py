"""IDX files of bytes, gzipped or not: the format in which MNIST and Fashion-MNIST are published."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.regular import BadFile, check_content, check_regular
from mien.errors import MienError

LARGEST = 2**31  # bytes of pictures in a file


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """Return the bytes of an IDX file as a uint8 array with ``axes`` axes.

    Raises:
        MienError: the file has another format, is cut short, or is damaged.
    """
    try:
        check_regular(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes or head[:4] != bytes([0, 0, 8, axes]):  # 8: unsigned bytes
                expectation = f"expected an IDX file of bytes with {axes} axes"
                raise MienError(f"{path}: {expectation}, got one that begins with {head[:4].hex()}: download it again")
            shape = tuple(int(n) for n in np.frombuffer(head, ">u4", axes, 4))
            size = int(np.prod(shape, dtype=object))
            if size > LARGEST:
                raise MienError(
                    f"{path}: expected at most {LARGEST:,} bytes, got a claim of {size:,}: download it again"
                )
            check_content(size, path.stat().st_size, LARGEST)
            data = file.read(size + 1)
    except BadFile as error:
        raise MienError(f"{path}: {error}: download it again") from None
    except (OSError, EOFError, zlib.error) as error:
        raise MienError(f"{path} is damaged ({error}): download it again") from None
    if len(data) != size:
        got = f"{len(data):,}" if len(data) < size else "more"
        raise MienError(f"{path}: expected {size:,} bytes after the header, got {got}: download it again")
    return np.frombuffer(data, np.uint8).reshape(shape)
