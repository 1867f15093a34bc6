"""The measures: what each needs, and what it says of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Encodes, Recognizes
from mien.applications.basics import BATCH, batches, encode_all, reconstruct
from mien.evaluation.context import Context, Note, Skipped
from mien.evaluation.distances import inception_features, judge_features, perceptual
from mien.evaluation.edits import edits
from mien.evaluation.faces import identity, landmarks
from mien.evaluation.similarity import similarity_auc
from mien.networks.point import Point

__all__ = ["MEASURES", "Context", "Measure", "Note", "Skipped"]

MOST = 20_000  # training pictures that linear SVMs are fitted on


@dataclass(frozen=True)
class Measure:
    """A measure.

    Args:
        function: returns a block of plain values, or None where it does not apply to the run.
        usual: whether it is taken when none is asked for by name.
        judged: whether a judge has a say in it.
    """

    function: Callable[[Context], dict[str, Any] | None]
    usual: bool = True
    judged: bool = False

    def __call__(self, context: Context) -> dict[str, Any] | None:
        return self.function(context)


def _spread(values: Tensor) -> dict[str, float]:
    """Return mean, deviation over pictures and standard error."""
    values = values.double()
    return {"mean": float(values.mean()), "std": float(values.std()), "sem": float(values.std() / len(values) ** 0.5)}


def reconstruction(context: Context) -> dict[str, Any] | None:
    """PSNR, SSIM, squared error and KL of the held-out pictures' reconstructions."""
    from mien.losses import kl
    from mien.metrics.reconstruction import psnr, ssim

    if not context.autoencodes:
        return None
    run, test = context.run, context.test
    scores: dict[str, list[Tensor]] = {"psnr_db": [], "ssim": [], "mse": [], "kl_nats": []}
    with torch.inference_mode():
        for number, batch in enumerate(batches(run.dataset, test, context.device)):
            q = run.model.encode(batch.x)  # type: ignore[operator]
            x_rec = run.model.decode(q.mean)  # type: ignore[operator]
            scores["psnr_db"].append(psnr(batch.x, x_rec).cpu())
            if min(run.dataset.shape[1:]) >= 11:
                scores["ssim"].append(ssim(batch.x, x_rec).cpu())
            scores["mse"].append((batch.x - x_rec).square().flatten(1).mean(1).cpu())
            if not isinstance(q, Point):
                scores["kl_nats"].append(kl(q).cpu())
            context.note("reconstruction", min((number + 1) * BATCH, len(test)), len(test))
    return {"n": len(test), **{k: _spread(torch.cat(v)) for k, v in scores.items() if v}}


def latent_svm(context: Context) -> dict[str, Any] | None:
    """Attributes read off the latents by linear SVMs (VAE-WGAN §4.4)."""
    from mien.metrics.attributes import attribute_scores
    from mien.metrics.latent_svm import latent_svm as fit

    run, test, note = context.run, context.test, context.note
    if not isinstance(run.model, Encodes) or not run.dataset.attributes:
        return None
    train = np.sort(np.random.default_rng(0).permutation(run.index)[:MOST])
    z_train = encode_all(run.model, run.dataset, train, lambda d, t: note("encoding", d, t)).numpy()
    z_test = encode_all(run.model, run.dataset, test).numpy()
    names, table = tuple(run.dataset.attributes), run.dataset.attribute_table
    y_train, y_test = np.asarray(table[train]), np.asarray(table[test])
    fitted = fit(z_train, y_train, z_test, y_test, names, lambda d, t: note("linear SVMs", d, t))
    if not fitted.names:
        return {"left_out": list(fitted.left_out)}
    kept = [names.index(name) for name in fitted.names]
    commoner = np.where(y_train[:, kept].sum(0) >= 0, 1, -1)
    scores = attribute_scores(fitted.predicted, y_test[:, kept], commoner, fitted.names)
    return {**scores, "n_train": fitted.n_train, "left_out": list(fitted.left_out)}


def recognition(context: Context) -> dict[str, Any] | None:
    """Attributes as the model itself names them."""
    from mien.metrics.attributes import attribute_scores

    run, test = context.run, context.test
    if not isinstance(run.model, Recognizes) or not run.model.attributes:
        return None
    probabilities: list[np.ndarray] = []
    with torch.inference_mode():
        for batch in batches(run.dataset, test, context.device):
            probabilities.append(run.model.recognize(batch.x).cpu().numpy())
            context.note("recognition", sum(map(len, probabilities)), len(test))
    said = np.where(np.concatenate(probabilities) > 0.5, 1, -1)
    columns = [run.dataset.attributes.index(name) for name in run.model.attributes]
    table = np.asarray(run.dataset.attribute_table[test])[:, columns]
    commoner = np.where(np.asarray(run.dataset.attribute_table[run.index])[:, columns].sum(0) >= 0, 1, -1)
    return attribute_scores(said, table, commoner, tuple(run.model.attributes))


def classes(context: Context) -> dict[str, Any] | None:
    """How well classes are named: by the model, by a linear SVM on its latents, on its reconstructions."""
    from mien.metrics.classes import class_accuracy, latent_classes

    run, test, note, judge = context.run, context.test, context.note, context.judge
    model, labels, names = run.model, run.dataset.labels, tuple(run.dataset.classes)
    if labels is None:
        return None

    def named(function: Callable[[Tensor], Tensor]) -> np.ndarray:
        said = [function(b.x).argmax(1).cpu() for b in batches(run.dataset, test, context.device)]
        return torch.cat(said).numpy()

    result: dict[str, Any] = {}
    with torch.inference_mode():
        if isinstance(model, Recognizes) and model.classes:
            result["recognition"] = class_accuracy(named(model.recognize), labels[test], names)
        if judge is not None and judge.classes and not judge.attributes and context.autoencodes:
            note("classes by the judge", 0, 2)
            real, fake = named(judge.recognize), named(lambda x: judge.recognize(reconstruct(model, x)))
            agreement = class_accuracy(fake, real, names)
            result["agreement"] = {k: agreement[k] for k in ("n", "accuracy", "sem", "per_class")}
            result["judge_on_real"] = class_accuracy(real, labels[test], names)
            result["judge_on_reconstructions"] = class_accuracy(fake, labels[test], names)
            note("classes by the judge", 2, 2)
    if isinstance(model, Encodes):
        train = np.sort(np.random.default_rng(0).permutation(run.index[labels[run.index] >= 0])[:MOST])
        if len(np.unique(labels[train])) > 1:
            z_train = encode_all(model, run.dataset, train, lambda d, t: note("encoding", d, t)).numpy()
            z_test = encode_all(model, run.dataset, test).numpy()
            said = latent_classes(z_train, labels[train], z_test)
            result["latent_svm"] = class_accuracy(said, labels[test], names) | {"n_train": len(train)}
    return result or None


# on Inception's features: minutes on a GPU, hours on a CPU, and weights that have to be there; asked for by name
INCEPTION = ("inception2k", "fid10k", "fid50k", "kid10k", "kid50k", "precision_recall10k")
MEASURES: dict[str, Measure] = {
    "reconstruction": Measure(reconstruction),
    "feature_fid": Measure(judge_features, judged=True),
    "latent_svm": Measure(latent_svm),
    "recognition": Measure(recognition),
    "classes": Measure(classes, judged=True),
    "edits": Measure(edits, judged=True),
    "similarity_auc": Measure(similarity_auc),  # of sets that name persons
    "identity": Measure(identity, usual=False),  # of photographs of faces only, 80 ms a face
    "landmarks": Measure(landmarks, usual=False),
    **{name: Measure(perceptual(name), usual=False) for name in ("lpips_alex", "lpips_vgg")},
    **{name: Measure(inception_features(name), usual=False) for name in INCEPTION},
}
