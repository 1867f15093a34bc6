"""The numbers of ``mien measure`` beside those of torch-fidelity and clean-fid, on the same two folders.

The published weights of Inception are not needed: all tools get one InceptionV3 with the same random weights (seed 0,
He initialization), and the features that each tool computes from the files are compared. Then the statistics of each
tool get the same matrix of a judge's features, of which there are fewer than pictures. ``--whole`` also compares the
numbers of whole folders by Inception. With the published weights (``--weights``) these are the usual ones.

clean-fid is not a dependency: ``pip install clean-fid``. Run it as

    python benchmarks/parity.py REAL OTHER [--judge judge-64] [--weights FILE] [--whole]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np

FIRST = 16  # pictures of each folder whose features are compared
SEED, CLEAN, FIDELITY = 0, "clean-fid", "torch-fidelity"
EXACT = 1e-3  # relative difference that counts as equal; decoders and float32 networks differ by less


def options_of(argv: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="folder of real pictures")
    parser.add_argument("other", type=Path, help="folder of the pictures to measure")
    parser.add_argument("--judge", default="judge-64", help="the judge of the second comparison  [judge-64]")
    parser.add_argument("--weights", type=Path, help="weights of Inception  [random ones]")
    parser.add_argument(
        "--whole", action="store_true", help="also compare from files to numbers by Inception, which takes minutes"
    )
    parser.add_argument("--out", type=Path, default=common.ROOT / "results" / "parity", help="folder of the result")
    options = parser.parse_args(argv)
    options.started, options.device, options.rounds = time.monotonic(), "cpu", 1
    return options


def random_inception(path: Path) -> Path:
    """Write an InceptionV3 with random weights in torch-fidelity's names; its activations neither vanish nor grow."""
    import io

    import torch
    from torch import nn
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unread(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: Any) -> None:
            """Keep the initial weights."""

    torch.manual_seed(SEED)
    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    network = Unread("unread", ["2048"], nothing)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    nn.init.normal_(network.fc.weight, std=0.1)  # predictions that differ between pictures
    torch.save(network.state_dict(), path)
    return path


def main(argv: list[str] | None = None) -> int:
    """Compare, print a table, and store the result; return 0, or 2 without clean-fid."""
    options = options_of(argv)
    try:
        import cleanfid  # noqa: F401
    except ImportError:
        print("error: expected clean-fid, got no such package: pip install clean-fid", file=sys.stderr)
        return 2
    result = common.Result("parity", "mien measure beside torch-fidelity and clean-fid on the same folders")
    with tempfile.TemporaryDirectory() as folder:
        weights = options.weights or random_inception(Path(folder) / "random.pth")
        result.rows += same_pictures([options.real, options.other], weights)
        if options.whole:
            result.rows += against_fidelity(options.real, options.other, weights)
            result.rows += against_clean(options.real, options.other, weights)
    result.rows += same_features(options.real, options.other, options.judge)
    digests = {name: describe(path) for name, path in (("real", options.real), ("other", options.other))}
    kind = "published or given weights" if options.weights else f"random weights (He initialization, seed {SEED})"
    result.notes = [
        f"{name}: folder {about['name']}, {about['pictures']} pictures, SHA-256 of all files {about['sha256'][:16]}"
        for name, about in digests.items()
    ]
    result.notes += [
        f"The InceptionV3 of all tools: torch-fidelity's architecture with one file of {kind}. clean-fid's own file, "
        "the same network as TorchScript, is a download; its resizing, reading of folders and statistics are used.",
        f"'features': norms of the features of the first {FIRST} pictures of each folder; the relative difference is "
        "that of the matrices, norm of the difference over norm. Each tool reads and resizes the files itself.",
        "'same features': one matrix of a judge's features for the statistics of each tool. KID takes all rows once, "
        "because the tools draw different subsets.",
    ]
    if options.whole:
        result.notes.append("The inception score has one part: torch-fidelity shuffles with another generator.")
    worst = max(row["relative_difference"] for row in result.rows)
    result.target("largest relative difference", f"below {EXACT:g}", f"{worst:.1e}", worst < EXACT)
    result.finish(
        options,
        {
            "what": lambda row: f"{row['measure']}, {row['compared']}",
            "mien": lambda row: f"{row['mien']:.7g}",
            "peer": lambda row: f"{row['peer']:.7g}",
            "of": lambda row: row["tool"],
            "relative difference": lambda row: f"{row['relative_difference']:.1e}",
        },
    )
    return 0


def row(measure: str, compared: str, tool: str, ours: float, theirs: float) -> dict[str, Any]:
    """Return one comparison as plain values."""
    difference = abs(ours - theirs) / max(abs(theirs), 1e-12)
    return {
        "measure": measure,
        "compared": compared,
        "tool": tool,
        "mien": float(ours),
        "peer": float(theirs),
        "relative_difference": float(difference),
    }


def rows_of(features: Any, folder: Path) -> tuple[Any, Any]:
    """Return the features (n, D) and logits of a folder, by the code of ``mien measure``."""
    import torch

    from mien.evaluation.folders import pictures_of, scan

    result = scan(folder)
    with torch.inference_mode():
        parts = [features.network.look(x) for x in pictures_of(result.listing, result.names, features.shape)]
    rows = torch.cat([part[0] for part in parts])
    return rows, None if parts[0][1] is None else torch.cat([part[1] for part in parts])


def against_fidelity(real: Path, other: Path, weights: Path) -> list[dict[str, Any]]:
    """Return the comparison with torch-fidelity, from files to numbers."""
    import torch_fidelity

    from mien.evaluation.folders import open_features

    features = open_features(str(weights))
    a, _ = rows_of(features, real)
    b, logits = rows_of(features, other)
    theirs = torch_fidelity.calculate_metrics(
        input1=str(other), input2=str(real), isc=True, fid=True, kid=True, prc=True, cuda=False, isc_splits=1,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights), cache=False,
        kid_subset_size=min(len(a), len(b)), kid_subsets=1, samples_find_deep=True, verbose=False, save_cpu_ram=True,
    )  # fmt: skip
    compared = "files to numbers, Inception"
    ours = numbers(a, b, logits)
    pairs = {
        "fid": "frechet_inception_distance",
        "precision": "precision",
        "recall": "recall",
        "inception_score": "inception_score_mean",
    }
    if len(a) == len(b):  # else the subset of the larger set is another one
        pairs["kid"] = "kernel_inception_distance_mean"
    return [row(name, compared, FIDELITY, ours[name], theirs[key]) for name, key in pairs.items()]


def numbers(a: Any, b: Any, logits: Any = None) -> dict[str, float]:
    """Return mien's numbers for features (m, D) and (n, D)."""
    from mien.metrics.fid import Moments, frechet_distance
    from mien.metrics.inception_score import inception_score
    from mien.metrics.kid import kernel_distance
    from mien.metrics.precision_recall import precision_recall

    values = precision_recall(a, b)["value"]
    values |= {"fid": frechet_distance(Moments.of(a), Moments.of(b)), "kid": kernel_distance(a, b)}
    return values | ({} if logits is None else {"inception_score": inception_score(logits, splits=1)["value"]})


def against_clean(real: Path, other: Path, weights: Path) -> list[dict[str, Any]]:
    """Return the comparison with clean-fid, from files to numbers, with its resizing."""
    from cleanfid import fid as clean
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from mien.evaluation.folders import open_features

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
    theirs = [
        clean.get_folder_features(
            str(folder), _stages(network), num_workers=0, batch_size=32, device="cpu", verbose=False
        )
        for folder in (real, other)
    ]
    features = open_features(str(weights), resizing="clean")
    ours = [rows_of(features, folder)[0] for folder in (real, other)]
    return _clean_rows("files to numbers, Inception", ours, theirs)


def _clean_rows(compared: str, ours: list[Any], theirs: list[np.ndarray]) -> list[dict[str, Any]]:
    """Return the Fréchet and the kernel distance of both tools, each from its own features."""
    from cleanfid import fid as clean

    values = numbers(*ours)
    moments = [value for one in theirs for value in (one.mean(0), np.cov(one, rowvar=False))]
    rows = [row("fid", compared, CLEAN, values["fid"], _loud(lambda: clean.frechet_distance(*moments)))]
    if len(theirs[0]) == len(theirs[1]):
        size = len(theirs[0])
        kernel = clean.kernel_distance(*(one.astype(np.float64) for one in theirs), num_subsets=1, max_subset_size=size)
        rows.append(row("kid", compared, CLEAN, values["kid"], kernel))
    return rows


def _loud(function: Callable[[], float]) -> float:
    """Return the value of clean-fid's distance, which passes an argument that SciPy has removed."""
    from scipy import linalg

    original = linalg.sqrtm

    def sqrtm(matrix: Any, disp: bool = True) -> Any:
        root = original(matrix)
        return root if disp else (root, 0.0)

    linalg.sqrtm = sqrtm
    try:
        return float(function())
    finally:
        linalg.sqrtm = original


def same_pictures(folders: list[Path], weights: Path) -> list[dict[str, Any]]:
    """Return the comparison of the features that each tool computes from the first files of each folder."""
    import shutil

    import torch
    from cleanfid import fid as clean
    from torch_fidelity.datasets import ImagesPathDataset
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from mien.evaluation.folders import open_features, scan

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
    rows = []
    for folder in folders:
        with tempfile.TemporaryDirectory() as place:
            files = [shutil.copy(folder / name, place) for name in scan(folder).names[:FIRST]]
            theirs = {
                FIDELITY: torch.cat([network(x[None])[0] for x in ImagesPathDataset(sorted(files))]),
                CLEAN: torch.from_numpy(
                    clean.get_folder_features(place, _stages(network), num_workers=0, device="cpu", verbose=False)
                ),
            }
            for tool, resizing in ((FIDELITY, "tensorflow"), (CLEAN, "clean")):
                ours, _ = rows_of(open_features(str(weights), resizing=resizing), Path(place))
                one = row(
                    "features", f"{folder.name}, {len(files)} files, Inception", tool, ours.norm(), theirs[tool].norm()
                )
                difference = float((ours - theirs[tool]).norm() / theirs[tool].norm())
                rows.append(one | {"relative_difference": difference})
    return rows


def _stages(network: Any) -> Callable[[Any], Any]:
    """Return the function from resized levels (B, 3, 299, 299) to Inception's features, as clean-fid calls it."""
    import torch

    from mien.metrics.feature_networks import INCEPTION_STAGES

    stages = torch.nn.Sequential(*(network.get_submodule(name) for name in INCEPTION_STAGES))
    return lambda x: stages((x - 128) / 128).flatten(1)


def same_features(real: Path, other: Path, judge: str) -> list[dict[str, Any]]:
    """Return the comparison of the statistics alone, on one matrix of a judge's features for each folder."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    from mien.evaluation.folders import open_features

    features = open_features(judge)
    a, b = (rows_of(features, folder)[0] for folder in (real, other))
    ours, compared = numbers(a, b), f"same features, {judge} ({a.shape[1]})"
    statistics = [fid_features_to_statistics(x) for x in (b, a)]
    theirs = fid_statistics_to_metric(*statistics, False)
    theirs |= prc_features_to_metric(b, a, verbose=False)
    names = {"fid": "frechet_inception_distance", "precision": "precision", "recall": "recall"}
    if len(a) == len(b):
        theirs |= kid_features_to_metric(b, a, kid_subsets=1, kid_subset_size=len(a), verbose=False)
        names["kid"] = "kernel_inception_distance_mean"
    rows = [row(name, compared, FIDELITY, ours[name], theirs[key]) for name, key in names.items()]
    return rows + _clean_rows(compared, [a, b], [a.double().numpy(), b.double().numpy()])


def describe(folder: Path) -> dict[str, Any]:
    """Return the name of a folder, its number of pictures, and the hash of its files."""
    import hashlib

    from mien.evaluation.folders import scan
    from mien.files import sha256

    result = scan(folder)
    text = "".join(f"{name} {sha256(folder / name)}\n" for name in result.names)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"name": folder.name, "pictures": len(result.names), "sha256": digest}


if __name__ == "__main__":
    sys.exit(main())
