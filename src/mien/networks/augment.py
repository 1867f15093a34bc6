"""DiffAugment: random changes of pictures that gradients pass, the same for several batches of pictures.

Zhao, Liu, Lin, Zhu & Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020. The ranges are
those of the paper's Appendix A. A discriminator that sees changed pictures only, real and made ones alike, cannot
memorize its training pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mien.errors import MienError

POLICIES = ("color", "translation", "cutout")
SHIFT = 0.125  # largest translation, as a share of height and width
HOLE = 0.5  # side of the square of cutout, as a share of height and width

Change = Callable[[Tensor], Tensor]


def check_policies(policies: Sequence[str]) -> None:
    """Raise MienError unless every name is one of :data:`POLICIES`.

    >>> check_policies(("color", "zoom"))
    Traceback (most recent call last):
    ...
    mien.errors.MienError: expected augment of color, translation, cutout, got 'zoom': such as augment=color,translation
    """
    for name in policies:
        if name not in POLICIES:
            raise MienError(
                f"expected augment of {', '.join(POLICIES)}, got '{name}': such as augment=color,translation"
            )


def random_change(x: Tensor, policies: Sequence[str]) -> Change:
    """Return a function that changes pictures like ``x``; each picture of the batch has its own random draw.

    The function changes batch after batch by the same draw: the picture at place i always in the same way. It has
    derivatives of every order with respect to the pictures.

    Args:
        x: (B, C, H, W), for the size, the device and the type.
        policies: names of :data:`POLICIES`, in the order of their use; none returns the pictures as they are.

    Raises:
        MienError: for a name that does not exist.

    >>> x = torch.rand(2, 3, 8, 8)
    >>> change = random_change(x, ("color", "translation", "cutout"))
    >>> torch.equal(change(x), change(x)), change(x).shape
    (True, torch.Size([2, 3, 8, 8]))
    """
    check_policies(policies)
    makers = {"color": _color, "translation": _translation, "cutout": _cutout}
    changes = [makers[name](x) for name in policies]

    def change(pictures: Tensor) -> Tensor:
        """Return pictures (B, C, H, W), changed by each policy in order."""
        for one in changes:
            pictures = one(pictures)
        return pictures

    return change


def _color(x: Tensor) -> Change:
    """Brightness ± 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5; values may leave [-1, 1]."""
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device, dtype=x.dtype)

    def change(pictures: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of the drawn brightness, saturation and contrast."""
        pictures = pictures + (brightness - 0.5)
        gray = pictures.mean(1, keepdim=True)
        pictures = gray + (pictures - gray) * (2 * saturation)
        mean = pictures.mean((1, 2, 3), keepdim=True)
        changed: Tensor = mean + (pictures - mean) * (contrast + 0.5)
        return changed

    return change


def _translation(x: Tensor) -> Change:
    """A shift of up to an eighth of height and width; the free border is 0."""
    places = []
    for side in x.shape[2:]:
        reach = int(side * SHIFT + 0.5)
        shift = torch.randint(-reach, reach + 1, (len(x), 1), device=x.device)
        # 0 and side + 1 are the border of zeros around the picture
        places.append((torch.arange(side, device=x.device) + 1 + shift).clamp(0, side + 1))
    rows, columns = places
    picture = torch.arange(len(x), device=x.device)[:, None, None]

    def change(pictures: Tensor) -> Tensor:
        """Return pictures (B, C, H, W), each shifted by its drawn rows and columns."""
        padded = torch.nn.functional.pad(pictures, (1, 1, 1, 1)).movedim(1, -1)  # (B, H + 2, W + 2, C)
        shifted: Tensor = padded[picture, rows[:, :, None], columns[:, None, :]]
        return shifted.movedim(-1, 1).contiguous()

    return change


def _cutout(x: Tensor) -> Change:
    """A square of half the height and width is 0; its center is any pixel."""
    inside = []
    for side in x.shape[2:]:
        hole = int(side * HOLE + 0.5)
        first = torch.randint(0, side + 1 - hole % 2, (len(x), 1), device=x.device) - hole // 2
        place = torch.arange(side, device=x.device)
        inside.append((place >= first) & (place < first + hole))
    keep = ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])  # (B, 1, H, W)

    def change(pictures: Tensor) -> Tensor:
        return pictures * keep

    return change
