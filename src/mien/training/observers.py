"""Observers of a training: objects that the loop calls before and after each step, and after each report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.training.loop import Trainer


class Observer:
    """Base of observers; every method does nothing, and a subclass overrides those it needs.

    The loop calls each method with the :class:`~mien.training.loop.Trainer`, whose public attributes an observer may
    read: ``model``, ``update``, ``settings``, ``step`` (steps done), ``seconds``, ``folder``, ``console``, ``fabric``.
    An observer must not change weights or draw random numbers inside a step. With several processes, each process
    calls its own observers. An exception in a method ends the training without a checkpoint.

    Pass observers to :func:`mien.experiment.train` or :func:`mien.training.loop.fit`, such as
    ``train("vae", Data("avatars"), observers=[History("kl")])`` with:

    >>> class History(Observer):
    ...     def __init__(self, term):
    ...         self.term, self.values = term, []
    ...
    ...     def after_report(self, trainer, terms):
    ...         self.values.append((trainer.step, terms[self.term]))
    """

    def start(self, trainer: Trainer) -> None:
        """Prepare; called once, before the first step of this call of the loop."""

    def before_step(self, trainer: Trainer) -> None:
        """Called before the batch of a step is read; ``trainer.step`` counts the steps before it."""

    def after_step(self, trainer: Trainer) -> None:
        """Called after each step, before its report; ``trainer.step`` includes the step."""

    def after_report(self, trainer: Trainer, terms: Mapping[str, float]) -> None:
        """Called every ``log_every`` steps and after the last one, once ``terms`` of that step are logged.

        Args:
            trainer: the loop.
            terms: losses and other scalars by name, with ``gradient_norm``.
        """

    def close(self, trainer: Trainer) -> None:
        """Release what :meth:`start` took; called once at the end, in reverse order, also after an exception."""
