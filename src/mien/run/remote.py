"""Runs on the Hugging Face Hub: ``hf://owner/name`` or ``hf://owner/name@revision`` stands for a run folder.

The files are downloaded by huggingface_hub into its own cache, so ``HF_HOME``, ``HF_TOKEN``, ``HF_ENDPOINT`` and
``HF_HUB_OFFLINE`` work as its users know them. Only the files of :data:`FILES` are fetched, by their exact names: no
pickle is ever downloaded. Importing this imports neither torch nor huggingface_hub.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mien import __version__
from mien.data import cache_dir
from mien.errors import MienError
from mien.files import write_atomically

PREFIX = "hf:"
CARD_TEXT = "README.md"  # the name that the Hub gives to the card of a model
DIRECTIONS = ("", "-svm", "-whitened")  # of attribute vectors, as their files are named
FILES = (
    "config.json",
    "weights.safetensors",
    "digests.json",
    "progress.json",
    "evaluation.json",
    "card.json",
    CARD_TEXT,
    *(f"attribute_vectors{direction}.{kind}" for direction in DIRECTIONS for kind in ("safetensors", "json")),
)
"""The files of a run on the Hub."""

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")  # owner/name
# pathlib turns hf://owner/name into hf:/owner/name
ADDRESS = re.compile(rf"{PREFIX}/{{1,2}}(?P<name>[^/@]+/[^/@]+)(?:@(?P<revision>[\w./+-]+))?")


def is_remote(run: str | Path) -> bool:
    """Return whether a text is meant as the address of a run on the Hub.

    >>> is_remote("hf://owner/name"), is_remote(Path("hf://owner/name")), is_remote("runs/faces")
    (True, True, False)
    """
    return _text(run).startswith(f"{PREFIX}/")


def parse(run: str | Path) -> tuple[str, str | None]:
    """Return (owner/name, revision) of an address; the revision is None without ``@``.

    Raises:
        MienError: the address has another form.

    >>> parse("hf://owner/name@v1.0")
    ('owner/name', 'v1.0')
    """
    match = ADDRESS.fullmatch(_text(run))
    if match is None:
        raise MienError(f"expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION, got {_text(run):.200}: correct it")
    return check_name(match["name"]), match["revision"]


def check_name(name: str) -> str:
    """Return ``name`` if it can be that of a repository on the Hub.

    Raises:
        MienError: it has not the form OWNER/NAME.
    """
    if not NAME.fullmatch(name) or ".." in name or "--" in name or name.endswith((".", "-", ".git")):
        raise MienError(
            f"expected OWNER/NAME of letters, digits, '-', '_' and '.', got '{name:.200}': such as me/faces-64"
        )
    return name


def library() -> Any:
    """Return the module huggingface_hub.

    Raises:
        MienError: it is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise MienError(
            "expected the package huggingface_hub for a model of the Hub, got none: pip install 'mien[hub]'"
        ) from None
    return huggingface_hub


def fetch(
    name: str,
    revision: str | None = None,
    *,
    cache: str | Path | None = None,
    force: bool = False,
    local_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Return a run folder with the files of a run on the Hub; they are downloaded if the cache does not hold them.

    The folder lies in the cache of mien and links to the cache of huggingface_hub, so results can be stored in it. If
    it cannot be written, the folder of huggingface_hub's cache is returned.

    Args:
        name: OWNER/NAME.
        revision: a branch, a tag or a commit; by default the branch main.
        cache: the cache of huggingface_hub; by default the one that it uses.
        force: download files again that the cache holds.
        local_only: do not use the network.
        token: of the user; by default that of ``HF_TOKEN`` or ``hf auth login``.

    Raises:
        MienError: huggingface_hub is not installed; there is no such repository or revision; it is no run; or there is
            neither a connection nor a copy in the cache.
    """
    hub, address = library(), f"{PREFIX}//{check_name(name)}" + (f"@{revision}" if revision else "")
    try:
        with bars():
            snapshot = hub.snapshot_download(
                name, revision=revision, cache_dir=cache, force_download=force, token=token,
                local_files_only=local_only, allow_patterns=list(FILES), library_name="mien",
                library_version=__version__,
            )  # fmt: skip
    except Exception as error:
        raise explained(error, address) from None
    folder = Path(snapshot)
    if not (folder / FILES[0]).is_file():
        raise MienError(f"expected a run of mien at {address}, got a repository without {FILES[0]}: check the name")
    place = cache_dir() / "hub" / name.replace("/", "--") / folder.name[:16] / name.partition("/")[2]
    try:
        _link(folder, place)
    except (OSError, MienError):
        return folder
    return place


@contextmanager
def bars() -> Iterator[None]:
    """Turn off the progress bars of huggingface_hub in a block if stderr is no terminal: they would fill a log."""
    utils = library().utils
    if sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def _link(source: Path, place: Path) -> None:
    """Fill a folder with links to the files of a snapshot. Files that it has stay, because a snapshot never changes."""
    place.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        path = place / name
        if not (source / name).is_file() or path.exists():
            continue
        path.unlink(missing_ok=True)  # a link into a cache that was cleared
        target = (source / name).resolve()
        try:
            with suppress(FileExistsError):  # another process made it
                path.symlink_to(target)
        except (OSError, NotImplementedError):  # Windows without the permission for links
            write_atomically(path, functools.partial(shutil.copyfile, target))


def explained(error: Exception, address: str) -> MienError:
    """Return an error of huggingface_hub as one line that says what to do.

    Args:
        error: the exception.
        address: of the repository, ``hf://OWNER/NAME``.
    """
    errors = library().errors
    reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        text = "got a gated one: accept its conditions on its page, then log in with hf auth login"
    elif isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        text = "got none for this login: check the name; for a private one, set HF_TOKEN or run hf auth login"
    elif isinstance(error, errors.RevisionNotFoundError):
        text = "got no such revision: name a branch, a tag or a commit"
    elif isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        text = (
            "got no whole copy of it in the cache and no connection: connect once (and unset HF_HUB_OFFLINE), or copy "
            "its folder here and pass the path"
        )
    elif isinstance(error, errors.LocalTokenNotFoundError):
        text = "got no login: set HF_TOKEN or run hf auth login"
    elif status == 403:
        text = "got a login without the permission: use a token that may do this (HF_TOKEN or hf auth login)"
    elif isinstance(error, errors.HfHubHTTPError):
        text = f"got an error of the server ({reason:.200}): try again later"
    else:
        text = f"got an error ({reason:.200}): check the connection and the disk, then try again"
    return MienError(f"expected the repository {address} on the Hub, {text}")


def _text(run: str | Path) -> str:
    return run.as_posix() if isinstance(run, Path) else os.fspath(run)
