"""Edits of pictures as a judge sees them, for recipes whose measures are not those of mien evaluate.

Nothing here imports a slow package before a function is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.recipes.recipe import Pictures

if TYPE_CHECKING:
    from torch import Tensor

# Faces of LFW are smaller in their pictures than those of CelebA: a square of 190 of 250 pixels has the same distance
# between the eyes, relative to its side (100 pictures of LFW, 330 of CelebA, by their points).
LFW32, LFW64, LFW128 = (Pictures("lfw", size, {"crop": 190}) for size in (32, 64, 128))
OTHER_AVATARS = Pictures("avatars", 16, {"count": 60, "seed": 7}, packaged=True)  # other ones than common.AVATARS


def judged(judge: Any, x: Tensor) -> Tensor:
    """Return the probability of each attribute (B, A) that a judge sees in pictures (B, C, H, W), on the CPU."""
    from mien.applications.basics import device_of, recognize

    return recognize(judge, x.to(device_of(judge))).cpu()


def reverse(judge: Any, editor: Any, x: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Reverse an attribute of pictures: it is added to those in which the judge does not see it, else removed.

    Args:
        judge: recognizes attributes, ``name`` among them.
        editor: a function from pictures and {name: amount} to pictures.
        x: (B, C, H, W) in [-1, 1]; name: the attribute.

    Returns:
        The edited pictures (B, C, H, W); whether the judge sees the reversed attribute (B,), 0 or 1; and the mean
        absolute change of its probabilities of the other attributes (B,). All on the CPU.
    """
    import torch

    before, column = judged(judge, x), judge.attributes.index(name)
    has = before[:, column] > 0.5
    edited = x.cpu().clone()
    for value, amount in ((False, 1.0), (True, -1.0)):
        if (chosen := has == value).any():
            edited[chosen] = editor(x[chosen.to(x.device)], {name: amount}).cpu()
    after = judged(judge, edited)
    rest = [i for i in range(before.shape[1]) if i != column]
    others = (after - before)[:, rest].abs().mean(1) if rest else torch.zeros(len(x))
    return edited, ((after[:, column] > 0.5) != has).float(), others
