"""Which attributes of a run are edited, and which edits are shown first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.abilities import Edits

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mien.applications.arithmetic import Editor
    from mien.run.opening import OpenRun

# attributes whose edits tell most; others follow where a run does not have them
TELLING = ("Eyeglasses", "Smiling", "Wearing_Hat", "Black_Hair", "Blond_Hair", "Beard", "Male", "Bangs", "Bald")


def editable(run: OpenRun, editor: Editor) -> list[str]:
    """Return the attributes that the editor of a run can change and the held-out pictures can show."""
    return [name for name in run.dataset.attributes if name in editor.names]


def edits_by_itself(run: OpenRun) -> bool:
    """Return whether the model edits without attribute vectors."""
    return isinstance(run.model, Edits)


def telling(names: list[str], most: int) -> list[str]:
    """Return at most ``most`` attributes of those named, the telling ones first.

    >>> telling(["Young", "Bald", "Smiling"], 2)
    ['Smiling', 'Bald']
    """
    first = [name for name in TELLING if name in names]
    return (first + [name for name in names if name not in first])[:most]


def reverse(editor: Editor, x: Tensor, values: np.ndarray, attribute: str) -> Tensor:
    """Return pictures (B, C, H, W) with the attribute removed where it is and added where it is not.

    Args:
        values: (B,) of +1 with the attribute, -1 without it, 0 not known: such a picture stays undefined.
    """
    import torch

    changed = torch.empty_like(x)
    for sign in (1, -1):
        rows = torch.from_numpy(values == -sign).to(x.device)
        if rows.any():
            changed[rows] = editor(x[rows], {attribute: float(sign)})
    return changed
