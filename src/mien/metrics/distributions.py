"""Distances between the real and the generated pictures: the protocols that the metrics' names stand for.

============================  =========  ==========================================================  ==========
name                          features   generated against real                                      value
============================  =========  ==========================================================  ==========
``fid10k``, ``fid50k``        inception  10,000 or 50,000 against training pictures                  Fréchet
``kid10k``, ``kid50k``        inception  the same                                                    kernel
``precision_recall10k``       inception  10,000 against 10,000 training pictures                     two shares
``inception2k``               inception  2,000, no real ones (Ma et al. 2019, Fig. 3 and 4)          score
``feature_fid``               judge      as many as the held-out pictures, which are the real ones   Fréchet
``feature_kid``               judge      the same                                                    kernel
``feature_precision_recall``  judge      the same, at most 10,000                                    two shares
``feature_score``             judge      as many as the held-out pictures, no real ones              score
============================  =========  ==========================================================  ==========

The real side of Inception's is the training split, as the field has it: at most 50,000 pictures of it. All measures
of one network come of one pass over each side. What is kept of a pass does not grow with the number of pictures:
sums, and for each count at most 10,000 rows of features (82 MB at 2,048 features) or logits, a seeded sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mien.errors import MienError, UnknownName
from mien.metrics.feature_networks import FeatureNetwork
from mien.metrics.fid import Moments, fid
from mien.metrics.inception_score import SPLITS, inception_score
from mien.metrics.kid import SUBSET_SIZE, kid
from mien.metrics.precision_recall import NEIGHBORS, precision_recall

MOST = 50_000  # real pictures that enter
KEPT = 10_000  # rows of features kept of one side

Note = Callable[[str, int, int], None] | None
Progress = Callable[[int, int], None]
Kept = TypeVar("Kept")
MOMENTS, ROWS, LOGITS = "moments", "rows", "logits"


class Seen:
    """What is kept of the features of n pictures.

    Args:
        n: how many will come.
        network: whose features they are.
        keeps: of ``moments``, ``rows`` (a seeded sample of at most 10,000) and ``logits`` (of the same rows).
        seed: of the sample.
    """

    def __init__(self, n: int, network: FeatureNetwork, keeps: Iterable[str], seed: int):
        # Apple's devices have no float64
        place = network.device if network.device.type in ("cpu", "cuda") else torch.device("cpu")
        self.n, self.seen, self.filled, keeps = n, 0, 0, set(keeps)
        self.chosen = np.ones(n, bool)
        if n > KEPT:
            self.chosen[:] = False
            self.chosen[np.random.default_rng(seed).choice(n, KEPT, replace=False)] = True
        kept = min(n, KEPT)
        self.moments = Moments(network.number, place) if MOMENTS in keeps else None
        self.rows = torch.empty(kept, network.number, device=place) if ROWS in keeps else None
        self.logits = torch.empty(kept, network.classes, device=place) if LOGITS in keeps else None

    def update(self, features: Tensor, logits: Tensor | None) -> None:
        """Take in the features (B, D) and logits (B, classes) of the next pictures; those after the n-th are left."""
        features = features[: self.n - self.seen]
        if self.moments is not None:
            self.moments.update(features)
        mask = self.chosen[self.seen : self.seen + len(features)]
        where = torch.from_numpy(np.flatnonzero(mask))
        until = self.filled + len(where)
        for kept, given in ((self.rows, features), (self.logits, logits)):
            if kept is not None:
                assert given is not None
                kept[self.filled : until] = given[where.to(given.device)].to(kept)
        self.seen, self.filled = self.seen + len(features), until


Measure = Callable[[Seen | None, Seen, int, Progress], dict[str, Any]]


def _fid(real: Seen | None, generated: Seen, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    return fid(_kept(real.moments), _kept(generated.moments), _kept(generated.rows), seed, progress)


def _kid(real: Seen | None, generated: Seen, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    a, b = _kept(real.rows), _kept(generated.rows)
    # subsets of all there are would all be the same, and their spread would say nothing
    size = min(SUBSET_SIZE, min(len(a), len(b)) // 2)
    return kid(a, b, seed, subset_size=size, progress=progress)


def _precision_recall(real: Seen | None, generated: Seen, seed: int, progress: Progress) -> dict[str, Any]:
    assert real is not None
    return precision_recall(_kept(real.rows), _kept(generated.rows), progress=progress)


def _score(real: Seen | None, generated: Seen, seed: int, progress: Progress) -> dict[str, Any]:
    return inception_score(_kept(generated.logits), seed)


def _kept(what: Kept | None) -> Kept:
    assert what is not None  # a protocol asks for what its measure needs
    return what


@dataclass(frozen=True)
class Protocol:
    """What a metric's name fixes.

    Args:
        name: of the metric.
        network: name of its feature network.
        generated: how many generated pictures; 0 for as many as there are real ones.
        split: which pictures are the real ones: ``training`` or ``held-out``; empty where none are needed.
        keeps: what is kept of either side.
        fewest: pictures a side below which it is refused.
        measure: makes the numbers.
    """

    name: str
    network: str
    generated: int
    split: str
    keeps: tuple[str, ...]
    fewest: int
    measure: Measure


def _all_protocols() -> dict[str, Protocol]:
    train, held = "training", "held-out"
    both, rows, logits = (MOMENTS, ROWS), (ROWS,), (LOGITS,)
    protocols = [
        Protocol("fid10k", "inception", 10_000, train, both, 2, _fid),
        Protocol("fid50k", "inception", 50_000, train, both, 2, _fid),
        Protocol("kid10k", "inception", 10_000, train, rows, 2 * SUBSET_SIZE, _kid),
        Protocol("kid50k", "inception", 50_000, train, rows, 2 * SUBSET_SIZE, _kid),
        Protocol("precision_recall10k", "inception", 10_000, train, rows, NEIGHBORS + 1, _precision_recall),
        Protocol("inception2k", "inception", 2_000, "", logits, 2_000, _score),
        Protocol("feature_fid", "judge", 0, held, both, 2, _fid),
        Protocol("feature_kid", "judge", 0, held, rows, 4, _kid),
        Protocol("feature_precision_recall", "judge", 0, held, rows, NEIGHBORS + 1, _precision_recall),
        Protocol("feature_score", "judge", 0, "", logits, 2 * SPLITS, _score),
    ]
    return {p.name: p for p in protocols}


PROTOCOLS = _all_protocols()


def names(network: FeatureNetwork | None = None) -> tuple[str, ...]:
    """Return the names of all protocols, or of those that a network can serve.

    >>> names()[:3]
    ('fid10k', 'fid50k', 'kid10k')
    """
    return tuple(n for n, p in PROTOCOLS.items() if network is None or _serves(network, p))


def _serves(network: FeatureNetwork, protocol: Protocol) -> bool:
    return network.name == protocol.network and (LOGITS not in protocol.keeps or network.classes > 1)


def check(wanted: Sequence[str], network: FeatureNetwork, n_real: int) -> list[Protocol]:
    """Return the protocols named; cheap, to be called before anything is computed.

    Raises:
        UnknownName: a name that is none of a protocol.
        MienError: a protocol of another network, one that needs classes, or too few pictures.
    """
    protocols = []
    for name in wanted:
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
    """Return at most 50,000 of the positions of a split, drawn at random and sorted: those that are the real side."""
    return np.sort(np.random.default_rng(seed).permutation(positions)[:MOST])


def see(
    network: FeatureNetwork,
    pictures: Iterable[Tensor],
    plans: Mapping[int, Iterable[str]],
    seed: int = 0,
    note: Note = None,
    what: str = "features",
) -> dict[int, Seen]:
    """Return what is kept of one pass over pictures, for each count.

    Args:
        pictures: batches (B, C, H, W) in [-1, 1]; no more are asked for than the largest count.
        plans: what to keep (``moments``, ``rows``, ``logits``) of the first so many.

    Raises:
        MienError: fewer pictures than the largest count, or values that are no numbers.
    """
    kept = {n: Seen(n, network, keeps, seed) for n, keeps in plans.items()}
    most, done = max(plans, default=0), 0
    source = iter(pictures)
    with torch.inference_mode():
        while done < most and (x := next(source, None)) is not None:
            x = x[: most - done]
            if not bool(torch.isfinite(x).all()):
                raise MienError(f"expected pictures in [-1, 1] for {what}, got values that are no numbers: train again")
            features, logits = network.look(x)
            for seen in kept.values():
                if seen.seen < seen.n:
                    seen.update(features, logits)
            done += len(x)
            if note:
                note(what, done, most)
    if done < most:
        raise MienError(f"expected {most} pictures for {what}, got {done}: give as many as were announced")
    return kept


def _plans(protocols: Sequence[Protocol], count: Callable[[Protocol], int]) -> dict[int, set[str]]:
    plans: dict[int, set[str]] = {}
    for protocol in protocols:
        plans.setdefault(count(protocol), set()).update(protocol.keeps)
    return plans


def see_real(
    wanted: Sequence[str],
    network: FeatureNetwork,
    pictures: Iterable[Tensor],
    n: int,
    seed: int = 0,
    note: Note = None,
) -> dict[int, Seen]:
    """Return what is kept of n real pictures, or of the first 50,000; it may serve several :func:`measure`."""
    plans = _plans([p for p in check(wanted, network, n) if p.split], lambda p: min(n, MOST))
    return see(network, pictures, plans, seed, note, "features of real pictures")


def measure(
    wanted: Sequence[str],
    network: FeatureNetwork,
    real: Mapping[int, Seen],
    n_real: int,
    generated: Callable[[int], Iterable[Tensor]],
    seed: int = 0,
    note: Note = None,
) -> dict[str, dict[str, Any]]:
    """Return the measures of generated pictures against what :func:`see_real` kept; see :func:`distributions`."""
    protocols = check(wanted, network, n_real)
    there = min(n_real, MOST)

    def count(protocol: Protocol) -> int:
        return protocol.generated or there

    plans = _plans(protocols, count)
    seen = see(network, generated(max(plans)), plans, seed, note, "features of generated pictures") if plans else {}
    results = {}
    for protocol in protocols:

        def progress(done: int, total: int, name: str = protocol.name) -> None:
            if note:
                note(name, done, total)

        numbers = protocol.measure(real.get(there), seen[count(protocol)], seed, progress)
        results[protocol.name] = {
            "n_real": there if protocol.split else 0,
            "n_generated": count(protocol),
            **numbers,  # which may say that fewer entered
            "seed": seed,
            "split": protocol.split or None,
            **network.about(),
        }
    return results


def distributions(
    wanted: Sequence[str],
    network: FeatureNetwork,
    real: Iterable[Tensor],
    n_real: int,
    generated: Callable[[int], Iterable[Tensor]],
    seed: int = 0,
    note: Note = None,
) -> dict[str, dict[str, Any]]:
    """Return the named measures of generated pictures, from one pass over the real and one over the generated ones.

    Args:
        wanted: names of protocols of one network; :func:`names` lists them.
        network: whose features are compared.
        real: batches (B, C, H, W) in [-1, 1] of the split that ``PROTOCOLS[name].split`` says; of more than 50,000
            the first, so let :func:`draw` choose them.
        n_real: how many those are.
        generated: takes n, returns batches of n generated pictures; called once, with the largest n needed.
        seed: of samples of rows, subsets and shuffles; that of the pictures is the caller's.
        note: called with (what, done, total).

    Returns:
        For each name: ``value``, ``spread`` and what it is a spread of, n_real, n_generated, seed, split, the network
        with the hash of its weights, the preprocessing, and what else fixes the protocol. Precision and recall are
        two values, each with its spread.

    Raises:
        MienError: a protocol that is not this network's, too few pictures, fewer than announced.
    """
    return measure(wanted, network, see_real(wanted, network, real, n_real, seed, note), n_real, generated, seed, note)
