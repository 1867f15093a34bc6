"""Shows that the tests catch errors of the training loop, the models and the measures.

    python tools/mutations.py [NAME ...]

Each mutation is one error: an exact string in the source, and its replacement. For each, this script copies
``src`` to a temporary folder, replaces the string there, and runs the test that must fail on the copy. The working
tree does not change. All tests run first on an unchanged copy, where they must pass.

It prints a table, mutation and killing test, and ends with code 0 if every mutation was killed. It ends with code 1
and a message if a mutation survived, if its string does not occur exactly once in its place, or if its test cannot run.

Args:
    NAME: names of mutations, to run only these. All by default; about two minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutation:
    """An error, and the test that must fail with it.

    Args:
        name: in words.
        place: a file, or a folder of files, under ``src/mien``.
        old, new: a string that occurs exactly once in that place, and its replacement.
        test: file::function under ``tests``.
    """

    name: str
    place: str
    old: str
    new: str
    test: str


MUTATIONS = [
    Mutation(
        "set_lr ignores its factor",
        "training/update.py",
        'group["lr"] = lr * factor',
        'group["lr"] = lr',
        "test_update.py::test_set_lr_multiplies_the_rates_of_the_optimizers",
    ),
    Mutation(
        "EMA uses 1 - decay for decay",
        "training/loop.py",
        "get_ema_multi_avg_fn(decay)",
        "get_ema_multi_avg_fn(1 - decay)",
        "test_training.py::test_the_saved_average_has_the_decay_of_its_formula",
    ),
    Mutation(
        "the rank is dropped from the noise seed",
        "training/loop.py",
        "* 4099 + self.fabric.global_rank)",
        "* 4099)",
        "test_training.py::test_processes_draw_noise_of_their_own",
    ),
    Mutation(
        "clip_gradients has no upper bound",
        "training/update.py",
        "torch._foreach_clamp_max_(gradients[name], bound)",
        "pass",
        "test_update.py::test_gradients_are_clipped_at_both_bounds",
    ),
    Mutation(
        "gradients are summed over processes, not averaged",
        "training/update.py",
        'self.fabric.all_reduce(joined, reduce_op="mean")',
        'self.fabric.all_reduce(joined, reduce_op="sum")',
        "test_training.py::test_two_processes_equal_one_on_the_joined_batch",
    ),
    Mutation(
        "prior_fakes hands the generator the critic's term",
        "models/vae_wgan.py",
        "self.prior_fakes * more.generator",
        "self.prior_fakes * more.critic",
        "test_model_equations.py::test_decoded_prior_samples_are_fakes_to_both_sides_of_the_vae_wgan",
    ),
    Mutation(
        "iterative GAN compares d for d / 2",
        "models/iterative_gan.py",
        "d.detach() / 2,",
        "d.detach(),",
        "test_model_equations.py::test_the_iterative_gan_updates_the_side_behind_once_more",
    ),
    Mutation(
        "residual GAN's edit without clamp",
        "models/residual_gan.py",
        "* self.residual(x, amount)).clamp(-1, 1)",
        "* self.residual(x, amount))",
        "test_model_equations.py::test_edits_of_the_residual_gan_stay_pictures",
    ),
    Mutation(
        "leakage counts only new yeses",
        "metrics/edits.py",
        "edited[:, others] != plain[:, others]",
        "edited[:, others] & ~plain[:, others]",
        "test_measure_arithmetic.py::test_leakage_counts_every_change_of_mind",
    ),
    Mutation(
        "sem without the root",
        "evaluation",
        "/ len(values) ** 0.5",
        "/ len(values)",
        "test_measure_arithmetic.py::test_the_standard_error_is_the_deviation_over_the_root_of_n",
    ),
    Mutation(
        "counterfactual bound over all pixels",
        "metrics/edits.py",
        "distance(bound, changed)",
        "distance(bound, torch.ones_like(changed))",
        "test_measure_arithmetic.py::test_distances_to_the_counterfactual_are_of_the_changed_pixels",
    ),
]


def mutate(mutation: Mutation, source: Path) -> tuple[Path, str]:
    """Return the file of the mutation in the package folder ``source``, and its text with the error.

    Raises:
        ValueError: if the string does not occur exactly once.
    """
    place = source / mutation.place
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.exists()}
    count = sum(text.count(mutation.old) for text in texts.values())
    if count != 1:
        raise ValueError(
            f"expected '{mutation.old}' once in src/mien/{mutation.place}, got it {count} times: "
            f"adapt '{mutation.name}' in tools/mutations.py to the source"
        )
    path = next(path for path, text in texts.items() if mutation.old in text)
    return path, texts[path].replace(mutation.old, mutation.new)


def run(tests: Sequence[str], mutation: Mutation | None) -> subprocess.CompletedProcess[str]:
    """Run tests on a copy of the source, with a mutation or without."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if mutation is not None:
            path, text = mutate(mutation, source / "mien")
            path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        command += [str(ROOT / "tests" / test) for test in tests]
        environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mutations by name and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutations to run; all by default")
    names = parser.parse_args(argv).names
    unknown = set(names) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        print(f"expected names of mutations, got {', '.join(sorted(unknown))}: see MUTATIONS", file=sys.stderr)
        return 2
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    for mutation in chosen:  # before any test runs
        try:
            mutate(mutation, ROOT / "src" / "mien")
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    plain = run(list(dict.fromkeys(mutation.test for mutation in chosen)), None)
    if plain.returncode != 0:
        print(plain.stdout + plain.stderr, file=sys.stderr)
        print("the tests fail on the source without a mutation", file=sys.stderr)
        return 1
    code = 0
    print("| mutation | killed by |\n|---|---|", flush=True)
    for mutation in chosen:
        done = run([mutation.test], mutation)
        if done.returncode == 1:  # tests ran, and one failed
            print(f"| {mutation.name} | {mutation.test} |", flush=True)
            continue
        code = 1
        print(f"| {mutation.name} | NOTHING: it survived, or its test cannot run |", flush=True)
        print(done.stdout + done.stderr, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
