"""The files of the npm package onnxruntime-web that a page needs, from its folder or from the archive of ``npm pack``.

The package does not come with mien: WebAssembly of 14 MB that only this page needs.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from mien.data.regular import BadFile, read_regular
from mien.errors import MienError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # with which the page is tested
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LARGEST = 64 * 2**20  # bytes of a file
GET = f"run npm pack {PACKAGE}@{VERSION} and pass --runtime {PACKAGE}-{VERSION}.tgz"


def read_runtime(place: str | Path | None) -> tuple[dict[str, bytes], str]:
    """Return the content of the files by name, and the version of the package.

    Args:
        place: the folder of the package, such as ``node_modules/onnxruntime-web``, or its archive (.tgz).

    Raises:
        MienError: no place was passed, or it does not hold the files; the message says how to get them.
    """
    if place is None:
        raise MienError(f"expected the npm package {PACKAGE} for --runtime, got none: {GET}")
    place = Path(place)
    content = _from_folder(place) if place.is_dir() else _from_archive(place)
    for name in FILES:
        if name not in content:
            raise MienError(f"expected the npm package {PACKAGE} in {place}, got one without dist/{name}: {GET}")
    try:
        version = str(json.loads(content.pop("package.json", b"{}"))["version"])
    except (ValueError, KeyError, TypeError):
        version = "unknown"
    return content, version


def _from_folder(place: Path) -> dict[str, bytes]:
    content = {}
    for path in (place / "package.json", *(place / "dist" / name for name in FILES)):
        if path.exists():
            try:
                content[path.name] = read_regular(path, LARGEST)
            except BadFile as error:
                raise MienError(f"expected a file of {PACKAGE} in {path}, got {error}: {GET}") from None
    return content


def _from_archive(place: Path) -> dict[str, bytes]:
    """Return the files of an archive; nothing is unpacked to the disk."""
    if not place.is_file():
        raise MienError(f"expected the npm package {PACKAGE} for --runtime, got {place}, which does not exist: {GET}")
    names = {"package/package.json", *(f"package/dist/{name}" for name in FILES)}
    content = {}
    try:
        with tarfile.open(place) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in names and member.isfile() else None
                if file is not None and member.size <= LARGEST:
                    content[Path(member.name).name] = file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MienError(
            f"expected an archive of npm in {place}, got a file that cannot be read ({error}): {GET}"
        ) from None
    return content
