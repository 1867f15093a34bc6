"""Arrays in NumPy's .npz and MATLAB's .mat files. Pickles inside them are refused and never run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.data.archives import reason
from mien.data.regular import check_content, check_regular
from mien.errors import MienError

T = TypeVar("T")
LARGEST = 2**32  # bytes of one array


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays in an .npz file.

    Raises:
        MienError: the file is damaged or has another format.
    """
    return _from_npz(path, lambda arrays: list(arrays.files))


def npz_array(path: Path, name: str) -> NDArray[Any]:
    """Return the array ``name`` of an .npz file. An array that needs a pickle is refused; no code in it is run.

    Raises:
        MienError: the array cannot be read.
    """

    def take(arrays: Any) -> NDArray[Any]:
        for member in arrays.zip.infolist():
            if member.filename in (name, f"{name}.npy"):
                check_content(member.file_size, member.compress_size, LARGEST)
        return np.asarray(arrays[name])

    return _from_npz(path, take)


def _from_npz(path: Path, take: Callable[[Any], T]) -> T:
    try:
        check_regular(path)
        with path.open("rb") as file:  # numpy does not close a file of its own when it fails
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            return take(arrays)
    except Exception as error:  # a damaged file raises anything: zlib.error, BadZipFile, ValueError, EOFError…
        raise MienError(f"{path} cannot be read as .npz ({reason(error)}): download it again") from None


def mat_names(path: Path) -> list[str]:
    """Return the names of the variables in a .mat file.

    Raises:
        MienError: the file is damaged or has another format.
    """
    from scipy.io import whosmat

    return _from_mat(path, lambda: [str(name) for name, _, _ in whosmat(path)])


def mat_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the variables ``names`` of a .mat file, those that exist; other variables are not read.

    Raises:
        MienError: the file is damaged or has another format.
    """
    from scipy.io import loadmat, whosmat

    def read() -> dict[str, Any]:
        for name, shape, _ in whosmat(path):
            if name in names:
                check_content(8 * math.prod(shape), path.stat().st_size, LARGEST)
        result: dict[str, Any] = loadmat(path, variable_names=list(names))
        return result

    arrays = _from_mat(path, read)
    return {name: np.asarray(arrays[name]) for name in names if name in arrays}


def _from_mat(path: Path, read: Callable[[], T]) -> T:
    try:
        check_regular(path)
        return read()
    except Exception as error:  # a damaged file raises anything: TypeError, zlib.error, NotImplementedError…
        raise MienError(f"{path} cannot be read as .mat ({reason(error)}): download it again") from None
