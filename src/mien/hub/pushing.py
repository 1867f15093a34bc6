"""Upload of a run to the Hugging Face Hub: the files of a saved folder, and no other file."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mien import __version__
from mien.errors import MienError
from mien.hub.saving import save_pretrained
from mien.models.base import Model
from mien.run.opening import OpenRun
from mien.run.remote import CARD_TEXT, FILES, PREFIX, bars, check_name, explained, library

TEXTS = (".json", ".md")
# a path of a person's machine in a text; ~/celeba of a command is none
PATH = re.compile(r"(?<![\w.:/<~-])/(?:home|root|tmp|Users|mnt|media|srv|opt|var|private)/\S+|\b[A-Z]:\\\S+")


@dataclass(frozen=True)
class Upload:
    """What a push uploads.

    Args:
        name: OWNER/NAME.
        files: sizes in bytes by name.
        card: the text of the model card.
    """

    name: str
    files: dict[str, int]
    card: str


def push_to_hub(
    run: str | Path | OpenRun | Model,
    name: str,
    *,
    private: bool | None = None,
    commit_message: str = "",
    branch: str | None = None,
    create_pr: bool = False,
    token: str | None = None,
    title: str = "",
    license: str = "",
) -> str:
    """Upload a run or a model to the Hub, and return the address of the commit.

    The repository is made if there is none. Exactly the files of :func:`~mien.hub.saving.save_pretrained` are uploaded:
    no pictures, no logs, no state of the training. Files of an earlier push that the model no longer has are removed.

    Args:
        run: as of :func:`~mien.hub.saving.save_pretrained`.
        name: OWNER/NAME.
        private: whether a new repository is private; by default as the owner has set it.
        commit_message: of the commit.
        branch: to push to; by default main.
        create_pr: open a pull request instead of pushing to the branch.
        token: of the Hub; by default that of ``HF_TOKEN`` or ``hf auth login``.
        title, license: of the card, as of :func:`~mien.hub.saving.save_pretrained`.

    Raises:
        MienError: huggingface_hub is not installed, the run cannot be saved, a file names a path of this machine, there
            is no login or no connection, or the Hub refuses.
    """
    check_name(name)
    hub = library()
    with tempfile.TemporaryDirectory() as temporary:
        folder = _saved(run, Path(temporary) / "model", name, title, license)
        api = hub.HfApi(library_name="mien", library_version=__version__, token=token)
        try:
            full = api.create_repo(name, private=private, exist_ok=True).repo_id
            if branch is not None and not create_pr:
                api.create_branch(full, branch=branch, exist_ok=True)
            with bars():
                commit = api.upload_folder(
                    repo_id=full, folder_path=folder, allow_patterns=list(FILES), delete_patterns=list(FILES),
                    commit_message=commit_message or f"Upload by mien {__version__}", revision=branch,
                    create_pr=create_pr,
                )  # fmt: skip
        except Exception as error:
            raise explained(error, f"{PREFIX}//{name}") from None
    return str(commit.pr_url or commit.commit_url) if create_pr else str(commit.commit_url)


def plan(run: str | Path | OpenRun | Model, name: str, *, title: str = "", license: str = "") -> Upload:
    """Return what :func:`push_to_hub` would upload; nothing is sent, and no login is needed.

    Raises:
        MienError: as :func:`push_to_hub`.
    """
    check_name(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = _saved(run, Path(temporary) / "model", name, title, license)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        return Upload(name, files, (folder / CARD_TEXT).read_text(encoding="utf-8"))


def _saved(run: str | Path | OpenRun | Model, folder: Path, name: str, title: str, license: str) -> Path:
    """Save a run for an upload, and check that no text names a path of this machine."""
    save_pretrained(run, folder, title=title, license=license, address=f"{PREFIX}//{name}")
    for path in sorted(folder.iterdir()):
        match = PATH.search(path.read_text(encoding="utf-8")) if path.suffix in TEXTS else None
        if match:
            raise MienError(
                f"expected no path of this machine in {path.name}, got {match[0]:.200}: rename the setting that holds "
                "it in the run's config.json, or save the run with mien.save_pretrained and correct the file"
            )
    return folder
