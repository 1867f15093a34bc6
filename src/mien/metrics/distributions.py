"""Distances between real and generated pictures: each metric's name fixes its protocol.

============================  =========  ==========================================================  ==========
name                          features   generated against real                                      value
============================  =========  ==========================================================  ==========
``fid10k``, ``fid50k``        inception  10,000 or 50,000 against training pictures                  Fréchet
``kid10k``, ``kid50k``        inception  the same                                                    kernel
``precision_recall10k``       inception  10,000 against 10,000 training pictures                     two shares
``inception2k``               inception  2,000, no real ones (Salimans et al. 2016)                  score
``feature_fid``               judge      as many as the held-out pictures, which are the real ones   Fréchet
``feature_kid``               judge      the same                                                    kernel
``feature_precision_recall``  judge      the same, at most 10,000                                    two shares
``feature_score``             judge      as many as the held-out pictures, no real ones              score
============================  =========  ==========================================================  ==========

For Inception, the real pictures are at most 50,000 of the training split, as is usual in the field. All measures of one
network share one pass over the real and one over the generated pictures. Memory does not grow with the number of
pictures: a pass stores sums and, for each count, a seeded sample of at most 10,000 rows of features (82 MB at 2,048
features) or logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mien.errors import MienError, UnknownName
from mien.metrics.density_coverage import NEIGHBORS as COVERAGE_NEIGHBORS
from mien.metrics.density_coverage import density_coverage
from mien.metrics.feature_networks import FeatureNetwork
from mien.metrics.fid import Moments, fid
from mien.metrics.inception_score import SPLITS, inception_score
from mien.metrics.kid import SUBSET_SIZE, kid
from mien.metrics.precision_recall import NEIGHBORS, precision_recall

MAX_REAL = 50_000  # real pictures in a measure
MAX_ROWS = 10_000  # rows of features stored for one side

Note = Callable[[str, int, int], None] | None
Progress = Callable[[int, int], None]
Value = TypeVar("Value")
MOMENTS, ROWS, LOGITS = "moments", "rows", "logits"


class Collection:
    """Statistics of the features of n pictures, collected batch by batch.

    Args:
        n: number of pictures.
        network: the network that computes the features.
        needs: what to store: ``moments``, ``rows`` (a seeded sample of at most 10,000), ``logits`` (of the same rows).
        seed: seed of the sample.
    """

    def __init__(self, n: int, network: FeatureNetwork, needs: Iterable[str], seed: int):
        # Apple's devices have no float64, so the statistics stay on the CPU there
        place = network.device if network.device.type in ("cpu", "cuda") else torch.device("cpu")
        self.n, self.count, self.row, needs = n, 0, 0, set(needs)
        self.sample = np.ones(n, bool)
        if n > MAX_ROWS:
            self.sample[:] = False
            self.sample[np.random.default_rng(seed).choice(n, MAX_ROWS, replace=False)] = True
        rows = min(n, MAX_ROWS)
        self.moments = Moments(network.number, place) if MOMENTS in needs else None
        self.rows = torch.empty(rows, network.number, device=place) if ROWS in needs else None
        self.logits = torch.empty(rows, network.classes, device=place) if LOGITS in needs else None

    def update(self, features: Tensor, logits: Tensor | None) -> None:
        """Add the features (B, D) and logits (B, classes) of the next pictures; pictures after the n-th are ignored."""
        features = features[: self.n - self.count]
        if self.moments is not None:
            self.moments.update(features)
        mask = self.sample[self.count : self.count + len(features)]
        index = torch.from_numpy(np.flatnonzero(mask))
        end = self.row + len(index)
        for store, values in ((self.rows, features), (self.logits, logits)):
            if store is not None:
                assert values is not None
                store[self.row : end] = values[index.to(values.device)].to(store)
        self.count, self.row = self.count + len(features), end


Measure = Callable[[Collection | None, Collection, int, Progress], dict[str, Any]]


def _fid(real: Collection | None, generated: Collection, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    return fid(_required(real.moments), _required(generated.moments), _required(generated.rows), seed, progress)


def _kid(real: Collection | None, generated: Collection, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    a, b = _required(real.rows), _required(generated.rows)
    # subsets of all rows would all be equal, and their spread would be zero
    size = min(SUBSET_SIZE, min(len(a), len(b)) // 2)
    return kid(a, b, seed, subset_size=size, progress=progress)


def _precision_recall(real: Collection | None, generated: Collection, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    return precision_recall(_required(real.rows), _required(generated.rows), progress=progress)


def _density_coverage(real: Collection | None, generated: Collection, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    return density_coverage(_required(real.rows), _required(generated.rows), progress=progress)


def _score(real: Collection | None, generated: Collection, seed: int, progress: Progress) -> dict[str, Any]:
    return inception_score(_required(generated.logits), seed)


def _required(value: Value | None) -> Value:
    assert value is not None  # a protocol's needs name what its measure reads
    return value


@dataclass(frozen=True)
class Kind:
    """One kind of measure, whatever the pictures and the network.

    Args:
        needs: statistics that the measure reads of each side: ``moments``, ``rows``, ``logits``.
        fewest: smallest number of pictures on each side.
        measure: function that computes the numbers.
        real: whether the measure compares with real pictures.
    """

    needs: tuple[str, ...]
    fewest: int
    measure: Measure
    real: bool = True


KINDS = {
    "fid": Kind((MOMENTS, ROWS), 2, _fid),
    "kid": Kind((ROWS,), 4, _kid),
    "precision_recall": Kind((ROWS,), NEIGHBORS + 1, _precision_recall),
    "density_coverage": Kind((ROWS,), COVERAGE_NEIGHBORS + 1, _density_coverage),
    "inception_score": Kind((LOGITS,), 2 * SPLITS, _score, real=False),
}


@dataclass(frozen=True)
class Protocol:
    """The protocol that a metric's name fixes.

    Args:
        name: name of the metric.
        network: name of its feature network.
        generated: number of generated pictures; 0 means the number of real pictures.
        split: split of the real pictures, ``training`` or ``held-out``; empty if no real pictures are needed.
        kind: the kind of measure.
        fewest: smallest number of pictures on each side.
    """

    name: str
    network: str
    generated: int
    split: str
    kind: Kind
    fewest: int

    @property
    def needs(self) -> tuple[str, ...]:
        """The statistics that the measure reads of each side."""
        return self.kind.needs

    @property
    def measure(self) -> Measure:
        """The function that computes the numbers."""
        return self.kind.measure


def _all_protocols() -> dict[str, Protocol]:
    train, held = "training", "held-out"
    distance, kernel, shares, score = (KINDS[k] for k in ("fid", "kid", "precision_recall", "inception_score"))
    protocols = [
        Protocol("fid10k", "inception", 10_000, train, distance, distance.fewest),
        Protocol("fid50k", "inception", 50_000, train, distance, distance.fewest),
        Protocol("kid10k", "inception", 10_000, train, kernel, 2 * SUBSET_SIZE),
        Protocol("kid50k", "inception", 50_000, train, kernel, 2 * SUBSET_SIZE),
        Protocol("precision_recall10k", "inception", 10_000, train, shares, shares.fewest),
        Protocol("inception2k", "inception", 2_000, "", score, 2_000),
        Protocol("feature_fid", "judge", 0, held, distance, distance.fewest),
        Protocol("feature_kid", "judge", 0, held, kernel, kernel.fewest),
        Protocol("feature_precision_recall", "judge", 0, held, shares, shares.fewest),
        Protocol("feature_score", "judge", 0, "", score, score.fewest),
    ]
    return {p.name: p for p in protocols}


PROTOCOLS = _all_protocols()


def names(network: FeatureNetwork | None = None) -> tuple[str, ...]:
    """Return the names of all protocols, or of the protocols that ``network`` can serve.

    >>> names()[:3]
    ('fid10k', 'fid50k', 'kid10k')
    """
    return tuple(n for n, p in PROTOCOLS.items() if network is None or _serves(network, p))


def _serves(network: FeatureNetwork, protocol: Protocol) -> bool:
    return network.name == protocol.network and (LOGITS not in protocol.needs or network.classes > 1)


def check(metrics: Sequence[str], network: FeatureNetwork, n_real: int) -> list[Protocol]:
    """Return the protocols of the named metrics. The check is cheap: call it before the pictures are computed.

    Raises:
        UnknownName: a metric that does not exist.
        MienError: a metric of another network, a metric that needs classes, or too few pictures.
    """
    protocols = []
    for name in metrics:
        if name not in PROTOCOLS:
            raise UnknownName("metric", name, PROTOCOLS)
        protocol = PROTOCOLS[name]
        if network.name != protocol.network:
            raise MienError(
                f"expected features of {protocol.network} for {name}, got those of {network.name}: "
                f"choose from {', '.join(names(network))}"
            )
        if not _serves(network, protocol):
            raise MienError(f"expected a judge that tells classes apart for {name}, got one of attributes")
        if (protocol.split or not protocol.generated) and n_real < protocol.fewest:
            way = "use more" if protocol.network == "judge" else "use more, or a judge's features (feature_…)"
            raise MienError(f"expected {protocol.fewest} real pictures or more for {name}, got {n_real}: {way}")
        protocols.append(protocol)
    return protocols


def draw(positions: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the positions of the real pictures: at most 50,000 of a split, drawn at random and sorted."""
    return np.sort(np.random.default_rng(seed).permutation(positions)[:MAX_REAL])


def collect(
    network: FeatureNetwork,
    pictures: Iterable[Tensor],
    plans: Mapping[int, Iterable[str]],
    seed: int = 0,
    note: Note = None,
    what: str = "features",
) -> dict[int, Collection]:
    """Return the statistics of the first n pictures for each count n of ``plans``, from one pass over the pictures.

    Args:
        pictures: batches (B, C, H, W) in [-1, 1]; reading stops at the largest count.
        plans: for each count n, the statistics to store: ``moments``, ``rows``, ``logits``.
        seed: seed of the samples of rows.
        note: called with (what, done, total).
        what: name of the pass in messages.

    Raises:
        MienError: fewer pictures than the largest count, or values that are not finite.
    """
    collections = {n: Collection(n, network, needs, seed) for n, needs in plans.items()}
    most, done = max(plans, default=0), 0
    source = iter(pictures)
    with torch.inference_mode():
        while done < most and (x := next(source, None)) is not None:
            x = x[: most - done]
            if not bool(torch.isfinite(x).all()):
                raise MienError(f"expected pictures in [-1, 1] for {what}, got values that are no numbers: train again")
            features, logits = network.look(x)
            for collection in collections.values():
                if collection.count < collection.n:
                    collection.update(features, logits)
            done += len(x)
            if note:
                note(what, done, most)
    if done < most:
        raise MienError(f"expected {most} pictures for {what}, got {done}: give as many as were announced")
    return collections


def _plans(protocols: Sequence[Protocol], count: Callable[[Protocol], int]) -> dict[int, set[str]]:
    plans: dict[int, set[str]] = {}
    for protocol in protocols:
        plans.setdefault(count(protocol), set()).update(protocol.needs)
    return plans


def collect_real(
    metrics: Sequence[str],
    network: FeatureNetwork,
    pictures: Iterable[Tensor],
    n: int,
    seed: int = 0,
    note: Note = None,
) -> dict[int, Collection]:
    """Return the statistics of n real pictures, at most of the first 50,000; several :func:`measure` can use them."""
    plans = _plans([p for p in check(metrics, network, n) if p.split], lambda p: min(n, MAX_REAL))
    return collect(network, pictures, plans, seed, note, "features of real pictures")


def measure(
    metrics: Sequence[str],
    network: FeatureNetwork,
    real: Mapping[int, Collection],
    n_real: int,
    generated: Callable[[int], Iterable[Tensor]],
    seed: int = 0,
    note: Note = None,
) -> dict[str, dict[str, Any]]:
    """Return the measures of generated pictures against ``real``, a result of :func:`collect_real`.

    The other arguments, the result and the errors are those of :func:`distributions`.
    """
    protocols = check(metrics, network, n_real)
    real_count = min(n_real, MAX_REAL)

    def count(protocol: Protocol) -> int:
        return protocol.generated or real_count

    plans = _plans(protocols, count)
    fakes: dict[int, Collection] = {}
    if plans:
        fakes = collect(network, generated(max(plans)), plans, seed, note, "features of generated pictures")
    results = {}
    for protocol in protocols:

        def progress(done: int, total: int, name: str = protocol.name) -> None:
            if note:
                note(name, done, total)

        numbers = protocol.measure(real.get(real_count), fakes[count(protocol)], seed, progress)
        results[protocol.name] = {
            "n_real": real_count if protocol.split else 0,
            "n_generated": count(protocol),
            **numbers,  # may hold smaller counts, where a measure uses a sample
            "seed": seed,
            "split": protocol.split or None,
            **network.about(),
        }
    return results


def distributions(
    metrics: Sequence[str],
    network: FeatureNetwork,
    real: Iterable[Tensor],
    n_real: int,
    generated: Callable[[int], Iterable[Tensor]],
    seed: int = 0,
    note: Note = None,
) -> dict[str, dict[str, Any]]:
    """Return the named measures of generated pictures, from one pass over the real and one over the generated ones.

    Args:
        metrics: names of metrics of one network; :func:`names` lists them.
        network: the network that computes the features.
        real: batches (B, C, H, W) in [-1, 1] of the split ``PROTOCOLS[name].split``. Only the first 50,000 pictures
            are used; :func:`draw` draws a random subset of a larger split.
        n_real: number of real pictures.
        generated: takes n, returns batches of n generated pictures; called once, with the largest n needed.
        seed: seed of samples of rows, subsets and shuffles; the caller seeds the generated pictures.
        note: called with (what, done, total).

    Returns:
        For each name: ``value``, ``spread`` and ``spread_of`` (the meaning of the spread), n_real, n_generated, seed,
        split, the network with the hash of its weights, the preprocessing, and the other constants of the protocol.
        Precision and recall are two values, each with its spread.

    Raises:
        MienError: a metric of another network, too few pictures, or fewer pictures than ``n_real``.
    """
    statistics = collect_real(metrics, network, real, n_real, seed, note)
    return measure(metrics, network, statistics, n_real, generated, seed, note)
