"""Models from a folder, by the name of one that comes with the package, or from the Hub."""

from __future__ import annotations

from pathlib import Path

from mien import pretrained
from mien.errors import MienError
from mien.models.base import Model
from mien.run import remote
from mien.run.folder import resolve
from mien.run.weights import load


def from_pretrained(
    name: str | Path,
    *,
    revision: str | None = None,
    device: str = "cpu",
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Model:
    """Return a model in evaluation mode, in float32. Nothing that comes with it is executed.

    Weights that are missing, unknown or of another shape are refused.

    Args:
        name: a folder, such as one of :func:`save_pretrained`; the name of a model that comes with the package; or a
            model on the Hub: ``owner/name``, ``hf://owner/name`` or ``hf://owner/name@revision``. A folder comes first.
        revision: a branch, a tag or a commit of the Hub; by default the branch main.
        device: cpu or cuda.
        cache_dir: the cache of huggingface_hub; by default the one that it uses.
        force_download: download files again that the cache holds.
        local_files_only: do not use the network, as with the environment variable ``HF_HUB_OFFLINE``.
        token: of the Hub; by default that of ``HF_TOKEN`` or ``hf auth login``.

    Raises:
        MienError: there is no such model, it cannot be downloaded, or its files are damaged or of different models.

    >>> from_pretrained("faces-64").name
    'dfc_vae'
    """
    text = name.as_posix() if isinstance(name, Path) else name
    if not remote.is_remote(name):
        local = Path(name).is_dir() or pretrained.plain(text) in pretrained.names()
        if local or not remote.NAME.fullmatch(text):
            if revision is not None:
                raise MienError(
                    f"expected no revision of {text}, which is not on the Hub, got {revision}: leave it out"
                )
            return load(resolve(name), device)
        name, text = f"{remote.PREFIX}//{text}", f"{remote.PREFIX}//{text}"
    repository, own = remote.parse(name)
    if own is not None and revision not in (None, own):
        raise MienError(f"expected one revision, got {own} in {text} and {revision}: name one of them")
    folder = remote.fetch(
        repository, revision or own, cache=cache_dir, force=force_download, local_only=local_files_only, token=token
    )
    return load(folder, device)
