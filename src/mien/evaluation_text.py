"""The tables of an evaluation, for the terminal and for pages; no torch."""

from __future__ import annotations

from typing import Any


def headline(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (measure, value, how it was taken) of each number an evaluation leads with."""
    rows: list[tuple[str, str, str]] = []
    result = {k: v for k, v in result.items() if not (isinstance(v, dict) and "skipped" in v)}
    if rec := result.get("reconstruction"):
        n = f"{rec['n']:,} held-out pictures; ± deviation over pictures"
        rows.append(("PSNR (dB)", _pm(rec["psnr_db"], 2), n))
        if "ssim" in rec:
            rows.append(("SSIM", _pm(rec["ssim"], 3), n))
        rows.append(("MSE in [-1, 1]", _pm(rec["mse"], 4), n))
        if "kl_nats" in rec:
            rows.append(("KL (nats)", _pm(rec["kl_nats"], 1), n))
    rows += _distance_rows(result)
    for key, what in (("latent_svm", "linear SVMs on latents"), ("recognition", "recognition")):
        scores = result.get(key)
        if scores and "mean_accuracy" in scores:
            how = f"{scores['n']:,} held-out pictures, {len(scores['per_attribute'])} attributes; ± standard error"
            rows.append((f"attribute accuracy, {what}", f"{scores['mean_accuracy']:.2%} ± {scores['sem']:.2%}", how))
            rows.append(("  of always the commoner value", f"{scores['majority_baseline']:.2%}", how))
            if "balanced_accuracy" in scores:
                with_and_without = "mean of the accuracies with and without the attribute; guessing earns 50%"
                rows.append((f"balanced accuracy, {what}", f"{scores['balanced_accuracy']:.2%}", with_and_without))
            rows.append((f"Hamming loss, {what}", f"{scores['hamming_loss']:.4f}", how))
    rows += _person_rows(result.get("similarity_auc", {}))
    rows += _face_rows(result)
    rows += _class_rows(result.get("classes", {}))
    edits = result.get("edits", {})
    if "success" in edits:
        how = f"{edits['n']} held-out pictures, {len(edits['per_attribute'])} attributes, by the judge"
        rows.append(("edit accuracy", f"{edits['success']:.2%}", how))
        rows.append(("  before the edit", f"{edits['unedited']:.2%}", how))
        rows.append(("  leakage onto other attributes", f"{edits['leakage']:.2%}", how))
        few = edits["per_attribute"] if len(edits["per_attribute"]) < 4 else {}
        for name, row in few.items():
            for key in ("added", "removed"):
                if row.get(key) is not None:
                    rows.append((f"  {name} {key}", f"{row[key]:.2%}", f"{row[f'{key}_n']} pictures, by the judge"))
    if "counterfactual_edited" in edits:
        how = "mean |difference| to the true counterfactual, on what it changes"
        rows.append(("distance of edits to the truth", f"{edits['counterfactual_edited']:.3f}", how))
        rows.append(("  of doing nothing", f"{edits['counterfactual_unedited']:.3f}", how))
        rows.append(
            ("  of the truth reconstructed", f"{edits['counterfactual_bound']:.3f}", "as near as the model can come")
        )
    return rows


def _distance_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the distances between sets of pictures: on the judge's features, then on Inception's, then LPIPS."""
    rows: list[tuple[str, str, str]] = []
    if fid := result.get("feature_fid"):
        how = f"{fid['n']:,} against {fid['n']:,}, judge's {fid['features']} features (not Inception)"
        for side in ("samples", "reconstructions", "real_against_real"):
            if side not in fid:
                continue
            spread = fid.get(f"{side}_spread")
            rows.append(
                (f"feature-FID, {side.replace('_', ' ')}", _with(fid[side], spread, 2), _jackknife(how, spread))
            )
        for side, block in fid.get("kid", {}).items():
            text = _with(block["value"], block["spread"], 4)
            rows.append((f"feature-KID, {side.replace('_', ' ')}", text, "the same; ± deviation over subsets"))
        for side, block in fid.get("precision_recall", {}).items():
            text = " / ".join(f"{block['value'][key]:.3f}" for key in ("precision", "recall"))
            rows.append((f"feature precision / recall, {side.replace('_', ' ')}", text, "the same; 3 neighbors"))
        for side, block in fid.get("score", {}).items():
            text = _with(block["value"], block["spread"], 2)
            rows.append((f"feature score, {side.replace('_', ' ')}", text, "by the judge's classes; ± over parts"))
    for name, block in result.items():
        if isinstance(block, dict) and block.get("network") == "inception":
            value, spread = block["value"], block["spread"]
            how = f"{block['n_generated']:,} generated, {block['n_real']:,} real ({block['split'] or 'none needed'}), Inception"
            if isinstance(value, dict):
                rows += [(f"{name}, {key}", _with(value[key], spread[key], 3), how) for key in value]
            else:
                rows.append((name, _with(value, spread, 4 if name.startswith("kid") else 2), how))
        elif isinstance(block, dict) and name.startswith("lpips"):
            rows.append((name, _pm(block, 3), f"{block['n']:,} held-out pictures; ± deviation over pictures"))
    return rows


def _person_rows(scores: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return how well each similarity tells persons apart, and last how well the pictures themselves do."""
    rows: list[tuple[str, str, str]] = []
    for name, one in scores.get("measures", {}).items():
        label = f"same-person AUC, {name}" if name != "pixels" else "  same-person AUC, pixels alone"
        how = "the same pairs" if rows else _pairs(scores)
        rows.append((label, f"{one['auc']:.3f} ({one['low']:.3f} to {one['high']:.3f})", how))
    return rows


def _pairs(scores: dict[str, Any]) -> str:
    return (
        f"{scores['n_same']:,} pairs of one person ({scores['paired_persons']:,} persons, "
        f"{scores['paired_persons_in_training']:,} of them also in training), {scores['n_strangers']:,} of strangers, all "
        f"{scores['split']} pictures; 95 % of a bootstrap over pairs; guessing earns .5"
    )


def _face_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return how far persons and landmarks were moved, each beside its baselines."""
    rows = []
    if identity := result.get("identity"):
        pairs = {**identity["changed"], **{f"  {k} (real pairs)": identity["baselines"].get(k) for k in PAIRS}}
        for name, one in pairs.items():
            if one and one["n"]:
                how = f"{one['n']} of {one['pairs']} with both faces found; {one['within']:.1%} within {one['threshold']:g}"
                label = name if name.startswith("  ") else f"identity distance, {name}"
                rows.append((label, _with(one["mean"], one["sd"], 3), how))
    if landmarks := result.get("landmarks"):
        for kind in ("celeba5", "stability"):
            for name, one in landmarks.get(kind, {}).items():
                if one["n"]:
                    value = " / ".join(f"{one[part]['mean']:.4f}" for part in ("eyes", "rest"))
                    how = f"eyes / rest, of eye distance; {one['n']} of {one['pictures']} faces found"
                    rows.append((f"landmark {'error' if kind == 'celeba5' else kind}, {name}", value, how))
    return rows


PAIRS = ("same", "strangers", "mirrored")


def _with(value: float, spread: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def _jackknife(how: str, spread: float | None) -> str:
    return how if spread is None else f"{how}; ± jackknife standard error"


def _class_rows(classes: dict[str, Any]) -> list[tuple[str, str, str]]:
    what = {
        "recognition": "class accuracy",
        "latent_svm": "class accuracy, linear SVM on latents",
        "agreement": "class of x and of its reconstruction agree",
        "judge_on_reconstructions": "class accuracy of the judge on reconstructions",
        "judge_on_real": "  on the pictures themselves",
    }
    rows = []
    for key, text in what.items():
        if scores := classes.get(key):
            how = f"{scores['n']:,} held-out pictures, {len(scores['per_class'])} classes; ± standard error"
            rows.append((text, f"{scores['accuracy']:.2%} ± {scores['sem']:.2%}", how))
    majority = next((s["majority_baseline"] for s in classes.values() if "majority_baseline" in s), None)
    if majority is not None:
        rows.append(("  of always the commonest class", f"{majority:.2%}", "held-out pictures"))
    return rows


def _pm(value: dict[str, float], digits: int) -> str:
    return f"{value['mean']:.{digits}f} ± {value['std']:.{digits}f}"


def tables(result: dict[str, Any]) -> list[Any]:
    """Return rich tables of an evaluation: the headline numbers, then one row for each attribute."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    judge = f", judge {result['judge']['run']}" if "judge" in result else ""
    data = result["data"]
    first = Table(
        "measure",
        "value",
        "how",
        title=f"{result['run']} on {data['name']} at {data['size']} px{judge}",
        title_justify="left",
    )
    for row in headline(result):
        first.add_row(*row)
    shown = [first]
    left_out = skipped(result)
    if left_out:
        first.caption, first.caption_justify = "\n".join(f"{name} left out: {why}" for name, why in left_out), "left"
    per = attribute_rows(result)
    if per:
        # narrow, so that the longest of CelebA's names and six numbers go into 80 columns
        second = Table(title="by attribute", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
        for name in per[0]:
            second.add_column(name, justify="left" if name == "attribute" else "right")
        for cells in per:
            second.add_row(*cells.values())
        shown.append(second)
    return shown


def skipped(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (measure, reason) of what could not be measured."""
    return [(k, v["skipped"]) for k, v in result.items() if isinstance(v, dict) and "skipped" in v]


def attribute_rows(result: dict[str, Any]) -> list[dict[str, str]]:
    """Return one row of text cells for each attribute of an evaluation."""
    svm = result.get("latent_svm", result.get("recognition", {})).get("per_attribute", {})
    edits = result.get("edits", {}).get("per_attribute", {})
    rows = []
    for name in dict.fromkeys([*svm, *edits]):
        row = {"attribute": name}
        if svm:
            row["accuracy"] = f"{svm[name]['accuracy']:.1%}" if name in svm else "–"
            if any("balanced" in scores for scores in svm.values()):
                row["balanced"] = f"{svm[name]['balanced']:.1%}" if name in svm else "–"
            row["majority"] = f"{svm[name]['majority']:.1%}" if name in svm else "–"
        if any("success" in e for e in edits.values()):
            for key, label in (("success", "edit seen"), ("unedited", "before"), ("leakage", "leakage")):
                row[label] = f"{edits[name][key]:.1%}" if name in edits else "–"
        if any("counterfactual" in e for e in edits.values()):
            for key, label in (("edited", "to truth"), ("unedited", "undone"), ("bound", "bound")):
                row[label] = f"{edits[name]['counterfactual'][key]:.3f}" if name in edits else "–"
        rows.append(row)
    return rows
