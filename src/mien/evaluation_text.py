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
    if fid := result.get("feature_fid"):
        how = f"{fid['n']:,} against {fid['n']:,}, judge's {fid['features']} features (not Inception)"
        for key in ("samples", "reconstructions", "real_against_real"):
            if key in fid:
                rows.append((f"feature-FID, {key.replace('_', ' ')}", f"{fid[key]:.2f}", how))
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
        second = Table(*per[0], title="by attribute", title_justify="left")
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
