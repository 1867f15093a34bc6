"""Every measure of ``mien evaluate`` as a subject of benchmarks/applications.py."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from subjects import JUDGE, Given, Work, state, subject


def measured(g: Given, name: str, run: Any = None, chosen: Sequence[str] = (), n: int = 0, **constants: int) -> Work:
    """Return a measure of ``mien evaluate`` on all pictures; ``constants`` of its file, or of edit_gain.py, are set."""
    from unittest.mock import patch

    from mien.evaluation import edit_gain, measures

    opened = run or g.run

    def call() -> Any:
        measure = measures.get(name)
        file = sys.modules[type(measure).__module__]
        with contextlib.ExitStack() as stack:
            for key, value in constants.items():
                stack.enter_context(patch.object(file if hasattr(file, key) else edit_gain, key, value))
            return measure(g.context(opened, chosen or (name,)))

    assert g.judge is not None  # the judge is opened before the clock starts
    return Work(call, n or len(g.index))


def enter_measures() -> None:
    """Register the measures that need only the run and the judge."""
    for name, what in {
        "reconstruction": "PSNR, SSIM, squared error, KL",
        "feature_fid": "distances on the judge's features: samples, reconstructions, real pictures",
        "baselines": "logistic regression, nearest neighbors and the majority on the labels of the run",
        "classes": "classes named by the model, by SVMs on its latents, by the judge",
        "lpips_alex": "LPIPS, AlexNet at 64 px, of pictures and reconstructions",
        "lpips_vgg": "LPIPS, VGG-16 at 64 px, of pictures and reconstructions",
    }.items():
        subject("measure", name, what, slow=name == "lpips_vgg")(lambda g, name=name: measured(g, name))


enter_measures()


@subject("measure", "latent_svm", "linear SVMs of all attributes on the latents, fitted and judged on all pictures")
def latent_svm(g: Given) -> Work:
    return measured(g, "latent_svm")


@subject("measure", "recognition", "attributes as the judge names them")
def recognition(g: Given) -> Work:
    from mien.run.opening import open_run

    return measured(g, "recognition", open_run(g.folder / JUDGE, g.device))


@subject(
    "measure", "similarity_auc", "5,000 + 5,000 pairs by five similarities, neighborhoods; n pictures of the pairs"
)
def similarity_auc(g: Given) -> Work:
    from mien.metrics.similarity_auc import draw_pairs

    people = g.run.dataset.identity
    n = 0 if people is None else len(draw_pairs(people[g.index]).rows())
    return measured(g, "similarity_auc", n=n)


@subject("measure", "edits", "edits of up to 200 pictures for each attribute, as mien evaluate does; n edits")
def edits(g: Given) -> Work:
    return measured(g, "edits", n=min(200, len(g.index)) * len(g.run.dataset.attributes))


@subject("measure", "edit_directions", "edits of up to 200 pictures for each attribute and direction", slow=True)
def edit_directions(g: Given) -> Work:
    return measured(g, "edit_directions", n=min(200, len(g.index)) * len(g.run.dataset.attributes))


@subject("measure", "edits_all", "every attribute edited in all pictures; n edits", slow=True)
def edits_all(g: Given) -> Work:
    n = len(g.index)
    return measured(g, "edits", n=n * len(g.run.dataset.attributes), EACH=n, DRAWN=n)


@subject("measure", "identity", "dlib's embedding of 200 faces, reconstructed and edited, as mien evaluate does")
def identity(g: Given) -> Work:
    return measured(g, "identity", n=min(200, len(g.index)))


@subject("measure", "identity_all", "dlib's embedding of all faces and of their reconstructions", slow=True)
def identity_all(g: Given) -> Work:
    from mien.applications import reconstruct
    from mien.metrics.faces import Faces
    from mien.metrics.identity import identity_distances

    changed = {"reconstructed": reconstruct(g.run.model, g.x)}
    return Work(
        lambda: summary_of(identity_distances(g.x, changed, Faces().embeddings)["reconstructed"]),
        len(g.x),
        (g.x, changed["reconstructed"]),
    )


@subject("measure", "landmarks", "landmarks of at most 200 faces, moved and edited, as mien evaluate does")
def landmarks(g: Given) -> Work:
    return measured(g, "landmarks", n=min(200, len(g.index)))


@subject("measure", "landmarks_all", "landmarks of all faces in eight views", slow=True)
def landmarks_all(g: Given) -> Work:
    from mien.metrics.faces import Faces
    from mien.metrics.landmarks import landmark_stability

    return Work(lambda: summary_of(landmark_stability(Faces().landmarks, g.x)), len(g.x), (g.x,))


def summary_of(distances: Any) -> dict[str, Any]:
    """Return the summary of distances, and note the share of faces that were detected."""
    summary = distances.summary()
    state["found"] = summary["found_first"] if "found_first" in summary else summary["found"]
    return summary


INCEPTION = ("fid10k", "kid10k", "precision_recall10k")


@subject("measure", "inception2k", "InceptionV3's score of 2,000 generated pictures", slow=True)
def inception2k(g: Given) -> Work:
    return measured(g, "inception2k", n=2_000)


@subject("measure", "inception10k", f"{', '.join(INCEPTION)} in one pass of InceptionV3; n real + 10,000", slow=True)
def inception10k(g: Given) -> Work:
    return measured(g, "fid10k", chosen=INCEPTION, n=len(g.index) + 10_000)


@subject("measure", "distances", f"{', '.join(INCEPTION)} of 2,048 features made at once: what follows the pass")
def distances(g: Given) -> Work:
    import torch

    from mien.metrics import distributions
    from mien.metrics.feature_networks import FeatureNetwork

    shape = g.run.dataset.shape
    mixing = torch.randn(shape[0] * shape[1] * shape[2], 2048, generator=torch.Generator().manual_seed(0)) / 50

    def look(x: Any) -> tuple[Any, None]:
        return (x.flatten(1).float() @ mixing).relu(), None

    network = FeatureNetwork("inception", "random", "0" * 64, 2048, 0, "none", torch.device("cpu"), look)

    def generated(n: int) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(1)
        return (torch.rand(min(128, n - i), *shape, generator=generator) * 2 - 1 for i in range(0, n, 128))

    def call() -> Any:
        real = (g.run.dataset.batch(g.index[i : i + 128]).x for i in range(0, len(g.index), 128))
        return distributions.distributions(INCEPTION, network, real, len(g.index), generated)

    return Work(call, len(g.index) + 10_000, (mixing,))
