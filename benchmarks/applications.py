"""Wall time, CPU time and peak memory of every measure and application on 9,000 pictures, and what 100,000 take.

    python benchmarks/applications.py [--smoke] [--count 9000] [--only NAME ...] [--slow] [--data celeba --root R]

On CelebA at 32 px where MIEN_DATA has it (9,000 faces), else on drawn avatars. A small VAE-WGAN, a second of another
seed, and an attribute_cnn as judge are trained for a few steps, once, into --cache: what they make of a picture is of
no interest here, only what it costs. Weights of feature networks are random, which costs the same as the published.

Each subject has a process of its own, whose peak (getrusage) begins anew when the run is opened and what the subject
is given (pictures, latents) is made; the clock starts then. Memory is told in four parts: of a process that has only
opened the run, of what the subject is given, of what it returns, and beyond these three, which is what must not grow
with the number of pictures. Under a minute it is done three times in the same process, and median and quartiles are
told; the first, which imports what it needs, is told apart. --slow adds those of a quarter of an hour and more.
--only measures some anew and keeps the other rows of a stored result of the same data and count. Without --slow about
twenty-five minutes of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

# this file is imported by the parent too, which must stay small: a child's peak memory starts at its parent's
from common import Result, Spread, Worker, left, matrix_rate, parse, peak_megabytes, serve

COUNT, MANY = 9_000, 100_000
REPEATS, LONG = 3, 60.0  # times, unless one takes more seconds than that
SLACK_MB = 40  # memory that may differ between 9,000 and 100,000 latents, beside the latents
RUN, OTHER, JUDGE, LOSS = "run", "other", "judge", "loss"
WEIGHTS = {"MIEN_ALEXNET": "alex.pth", "MIEN_VGG16": "vgg.pth", "MIEN_INCEPTION": "inception.pth"}

state: dict[str, Any] = {}


# ------------------------------------------------------------------------------------- the runs, made in a process


def make(folder: str, data: str, root: str | None, count: int, size: int, width: int, steps: int) -> dict[str, Any]:
    """Train the runs and write random weights into ``folder``, unless they are there; answer with the pictures."""
    from mien.experiment import Data, train

    where = Path(folder)
    pictures = Data(data, root, size, {"count": count} if data == "avatars" else {})
    small = {"width": width, "latent": 100 if width > 4 else 8, "loss_network": str(where / LOSS)}
    cnn: dict[str, Any] = {"widths": (4,) * 5} if width <= 4 else {}
    plan: list[tuple[str, str, tuple[int, int], dict[str, Any], int]] = [
        (LOSS, "attribute_cnn", (1, 2), {**cnn, "batch_norm": False, "lr": 1e-3}, 0),
        (JUDGE, "attribute_cnn", (2, 2), cnn, 1),
        (RUN, "vae_wgan", (1, 1), small, 0),
        (OTHER, "vae_wgan", (1, 1), small, 1),
    ]
    for name, model, share, settings, seed in plan:
        more: dict[str, Any] = {"batch": 32, "seed": seed, "device": "cpu"}
        train(model, replace(pictures, share=share), where / name, settings, steps, **more)
    opened = pictures.open()
    if width > 4:
        write_weights(where)
    return {"count": len(opened), "name": opened.name, "size": size, "attributes": len(opened.attributes)}


def write_weights(folder: Path) -> None:
    """Write weights of random numbers, as large as the published ones, for the networks that measures look with."""
    import io

    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchvision import models

    class Unread(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: Any, *args: Any, **more: Any) -> Any:
            return None

    def inception() -> dict[str, torch.Tensor]:
        nothing = io.BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        weights = Unread("unread", ["2048"], nothing).state_dict()
        generator = torch.Generator().manual_seed(0)
        for key, value in weights.items():
            if key.endswith("conv.weight"):
                value.normal_(generator=generator).mul_((2 / value[0].numel()) ** 0.5)
        return weights

    def features(model: Callable[..., Any]) -> dict[str, torch.Tensor]:
        return {k: v for k, v in model(weights=None).state_dict().items() if k.startswith("features.")}

    torch.manual_seed(0)
    made: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
        "alex.pth": lambda: features(models.alexnet),
        "vgg.pth": lambda: features(models.vgg16),
        "inception.pth": inception,
    }
    for name, weights in made.items():
        if not (folder / name).exists():
            torch.save(weights(), folder / f"{name}.part")
            (folder / f"{name}.part").rename(folder / name)


# ------------------------------------------------------------------------------------------- what a subject is given


@dataclass
class Given:
    """Opened runs, and what is made of them when it is first asked for.

    Args:
        folder: of the runs: a copy, since some subjects write into theirs.
        count: pictures of ``index``; many: of the subjects of many latents.
    """

    folder: Path
    device: str
    count: int
    many: int

    @cached_property
    def run(self) -> Any:
        from mien.evaluation import open_run

        return open_run(self.folder / RUN, self.device)

    @cached_property
    def judge(self) -> Any:
        from mien import runs

        return runs.load(self.folder / JUDGE, self.device)

    @cached_property
    def index(self) -> Any:
        """All pictures, trained on or not."""
        import numpy as np

        from mien.data.dataset import spread

        return spread(np.arange(len(self.run.dataset)), self.count)

    @cached_property
    def x(self) -> Any:
        """Pictures (n, C, H, W), filled in place: one array of them is held and no more."""
        import torch

        x = torch.empty(len(self.index), *self.run.dataset.shape)
        for start in range(0, len(x), 128):
            x[start : start + 128] = self.run.dataset.batch(self.index[start : start + 128]).x
        return x

    @cached_property
    def z(self) -> Any:
        from mien.applications import encode_all

        return encode_all(self.run.model, self.run.dataset, self.index)

    @cached_property
    def vectors(self) -> Any:
        from mien.applications import attribute_vectors

        return attribute_vectors(self.run.model, self.run.dataset, self.index)

    @property
    def attribute(self) -> str:
        names = self.run.dataset.attributes
        return "Smiling" if "Smiling" in names else names[0]

    def draws(self, n: int) -> Any:
        """Return latents (n, K) drawn from N(0, I)."""
        from mien.applications.latent_map import latent_size
        from mien.applications.variations import directions

        return directions(n, latent_size(self.run.model), seed=0)

    def context(self, run: Any, chosen: Sequence[str]) -> Any:
        """Return what a measure is given: held out and trained on are all pictures, and no vectors are kept."""
        from mien import runs
        from mien.evaluation.measures import Context

        for kept in run.folder.glob("attribute_vectors.*"):
            kept.unlink()
        about = {"run": JUDGE, "weights_sha256": runs.sha256(self.folder / JUDGE / "weights.safetensors")}
        run = replace(run, index=self.index)
        return Context(run, self.index, self.judge, about, 0, lambda what, done, total: None, tuple(chosen))


@dataclass(frozen=True)
class Work:
    """One subject, ready to run.

    Args:
        call: does it and returns its result, None where it does not apply.
        n: how many pictures it takes.
        given: what was made for it.
    """

    call: Callable[[], Any]
    n: int
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A measure or an application: its name, what it does in words, how it is prepared, whether it takes long."""

    kind: str
    what: str
    prepare: Callable[[Given], Work]
    slow: bool = False


SUBJECTS: dict[str, Subject] = {}
Prepare = Callable[[Given], Work]


def subject(kind: str, name: str, what: str, slow: bool = False) -> Callable[[Prepare], Prepare]:
    """Enter a function that prepares a subject."""

    def enter(prepare: Prepare) -> Prepare:
        SUBJECTS[name] = Subject(kind, what, prepare, slow)
        return prepare

    return enter


# ---------------------------------------------------------------------------------------------------------- measures


def measured(g: Given, name: str, run: Any = None, chosen: Sequence[str] = (), n: int = 0, **constants: int) -> Work:
    """Return a measure of ``mien evaluate`` on all pictures; ``constants`` of its file are set for it."""
    from unittest.mock import patch

    from mien.evaluation.measures import MEASURES

    opened = run or g.run

    def call() -> Any:
        file = sys.modules[MEASURES[name].function.__module__]
        with contextlib.ExitStack() as stack:
            for key, value in constants.items():
                stack.enter_context(patch.object(file, key, value))
            return MEASURES[name](g.context(opened, chosen or (name,)))

    assert g.judge is not None  # opened before the clock starts
    return Work(call, n or len(g.index))


def enter_measures() -> None:
    """Enter the measures that need no more than the run and the judge."""
    for name, what in {
        "reconstruction": "PSNR, SSIM, squared error, KL",
        "feature_fid": "distances on the judge's features: samples, reconstructions, real pictures",
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
    from mien.evaluation import open_run

    return measured(g, "recognition", open_run(g.folder / JUDGE, g.device))


@subject(
    "measure", "similarity_auc", "5,000 + 5,000 pairs by five similarities, neighbourhoods; n pictures of the pairs"
)
def similarity_auc(g: Given) -> Work:
    from mien.metrics.similarity_auc import draw_pairs

    people = g.run.dataset.identity
    n = 0 if people is None else len(draw_pairs(people[g.index]).rows())
    return measured(g, "similarity_auc", n=n)


@subject("measure", "edits", "every attribute edited in 400 pictures, as mien evaluate does; n edits")
def edits(g: Given) -> Work:
    return measured(g, "edits", n=min(400, len(g.index)) * len(g.run.dataset.attributes))


@subject("measure", "edits_all", "every attribute edited in all pictures; n edits", slow=True)
def edits_all(g: Given) -> Work:
    n = len(g.index)
    return measured(g, "edits", n=n * len(g.run.dataset.attributes), MOST=n, DRAWN=n)


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
        lambda: told(identity_distances(g.x, changed, Faces().embeddings)["reconstructed"]),
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

    return Work(lambda: told(landmark_stability(Faces().landmarks, g.x)), len(g.x), (g.x,))


def told(distances: Any) -> dict[str, Any]:
    """Return the summary of distances: the share of faces found stands beside what they cost."""
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


# ------------------------------------------------------------------------------------------------------ applications


@subject("application", "encode", "latents of pictures")
def encode(g: Given) -> Work:
    from mien.applications import encode_all

    return Work(lambda: encode_all(g.run.model, g.run.dataset, g.index), len(g.index))


@subject("application", "vectors", "attribute vectors of all attributes")
def vectors(g: Given) -> Work:
    from mien.applications import attribute_vectors

    return Work(lambda: attribute_vectors(g.run.model, g.run.dataset, g.index).vectors, len(g.index))


@subject("application", "reconstruct", "reconstructions")
def reconstructed(g: Given) -> Work:
    from mien.applications import reconstruct

    return Work(lambda: reconstruct(g.run.model, g.x), len(g.x), (g.x,))


@subject("application", "generate", "new pictures")
def generated(g: Given) -> Work:
    from mien.applications import generate

    return Work(lambda: generate(g.run.model, len(g.index)), len(g.index))


@subject("application", "recognise", "attributes as the judge names them")
def recognised(g: Given) -> Work:
    from mien.applications import recognise

    judge = g.judge
    return Work(lambda: recognise(judge, g.x), len(g.x), (g.x,))


@subject("application", "edit", "one attribute added by its vector")
def edited(g: Given) -> Work:
    from mien.applications import edit

    amounts, vectors = {g.attribute: 1.0}, g.vectors
    return Work(lambda: edit(g.run.model, g.x, amounts, vectors), len(g.x), (g.x,))


@subject("application", "residuals", "what an edit adds and takes away")
def residual(g: Given) -> Work:
    from mien.applications.residuals import residuals

    amounts, vectors = {g.attribute: 1.0}, g.vectors
    return Work(lambda: residuals(g.run.model, g.x, amounts, vectors), len(g.x), (g.x,))


@subject("application", "interpolate", "paths of 11 pictures between two; n frames")
def interpolated(g: Given) -> Work:
    from mien.applications import interpolate

    pairs = max(1, len(g.index) // 11)
    a, b = g.x[:pairs].clone(), g.x[-pairs:].clone()
    return Work(lambda: interpolate(g.run.model, a, b), 11 * pairs, (g.x, a, b))


@subject("application", "walk", "one path through pictures, five frames from each to the next; n frames")
def walked(g: Given) -> Work:
    from mien.applications.interpolation import chain

    x = g.x[: max(2, len(g.index) // 5)]
    return Work(lambda: chain(g.run.model, x, steps=6), 5 * (len(x) - 1) + 1, (g.x,))


@subject("application", "iterate", "encoded and decoded ten times, all kept")
def iterated(g: Given) -> Work:
    from mien.applications.iterate import iterate

    return Work(lambda: iterate(g.run.model, g.x), len(g.x), (g.x,))


@subject("application", "variations", "three scales, eight variations at each")
def varied(g: Given) -> Work:
    from mien.applications.variations import variations

    return Work(lambda: variations(g.run.model, g.x), len(g.x), (g.x,))


@subject("application", "neighbours", "the eight nearest of all latents, for each")
def neighbours(g: Given) -> Work:
    from mien.applications.neighbours import nearest

    return Work(lambda: nearest(g.z, g.z), len(g.z), (g.z,))


@subject("application", "tsne", "t-SNE of the latents, drawn as a scatter and saved")
def scatter(g: Given) -> Work:
    from mien import figures
    from mien.applications.latent_map import tsne

    values = g.run.dataset.attribute_table[g.index, g.run.dataset.attributes.index(g.attribute)]
    labels = [{1: g.attribute, -1: f"not {g.attribute}"}.get(int(v)) for v in values]

    def call() -> Any:
        positions = tsne(g.z.numpy())
        figures.save(figures.latent_scatter(positions, labels), g.folder / "scatter.png")
        return positions

    return Work(call, len(g.z), (g.z,))


@subject("application", "grid", "pictures assigned to the 2,500 cells of a t-SNE map, drawn and saved")
def grid(g: Given) -> Work:
    from mien import figures
    from mien.applications.latent_map import grid_cells, tsne
    from mien.data.dataset import spread

    index = spread(g.index, 2_500)  # as many as mien map draws at most
    positions = tsne(g.draws(len(index)).numpy())

    def call() -> Any:
        cells = grid_cells(positions)
        figures.save(figures.picture_grid(g.run.dataset.pictures(index), cells), g.folder / "grid.png")
        return cells

    return Work(call, len(index))


@subject("application", "synthesize", "labelled pictures written as PNG files")
def synthesized(g: Given) -> Work:
    from mien.applications import synthesize as made

    run, classes = g.run, max(1, len(g.run.dataset.classes))
    planned = made.plan(run.dataset, g.index, max(1, len(g.index) // classes))
    latent, maker = made.latent_size(run.model, run.dataset, g.index), made.noisy(run.model)

    def call() -> Any:
        out = Path(tempfile.mkdtemp(dir=g.folder))
        return made.synthesize(maker, latent, run.dataset, planned, out, {"run": RUN}, g.device)

    return Work(call, len(planned))


@subject("application", "multiview", "latents of two runs, SVMs of all attributes on each and on both")
def multiview(g: Given) -> Work:
    from mien.applications import multiview as views
    from mien.evaluation import open_run

    opened = [g.run, open_run(g.folder / OTHER, g.device)]
    seen = [views.View(run.folder.name, run.model, run.dataset, run.splits, run.index) for run in opened]
    n = len(g.run.index) + len(g.run.splits.test)  # what is held out from the fit is held out from the runs
    return Work(lambda: views.compare(views.features(seen)), n)


@subject("application", "transformer", "ImageEncoder.transform, of bytes")
def transformer(g: Given) -> Work:
    from mien.transformer import ImageEncoder

    pictures = g.run.dataset.pictures(g.index)
    fitted = ImageEncoder(g.folder / RUN, g.device).fit(pictures[:2])
    return Work(lambda: fitted.transform(pictures), len(pictures), (pictures,))


@subject("scale", "encode_many", "latents of many pictures: the same ones again and again")
def encode_many(g: Given) -> Work:
    import numpy as np

    from mien.applications import encode_all

    index = np.resize(g.index, g.many)
    return Work(lambda: encode_all(g.run.model, g.run.dataset, index), len(index), (index,))


@subject("scale", "neighbours_many", "the eight nearest of many latents drawn from N(0, I), for each")
def neighbours_many(g: Given) -> Work:
    from mien.applications.neighbours import nearest

    z = g.draws(g.many)
    return Work(lambda: nearest(z, z), len(z), (z,))


# ------------------------------------------------------------------------------------ what a subject's process answers


def open_(folder: str, copy: str, weights: bool, device: str, count: int, many: int) -> dict[str, Any]:
    """Open the run, in a folder of its own; answer with the memory then held."""
    for name in (RUN, OTHER, JUDGE):
        shutil.copytree(Path(folder) / name, Path(copy) / name)
    if weights:
        os.environ |= {variable: str(Path(folder) / file) for variable, file in WEIGHTS.items()}
    state["given"] = Given(Path(copy), device, count, many)
    assert state["given"].run.model is not None
    forget_peak()
    return {"megabytes": peak_megabytes()}


def forget_peak() -> None:
    """Let the peak begin anew at what is held now, where the system can: opening and preparing would hide smaller ones."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def prepare(name: str) -> dict[str, Any]:
    """Make what a subject is given; answer with its size and the number of pictures."""
    state["work"] = SUBJECTS[name].prepare(state["given"])
    forget_peak()
    return {"megabytes": megabytes(state["work"].given), "n": state["work"].n}


def once() -> dict[str, Any]:
    """Do it; answer with what it took, or why it cannot be done."""
    from mien.errors import MienError

    start, cpu = time.perf_counter(), time.process_time()
    try:
        result = state["work"].call()
    except MienError as reason:
        return {"skipped": str(reason).replace(str(state["given"].folder), "")}
    took = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    if result is None:
        return {"skipped": "it does not apply to this run and its data"}
    found = {"found": state.pop("found")} if "found" in state else {}
    return {**took, "result": megabytes(result), "megabytes": peak_megabytes(), **found}


def rate(smoke: bool) -> dict[str, Any]:
    """Answer with the matrix rate, after everything else: it holds memory too."""
    return {"rate": matrix_rate("cpu", "fp32", smoke)()}


def megabytes(value: Any) -> float:
    """Return the size of the arrays in a result, in MB.

    >>> import numpy as np
    >>> megabytes({"z": [np.zeros(2**18, np.float32)], "n": 3})
    1.0
    """
    if hasattr(value, "nbytes"):
        return float(value.nbytes) / 2**20
    if isinstance(value, Mapping):
        return sum(map(megabytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(megabytes, value))
    return sum(map(megabytes, vars(value).values())) if hasattr(value, "__dataclass_fields__") else 0.0


HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {
    "make": make,
    "open": open_,
    "prepare": prepare,
    "once": once,
    "rate": rate,
}


class Local:
    """What a process does, in this one: for a smoke run, which measures nothing."""

    def __call__(self, what: str, **values: Any) -> dict[str, Any]:
        return HANDLERS[what](**values)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *exception: object) -> None:
        state.clear()


def worker(options: argparse.Namespace) -> Worker | Local:
    """Start a fresh process of this file."""
    return Local() if options.smoke else Worker([sys.executable, str(Path(__file__).resolve()), "--worker"])


# -------------------------------------------------------------------------------------------------------- the parent


def take(name: str, folder: Path, options: argparse.Namespace, result: Result) -> dict[str, Any] | str:
    """Measure one subject in a process of its own; return its row, or why it was left out."""
    asked = {"device": options.device, "count": options.count, "many": options.many, "weights": not options.smoke}
    with tempfile.TemporaryDirectory() as copy, worker(options) as ask:
        opened = ask("open", folder=str(folder), copy=copy, **asked)["megabytes"]
        given = ask("prepare", name=name)
        done: list[dict[str, Any]] = []
        while not done or (len(done) < options.rounds and done[0]["seconds"] < LONG):
            answer = ask("once")
            if "skipped" in answer:
                return answer["skipped"]
            done.append(answer)
        result.rates.append(ask("rate", smoke=options.smoke)["rate"])
    peak = done[0]["megabytes"]
    parts = {"opened": opened, "given": given["megabytes"], "result": done[0]["result"]}
    return {
        "name": name,
        "kind": SUBJECTS[name].kind,
        "what": SUBJECTS[name].what,
        "n": given["n"],
        "seconds": Spread.of(d["seconds"] for d in done).to_json(),
        "cpu_seconds": Spread.of(d["cpu_seconds"] for d in done).to_json(),
        "first_seconds": round(done[0]["seconds"], 2),
        "per_second": Spread.of(given["n"] / d["seconds"] for d in done).to_json(),
        "peak_megabytes": round(peak),
        "megabytes": {k: round(v) for k, v in parts.items()} | {"beyond": round(peak - sum(parts.values()))},
        **{k: done[0][k] for k in ("found",) if k in done[0]},
    }


def stored(options: argparse.Namespace, result: Result) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the rows of a stored result of the same pictures, by name, and its notes."""
    path = options.out / "applications.json" if options.out else None
    if path is None or not path.is_file():
        return {}, []
    old = json.loads(path.read_text(encoding="utf-8"))
    if old["about"] != result.about:
        return {}, []
    commit = old["machine"]["commit"]
    return {row["name"]: {"commit": commit, **row} for row in old["rows"] if row["name"] in SUBJECTS}, old["notes"]


def judge_memory(result: Result) -> None:
    """Note whether many latents take more memory than few, beside the latents themselves."""
    rows = {row["name"]: row for row in result.rows}
    for few, many, words in (("encode", "encode_many", "encoding"), ("neighbours", "neighbours_many", "neighbours of")):
        if few in rows and many in rows:
            a, b = (rows[name]["megabytes"]["beyond"] for name in (few, many))
            what = f"{words} {rows[many]['n']:,}: memory beside pictures and latents, over that of {rows[few]['n']:,}"
            result.target(what, f"≤ {SLACK_MB} MB more", f"{b - a:+d} MB ({b} and {a})", b - a <= SLACK_MB)


def seconds(values: Mapping[str, float]) -> str:
    """Return seconds in few characters."""
    spread = Spread(values["median"], values["q1"], values["q3"], int(values["n"]))
    digits = 2 if spread.median < 10 else 1
    return spread.text(digits) if spread.n > 1 else f"{spread.median:.{digits}f}"


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "subject": lambda r: r["name"],
    "n": lambda r: f"{r['n']:,}",
    "seconds": lambda r: seconds(r["seconds"]),
    "CPU s": lambda r: seconds(r["cpu_seconds"]),
    "first": lambda r: f"{r['first_seconds']:.1f}",
    "a second": lambda r: f"{r['per_second']['median']:,.0f}",
    "peak MB": lambda r: f"{r['peak_megabytes']:,}",
    "opened": lambda r: f"{r['megabytes']['opened']:,}",
    "given": lambda r: f"{r['megabytes']['given']:,}",
    "result": lambda r: f"{r['megabytes']['result']:,}",
    "beyond": lambda r: f"{r['megabytes']['beyond']:,}",
}


def options_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, with what follows from them."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=COUNT, help=f"pictures  [{COUNT}]")
        parser.add_argument("--only", nargs="+", metavar="NAME", choices=SUBJECTS, help=f"of {', '.join(SUBJECTS)}")
        parser.add_argument("--slow", action="store_true", help="also those of a quarter of an hour and more")
        parser.add_argument("--data", help="data set with attributes  [celeba where MIEN_DATA has it, else avatars]")
        parser.add_argument("--root", help="where it lies")
        parser.add_argument("--cache", type=Path, help="folder of the runs it trains  [in the cache of prepared sets]")

    options = parse(__doc__, argv, minutes=45, more=more)
    options.count, options.many = (60, 200) if options.smoke else (options.count, MANY)
    options.rounds = 1 if options.smoke else REPEATS
    if options.data is None:
        celeba = Path(os.environ.get("MIEN_DATA", "")) / "celeba" / "img_align_celeba.zip"
        options.data = "celeba" if not options.smoke and (options.root or celeba.is_file()) else "avatars"
    if options.count < 60:
        print(f"error: expected a --count of 60 or more, got {options.count}", file=sys.stderr)
        sys.exit(2)
    return options


def main(argv: Sequence[str] | None = None) -> None:
    options = options_of(argv)
    chosen = options.only or [name for name, subject in SUBJECTS.items() if options.slow or not subject.slow]
    if options.smoke:  # no weights, and no faces in sixteen pixels
        chosen = [n for n in chosen if not n.startswith(("lpips", "inception", "identity", "landmarks", "distances"))]
    size, width, steps = (16, 4, 2) if options.smoke else (32, 16, 300)
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) if options.smoke else options.cache or cache_dir()
        folder = cache / f"applications-{options.data}-{options.count}"
        made = {"data": options.data, "root": options.root, "count": options.count, "size": size}
        with worker(options) as ask:
            about = ask("make", folder=str(folder), width=width, steps=steps, **made)
        words = f"{min(options.count, about['count']):,} pictures of {about['name']} at {size} px"
        result = Result("applications", f"measures and applications on {words}; vae_wgan, width {width}")
        rows: dict[str, dict[str, Any]] = {}
        skipped: dict[str, str] = {}
        for name in chosen:
            if left(options) <= 0:
                skipped[name] = f"skipped: {name}, as {options.minutes:g} minutes were over"
                continue
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                row = take(name, folder, options, result)
            except RuntimeError as ended:  # for want of memory, such as that of all variations
                row = str(ended)
            except KeyboardInterrupt:  # what is measured is kept
                break
            if isinstance(row, str):
                skipped[name] = f"skipped: {name}, {row}"
            else:
                rows[name] = row
    # read now, since another call may have measured others meanwhile
    old, notes = stored(options, result)
    rows = old | rows
    earlier = {name: note for note in notes for name in SUBJECTS if note.startswith(f"skipped: {name},")}
    skipped = {name: note for name, note in (earlier | skipped).items() if name not in rows}
    result.rows = [rows[name] for name in SUBJECTS if name in rows]
    judge_memory(result)
    result.notes = [*NOTES, *skipped.values()]
    result.finish(options, COLUMNS)


def cache_dir() -> Path:
    """Return the folder of prepared sets; asked of mien here, as it imports neither torch nor numpy."""
    from mien.data import cache_dir

    return cache_dir() / "benchmarks"


NOTES = [
    "Trained for 300 steps: what the models make of a picture is of no interest here, and feature networks have "
    "random weights. All pictures are measured, also those trained on.",
    "Other work ran on the machine: CPU seconds suffer less of it than wall time. Where a subject is done three times, "
    "the first, told apart, also imports what it needs.",
    "Memory in MB: of a process that has opened the run, of what the subject is given, of what it returns, and beyond.",
]


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve(HANDLERS)
    else:
        main()
