"""Attributes and amounts on the command line, and the editor of a run, for the commands that use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.shared import Folders, bars, make_console, pick_device
from mien.errors import MienError

MOST = 10  # the largest amount of either sign
FAR = 1.5  # an amount that differs from the best one by this factor or more is mentioned

Keep = Annotated[
    list[str] | None,
    typer.Option(
        help="An attribute that stays as it is, although it correlates with a changed one; repeat for several.",
        show_default=False,
    ),
]

Direction = Annotated[
    str,
    typer.Option(
        help="How attribute vectors are computed: mean (difference of means), svm, or whitened (difference of means)."
    ),
]


def parse_amounts(words: Sequence[str]) -> dict[str, float]:
    """Return the amounts of arguments ``Attribute=amount``.

    Raises:
        MienError: for another form, or an amount out of [-10, 10].

    >>> parse_amounts(["Smiling=+1", "Eyeglasses=-0.5"])
    {'Smiling': 1.0, 'Eyeglasses': -0.5}
    """
    amounts = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            amount = float(text)
        except ValueError:
            amount = float("nan")
        if not name or not abs(amount) <= MOST:
            raise MienError(f"expected Attribute=amount from -{MOST} to +{MOST}, got '{word}': such as Smiling=+1")
        amounts[name] = amount
    return amounts


def pictures_and_amounts(words: Sequence[str]) -> tuple[list[Path], dict[str, float]]:
    """Return the pictures and the amounts among the arguments of a command.

    An argument that contains ``=`` is an amount, unless a file or a folder has that name.
    """
    pictures = [Path(word) for word in words if "=" not in word or Path(word).exists()]
    return pictures, parse_amounts([word for word in words if "=" in word and not Path(word).exists()])


def open_editor(
    run: Path,
    model: Any,
    names: Sequence[str],
    keep: Sequence[str],
    root: Folders,
    device: str,
    direction: str = "mean",
) -> Any:
    """Return the :class:`~mien.applications.arithmetic.Editor` of a run.

    See :func:`~mien.run.editors.load_editor`; a bar shows how far new attribute vectors are.

    Args:
        model: the run's.
        names: the attributes to change.
        keep: attributes whose directions an edit does not move along.
        root: where the data lie now if they have moved.
        direction: of the attribute vectors.

    Raises:
        MissingAbility: for a model that neither edits nor encodes and decodes.
        UnknownName, MienError: for an attribute that cannot be changed or kept, or a direction that does not exist.
    """
    from mien.run.editors import load_editor

    with bars(make_console()) as note:
        return load_editor(
            run,
            pick_device(device),
            keep=keep,
            direction=direction,
            names=names,
            root=root,
            model=model,
            progress=lambda done, total: note("attribute vectors", done, total),
        )


def held_out_to_edit(run: Path, amounts: Mapping[str, float], n: int, root: Folders) -> Any:
    """Return n held-out pictures (n, C, H, W) that do not have what an edit adds, and have what it removes.

    A line says so, and says how many pictures are different where the data do not hold enough.
    """
    from mien.applications.arithmetic import pictures_to_edit
    from mien.run.opening import open_run

    opened = open_run(run, root=root)
    chosen, exact = pictures_to_edit(opened.dataset, opened.splits.test, amounts, n)
    changes = {name: amount for name, amount in amounts.items() if name in opened.dataset.attributes and amount}
    if changes:
        kind = " and ".join(f"{'without' if amount > 0 else 'with'} {name}" for name, amount in changes.items())
        rest = len(chosen) - exact
        other = f", and {rest} other{'s' * (rest > 1)}: the data hold no more of the first kind" if rest else ""
        line = f"{exact} held-out picture{'s' * (exact != 1)} {kind}{other}"
        make_console().print(line, style="dim", markup=False, highlight=False)
    return opened.dataset.batch(chosen).x


@dataclass(frozen=True)
class EditRequest:
    """An edit as the command line describes it.

    Args:
        run: the run folder.
        amounts: by attribute.
        keep: attributes whose directions the edit does not move along.
        direction: of the attribute vectors.
        root: where the data lie now if they have moved.
        device: the value of ``--device``.
    """

    run: Path
    amounts: dict[str, float]
    keep: tuple[str, ...]
    direction: str
    root: Folders
    device: str

    @property
    def label(self) -> str:
        """The edit in words, such as ``Smiling +1, Male -0.5``."""
        return ", ".join(f"{name} {amount:+g}" for name, amount in self.amounts.items())

    def open(self, model: Any) -> Any:
        """Return the editor; print a line for each amount and attribute with which evaluate found a problem.

        Raises:
            MienError: as :func:`open_editor`.
        """
        from mien.evaluation.warnings import edit_warnings

        editor = open_editor(self.run, model, list(self.amounts), self.keep, self.root, self.device, self.direction)
        for line in [*far_amounts(self.run, self.amounts, self.direction), *edit_warnings(self.run, self.amounts)]:
            make_console().print(f"[dim]{line}[/]")
        return editor


def far_amounts(run: Path, amounts: Mapping[str, float], direction: str = "mean") -> list[str]:
    """Return a line for each amount that is far from the one that ``mien evaluate`` found to work best."""
    from mien.run.opening import cached_amounts

    best = cached_amounts(run, direction)
    return [
        f"{name}: evaluate found {best[name]:g} to be the amount that works best"
        for name, amount in amounts.items()
        if name in best and amount and not best[name] / FAR < abs(amount) < best[name] * FAR
    ]
