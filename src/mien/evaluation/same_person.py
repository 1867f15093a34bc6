"""The result of the comparison of persons. This module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from mien.evaluation.record import Record


@dataclass(frozen=True)
class AUC(Record):
    """ROC-AUC of one similarity with its 95 % interval, and its medians over the pairs of each kind."""

    auc: float
    low: float
    high: float
    median_same: float
    median_strangers: float


@dataclass(frozen=True)
class SamePerson(Record):
    """The AUC of every similarity and the counts of pairs, see :mod:`mien.metrics.similarity_auc`."""

    protocol: str
    data: str
    split: str
    split_rule: str
    noise: float
    reference: int
    n_same: int
    n_strangers: int
    persons: int
    pictures: int
    seed: int
    bootstrap: int
    interval: float
    measures: dict[str, AUC]
    paired_persons: int
    paired_persons_in_training: int

    @property
    def pairs(self) -> str:
        """A description of the pairs."""
        return (
            f"{self.n_same:,} pairs of one person ({self.paired_persons:,} persons, "
            f"{self.paired_persons_in_training:,} of them also in training), {self.n_strangers:,} of strangers, all "
            f"{self.split} pictures; 95 % of a bootstrap over pairs; guessing earns .5"
        )
