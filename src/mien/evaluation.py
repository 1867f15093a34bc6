"""``mien evaluate``: every measure a run's abilities allow, on its own held-out pictures, stored beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien import runs, runs_light
from mien.abilities import Decodes, Edits, Encodes, Generates, Recognises, names
from mien.applications.arithmetic import AttributeVectors, attribute_vectors, edit
from mien.applications.basics import BATCH, batches, device_of, encode_all, generate, map_batches, reconstruct
from mien.data.dataset import Dataset, Splits, spread
from mien.errors import MienError
from mien.experiment import Data
from mien.files import write_json
from mien.models.base import Model
from mien.networks.loss_network import LossNetwork
from mien.networks.point import Point

VECTORS = "attribute_vectors.safetensors"
Note = Callable[[str, int, int], None]


@dataclass
class OpenRun:
    """A run with its model and its data, opened."""

    folder: Path
    model: Model
    data: Data
    dataset: Dataset
    splits: Splits
    index: np.ndarray  # of the training pictures

    def vectors(self, progress: Callable[[int, int], None] | None = None) -> AttributeVectors:
        """Return the attribute vectors of the run, made from its training pictures once and kept in it."""
        path = self.folder / VECTORS
        weights = runs.sha256(self.folder / "weights.safetensors")
        stamp = self.folder / "attribute_vectors.json"
        if path.exists() and stamp.exists() and weights in stamp.read_text(encoding="utf-8"):
            return AttributeVectors.load(path)
        vectors = attribute_vectors(self.model, self.dataset, self.index, progress=progress)
        vectors.save(path)
        write_json(
            stamp,
            {
                "weights_sha256": weights,
                "names": vectors.names,
                "positives": vectors.positives,
                "negatives": vectors.negatives,
            },
        )
        return vectors


def open_run(run: str | Path, device: str = "cpu", root: str | None = None, progress: Any = None) -> OpenRun:
    """Return a run with its data; ``root`` says where the data lie now if they have moved."""
    folder = Path(run)
    config = runs_light.read_config(folder)
    model = runs.load(folder, device)
    values = config["data"]
    data = Data.from_json({**values, "root": root or values["root"]})
    dataset = data.open(progress)
    splits = dataset.split(data.split_seed)
    return OpenRun(folder, model, data, dataset, splits, data.training_index(splits))


def cached_vectors(run: str | Path) -> AttributeVectors | None:
    """Return a run's attribute vectors if they were made from its present weights, without its data."""
    folder = Path(run)
    path, stamp = folder / VECTORS, folder / "attribute_vectors.json"
    if (
        path.exists()
        and stamp.exists()
        and runs.sha256(folder / "weights.safetensors") in stamp.read_text(encoding="utf-8")
    ):
        return AttributeVectors.load(path)
    return None


def check_judge(
    model: Model, judge: Path, judge_model: Model, attributes: tuple[str, ...], classes: tuple[str, ...] = ()
) -> None:
    """Refuse a judge that cannot judge, or that is the loss network of what it would judge."""
    if not isinstance(judge_model, Recognises) or not hasattr(judge_model, "features"):
        raise MienError(f"expected an attribute_cnn run as judge, got {judge}, a run of {judge_model.name}")
    if tuple(judge_model.config["shape"]) != tuple(model.config["shape"]):
        raise MienError(
            f"expected a judge of pictures {tuple(model.config['shape'])}, got {judge}, made for "
            f"{tuple(judge_model.config['shape'])}: train one at the same --size"
        )
    if (judge_model.attributes or judge_model.classes) != (attributes or classes):
        raise MienError(
            f"expected a judge of the data set's attributes or classes, got {judge}, which knows others: "
            "train one on the same --data"
        )
    digest = runs.sha256(judge / "weights.safetensors")
    for value in model.config.values():
        if isinstance(value, LossNetwork) and value.sha256 == digest:
            raise MienError(
                f"expected a judge other than the loss network, got {judge}, which {model.name} was trained with: "
                "train another attribute_cnn with another --seed and --share"
            )


def evaluate(
    run: OpenRun, judge: str | Path | None = None, count: int = 2000, seed: int = 0, note: Note | None = None
) -> dict[str, Any]:
    """Return every measure the run's abilities allow, each with its sample sizes, and store them in the run.

    Args:
        judge: an ``attribute_cnn`` run, for the measures that need one; never the run's own loss network.
        count: at most this many held-out pictures, and generated ones.
        seed: of the generated pictures.
        note: called with (what, done, total).

    Raises:
        MienError: for a judge that must not or cannot judge.
    """
    note = note or (lambda what, done, total: None)
    model, dataset = run.model, run.dataset
    test = spread(run.splits.test, count)
    judge_model = None
    if judge is not None:
        judge_model = runs.load(judge, device_of(model))
        check_judge(model, Path(judge), judge_model, tuple(dataset.attributes), tuple(dataset.classes))
    started = time.monotonic()
    result: dict[str, Any] = {
        "run": run.folder.name,
        "model": model.name,
        "weights_sha256": runs.sha256(run.folder / "weights.safetensors"),
        "data": {"name": dataset.name, "size": run.data.size, "split": run.splits.rule, "test": len(test)},
        "seed": seed,
    }
    if judge is not None:
        result["judge"] = {"run": Path(judge).name, "weights_sha256": runs.sha256(Path(judge) / "weights.safetensors")}
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        result["reconstruction"] = _reconstruction(run, test, note)
    if isinstance(model, Generates) and judge_model is not None:
        result["feature_fid"] = _feature_fid(run, judge_model, test, seed, note)
    if isinstance(model, Encodes) and dataset.attributes:
        result["latent_svm"] = _latent_svm(run, test, note)
    if isinstance(model, Recognises) and model.attributes:
        result["recognition"] = _recognition(run, test, note)
    if dataset.labels is not None and (classes := _classes(run, judge_model, test, note)):
        result["classes"] = classes
    editable = isinstance(model, Edits) or (isinstance(model, Encodes) and isinstance(model, Decodes))
    if editable and dataset.attributes and (not isinstance(model, Edits) or model.editable):
        result["edits"] = _edits(run, judge_model, test, note)
    if len(result) <= 5:
        raise MienError(
            f"nothing can be measured of {model.name} ({', '.join(names(model)) or 'no abilities'}) without a judge: pass --judge RUN"
        )
    result["seconds"] = round(time.monotonic() - started, 1)
    write_json(run.folder / "evaluation.json", result)
    return result


def _spread(values: Tensor) -> dict[str, float]:
    """Return mean, deviation over pictures and standard error."""
    values = values.double()
    return {"mean": float(values.mean()), "std": float(values.std()), "sem": float(values.std() / len(values) ** 0.5)}


def _reconstruction(run: OpenRun, test: np.ndarray, note: Note) -> dict[str, Any]:
    from mien.losses import kl
    from mien.metrics.reconstruction import psnr, ssim

    scores: dict[str, list[Tensor]] = {"psnr_db": [], "ssim": [], "mse": [], "kl_nats": []}
    with torch.inference_mode():
        for number, batch in enumerate(batches(run.dataset, test, device_of(run.model))):
            q = run.model.encode(batch.x)  # type: ignore[operator]
            x_rec = run.model.decode(q.mean)  # type: ignore[operator]
            scores["psnr_db"].append(psnr(batch.x, x_rec).cpu())
            if min(run.dataset.shape[1:]) >= 11:
                scores["ssim"].append(ssim(batch.x, x_rec).cpu())
            scores["mse"].append((batch.x - x_rec).square().flatten(1).mean(1).cpu())
            if not isinstance(q, Point):
                scores["kl_nats"].append(kl(q).cpu())
            note("reconstruction", min((number + 1) * BATCH, len(test)), len(test))
    return {"n": len(test), **{k: _spread(torch.cat(v)) for k, v in scores.items() if v}}


def _feature_fid(run: OpenRun, judge: Any, test: np.ndarray, seed: int, note: Note) -> dict[str, Any]:
    from mien.metrics.feature_fid import feature_fid

    width = judge.features(torch.zeros(2, *run.dataset.shape, device=device_of(judge))).shape[1]
    n = len(test)

    def real(index: np.ndarray) -> Iterator[Tensor]:
        return (b.x for b in batches(run.dataset, index, device_of(judge)))

    def reconstructed() -> Iterator[Tensor]:
        return (reconstruct(run.model, b.x) for b in batches(run.dataset, test, device_of(judge)))

    note("feature FID", 0, 3)
    samples = generate(run.model, n, seed).to(device_of(judge)).split(BATCH)
    result: dict[str, Any] = {"n": n, "features": width}
    result["samples"] = feature_fid(judge.features, width, real(test), samples)
    note("feature FID", 1, 3)
    if isinstance(run.model, Encodes) and isinstance(run.model, Decodes):
        result["reconstructions"] = feature_fid(judge.features, width, real(test), reconstructed())
    note("feature FID", 2, 3)
    # what two draws of real pictures of this size are apart: the floor of the measure
    others = np.random.default_rng(seed).permutation(run.index)[:n]
    result["real_against_real"] = feature_fid(judge.features, width, real(test), real(others))
    note("feature FID", 3, 3)
    return result


def _latent_svm(run: OpenRun, test: np.ndarray, note: Note, most: int = 20_000) -> dict[str, Any]:
    from mien.metrics.latent_svm import latent_svm

    train = np.sort(np.random.default_rng(0).permutation(run.index)[:most])
    z_train = encode_all(run.model, run.dataset, train, lambda d, t: note("encoding", d, t)).numpy()
    z_test = encode_all(run.model, run.dataset, test).numpy()
    table = run.dataset.attribute_table
    scores = latent_svm(
        z_train, np.asarray(table[train]), z_test, np.asarray(table[test]), tuple(run.dataset.attributes),
        lambda d, t: note("linear SVMs", d, t),
    )  # fmt: skip
    if not scores.names:
        return {"left_out": list(scores.left_out)}
    return _accuracies(scores.names, scores.accuracy, scores.majority, scores.n_test) | {
        "n_train": scores.n_train,
        "left_out": list(scores.left_out),
    }


def _accuracies(known: tuple[str, ...], accuracy: np.ndarray, majority: np.ndarray, n: int) -> dict[str, Any]:
    return {
        "n": n,
        "mean_accuracy": float(accuracy.mean()),
        "majority_baseline": float(majority.mean()),
        "hamming_loss": float(1 - accuracy.mean()),
        "sem": float(np.sqrt((accuracy * (1 - accuracy)).sum() / n) / len(accuracy)),
        "per_attribute": {
            k: {"accuracy": float(a), "majority": float(m)} for k, a, m in zip(known, accuracy, majority, strict=True)
        },
    }


def _recognition(run: OpenRun, test: np.ndarray, note: Note) -> dict[str, Any]:
    own = tuple(run.model.config["attributes"])
    probabilities = []
    with torch.inference_mode():
        for batch in batches(run.dataset, test, device_of(run.model)):
            probabilities.append(run.model.recognise(batch.x).cpu().numpy())  # type: ignore[operator]
            note("recognition", sum(map(len, probabilities)), len(test))
    said = np.where(np.concatenate(probabilities) > 0.5, 1, -1)
    table, train = np.asarray(run.dataset.attribute_table[test]), np.asarray(run.dataset.attribute_table[run.index])
    known, accuracy, majority = [], [], []
    for a, name in enumerate(own):
        rows = table[:, a] != 0
        if rows.any():
            known.append(name)
            accuracy.append((said[rows, a] == table[rows, a]).mean())
            commoner = 1 if train[:, a].sum() >= 0 else -1
            majority.append((table[rows, a] == commoner).mean())
    return _accuracies(tuple(known), np.array(accuracy), np.array(majority), len(test))


def _classes(run: OpenRun, judge: Any, test: np.ndarray, note: Note, most: int = 20_000) -> dict[str, Any]:
    """Return how well classes are named: by the model, by a linear SVM on its latents, on its reconstructions."""
    from mien.metrics.classes import class_accuracy, latent_classes

    model, labels, names = run.model, run.dataset.labels, tuple(run.dataset.classes)
    assert labels is not None

    def named(function: Callable[[Tensor], Tensor]) -> np.ndarray:
        device = device_of(model)
        said = [function(b.x).argmax(1).cpu() for b in batches(run.dataset, test, device)]
        return torch.cat(said).numpy()

    result: dict[str, Any] = {}
    with torch.inference_mode():
        if isinstance(model, Recognises) and model.classes:
            result["recognition"] = class_accuracy(named(model.recognise), labels[test], names)
        if judge is not None and judge.classes and isinstance(model, Encodes) and isinstance(model, Decodes):
            note("classes by the judge", 0, 2)
            real, fake = named(judge.recognise), named(lambda x: judge.recognise(reconstruct(model, x)))
            agreement = class_accuracy(fake, real, names)
            result["agreement"] = {k: agreement[k] for k in ("n", "accuracy", "sem", "per_class")}
            result["judge_on_real"] = class_accuracy(real, labels[test], names)
            result["judge_on_reconstructions"] = class_accuracy(fake, labels[test], names)
            note("classes by the judge", 2, 2)
    if isinstance(model, Encodes):
        train = np.sort(np.random.default_rng(0).permutation(run.index[labels[run.index] >= 0])[:most])
        if len(np.unique(labels[train])) > 1:
            z_train = encode_all(model, run.dataset, train, lambda d, t: note("encoding", d, t)).numpy()
            z_test = encode_all(model, run.dataset, test).numpy()
            said = latent_classes(z_train, labels[train], z_test)
            result["latent_svm"] = class_accuracy(said, labels[test], names) | {"n_train": len(train)}
    return result


def _edits(run: OpenRun, judge: Any, test: np.ndarray, note: Note, most: int = 400) -> dict[str, Any]:
    """Return edit accuracy by the judge and, where it can be drawn, the distance to the true counterfactual."""
    from mien.metrics.edits import counterfactual_distance, edit_accuracy

    source = run.data.source()
    drawn = getattr(source, "counterfactual", None)
    if judge is None and drawn is None:
        return {"skipped": "no judge was given: pass --judge RUN, an attribute_cnn run on the same data"}
    model = run.model
    vectors = None if isinstance(model, Edits) else run.vectors()
    editable = _editable(run, vectors)
    if len(editable) < 4:
        most = len(test)  # a model of few attributes: all there are, for the rarer value's sake
    batch = run.dataset.batch(spread(test, most), device_of(model))
    assert batch.attributes is not None
    everything = tuple(run.dataset.attributes)

    def change(x: Tensor, attribute: str, amount: float) -> Tensor:
        return edit(model, x, {attribute: amount}, vectors)

    def plain(x: Tensor) -> Tensor:
        return reconstruct(model, x) if isinstance(model, Encodes) and isinstance(model, Decodes) else x

    def ask(x: Tensor) -> Tensor:
        return map_batches(judge.recognise, x)

    seen = ask(plain(batch.x)) if judge is not None else torch.empty(0)
    rows: dict[str, dict[str, Any]] = {}
    for number, attribute in enumerate(editable):
        row: dict[str, Any] = {}
        if judge is not None:
            score = edit_accuracy(change, ask, batch.x, batch.attributes, seen, attribute, everything)
            row |= asdict(score)
        if drawn is not None:
            row["counterfactual"] = asdict(
                _counterfactual(run, drawn, change, plain, attribute, spread(test, 200), counterfactual_distance)
            )
        rows[attribute] = {k: v for k, v in row.items() if k != "attribute"}
        note("edits", number + 1, len(editable))
    result: dict[str, Any] = {"n": len(batch), "amount": 1.0, "per_attribute": rows}
    if judge is not None:
        for key in ("success", "unedited", "leakage"):
            result[key] = float(np.mean([r[key] for r in rows.values()]))
    if drawn is not None:
        for key in ("edited", "unedited", "bound", "elsewhere"):
            result[f"counterfactual_{key}"] = float(np.mean([r["counterfactual"][key] for r in rows.values()]))
    return result


def _editable(run: OpenRun, vectors: AttributeVectors | None) -> list[str]:
    """Return the attributes that the run can edit and the held-out pictures can show."""
    from mien.applications.arithmetic import FEWEST

    if vectors is None:
        return [a for a in run.dataset.attributes if a in getattr(run.model, "editable", run.dataset.attributes)]
    enough = zip(vectors.names, vectors.positives, vectors.negatives, strict=True)
    return [name for name, positives, negatives in enough if min(positives, negatives) >= FEWEST]


def _counterfactual(
    run: OpenRun, drawn: Any, change: Any, plain: Any, attribute: str, test: np.ndarray, measure: Any
) -> Any:
    """Measure the edits of one attribute against what would truly have been drawn."""
    from mien.data.pictures import to_float

    batch = run.dataset.batch(test, device_of(run.model))
    a = run.dataset.attributes.index(attribute)
    truth = torch.from_numpy(
        np.stack([to_float(drawn(int(run.dataset.keys[i]), attribute, size=run.data.size)) for i in test])
    ).to(batch.x.device)
    edited = torch.empty_like(batch.x)
    for sign in (1, -1):
        rows = batch.attributes[:, a] == -sign  # type: ignore[index]
        if rows.any():
            edited[rows] = change(batch.x[rows], attribute, float(sign))
    return measure(batch.x, edited, plain(batch.x), truth, plain(truth), attribute)
