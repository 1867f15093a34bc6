"""The report of a preparation: the attributes' values, and the files that were left out, with reasons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.base import Source


def counts(rows: NDArray[np.int8], attributes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many pictures have each attribute (yes), do not have it (no), or have no value of it (unknown).

    Args:
        rows: int8 (N, A) of +1, -1 and 0.
        attributes: A names.

    >>> counts(np.array([[1], [0], [0]], np.int8), ["Smiling"])
    {'Smiling': {'yes': 1, 'no': 0, 'unknown': 2}}
    """
    table = np.asarray(rows).reshape(len(rows), len(attributes))
    values = {"yes": 1, "no": -1, "unknown": 0}
    return {
        name: {word: int((table[:, a] == value).sum()) for word, value in values.items()}
        for a, name in enumerate(attributes)
    }


def omissions(source: Source, rejected: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return what was left out as {"suffix", "reason", "count"}, the largest count first.

    Args:
        source: the data set; it counts the files that are no pictures.
        rejected: file and reason of the pictures that cannot be used.
    """
    groups: Counter[tuple[str, str]] = Counter(source.other_files())
    for entry in rejected:
        # what differs from file to file is not part of the kind of reason: line numbers, sizes, details after a colon
        kind = re.sub(r" \(line \d+\)|, got .*", "", entry["reason"]).partition(":")[0]
        groups[PurePosixPath(entry["file"]).suffix.lower(), kind] += 1
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    return [{"suffix": suffix, "reason": reason, "count": count} for (suffix, reason), count in ordered]


def omission_line(report: Mapping[str, Any]) -> str:
    """Return one line on the files that were left out, nothing if there are none.

    >>> omission_line({"omissions": [{"suffix": ".txt", "reason": "the suffix of no picture", "count": 2}]})
    'left out: 2 .txt (the suffix of no picture)'
    """
    entries = [
        f"{one['count']:,} {one['suffix'] or 'without suffix'} ({one['reason']})" for one in report.get("omissions", [])
    ]
    return f"left out: {'; '.join(entries)}" if entries else ""


def attribute_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a line for each attribute: the pictures with it, without it, and of which it is unknown.

    >>> attribute_lines({"attributes": {"Smiling": {"yes": 1200, "no": 5, "unknown": 0}}})
    ['Smiling: 1,200 yes, 5 no, 0 unknown']
    """
    return [
        f"{name}: {one['yes']:,} yes, {one['no']:,} no, {one['unknown']:,} unknown"
        for name, one in report.get("attributes", {}).items()
    ]


RARE, FEW = 20, 6  # pictures below which a value of an attribute is rare; names that a line shows


def attribute_summary(report: Mapping[str, Any]) -> list[str]:
    """Return a line on unknown values and a line on rare ones, none if there are none.

    >>> attribute_summary({"attributes": {"Hat": {"yes": 3, "no": 90, "unknown": 7}, "Young": {"yes": 50, "no": 50}}})
    ['unknown: Hat (7 of 100)', 'rare: Hat (3 yes, 90 no)']
    """
    counts = {name: {"unknown": 0, **one} for name, one in report.get("attributes", {}).items()}
    unknown = {
        f"{name} ({one['unknown']:,} of {sum(one.values()):,})": -one["unknown"]
        for name, one in counts.items()
        if one["unknown"]
    }
    rare = {
        f"{name} ({one['yes']:,} yes, {one['no']:,} no)": min(one["yes"], one["no"])
        for name, one in counts.items()
        if min(one["yes"], one["no"]) < RARE
    }
    lines = []
    for word, texts in (("unknown", unknown), ("rare", rare)):
        worst = sorted(texts, key=texts.__getitem__)
        more = f" and {len(worst) - FEW} more attributes" if len(worst) > FEW else ""
        lines += [f"{word}: {', '.join(worst[:FEW])}{more}"] if worst else []
    return lines
