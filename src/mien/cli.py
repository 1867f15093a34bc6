"""The command ``mien``. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import errno
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien import models as models_
from mien.errors import MienError, UnknownName

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="mien",
    help="Encode, generate, edit and recognise images with hybrids of VAEs and GANs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with:  [bold]mien demo[/]   or   [bold]mien train vae --data avatars --size 32 --steps 500[/]",
)
data_app = typer.Typer(help="Prepare pictures for training.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Run = Annotated[Path, typer.Argument(help="A run folder, as mien train makes.", show_default=False)]
Pictures = Annotated[list[Path] | None, typer.Argument(help="Picture files.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Fixes every random draw.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
DataName = Annotated[str, typer.Option("--data", help="A data set: see [bold]mien datasets[/].")]
Root = Annotated[Path | None, typer.Option(help="The folder where the data lie.", show_default=False)]
Size = Annotated[int, typer.Option(help="Height and width in pixels.")]
DataSettings = Annotated[
    list[str] | None,
    typer.Option("--data-set", help="An option of the data set, such as count=4000.", show_default=False),
]


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    # no dependency reports home
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    _hurry_help()
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(
            f"{error.filename or 'a file'}: {error.strerror}: make room or choose another place, then run the same command again"
        )


def _hurry_help() -> None:
    """Spare ``--help`` the import of rich's Markdown, a fifth of its time, which Typer imports and never uses here."""
    asked = len(sys.argv) == 1 or {"-h", "--help"} & set(sys.argv)
    if asked and "rich.markdown" not in sys.modules:
        stand_in = types.ModuleType("rich.markdown")
        stand_in.Markdown = type("Markdown", (), {})  # type: ignore[attr-defined]
        sys.modules["rich.markdown"] = stand_in  # the process ends with the help


def _fail(text: str) -> None:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        from mien import __version__

        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


# ---------------------------------------------------------------------------------------------- help for commands


def _console() -> Console:
    from rich.console import Console

    return Console()


def _parse_data(name: str, pairs: list[str] | None) -> dict[str, Any]:
    """Return ``--data-set key=value`` pairs with the types of the set's own defaults."""
    from mien import data as datasets_

    known, values = datasets_.options(name), {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals:
            raise MienError(f"expected --data-set key=value, got '{pair}': such as --data-set count=4000")
        if key not in known:
            raise UnknownName(f"option of {name}", key, known)
        kind = type(known[key])
        try:
            values[key] = kind(text) if kind in (int, float) else text
        except ValueError:
            raise MienError(f"expected a number for {name}'s {key}, got '{text}'") from None
    return values


def _share(text: str) -> tuple[int, int]:
    try:
        i, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise MienError(f"expected --share I/N, got '{text}': such as --share 1/2") from None
    return i, n


def _data(name: str, root: Path | None, size: int, pairs: list[str] | None, seed: int = 0, share: str = "1/1") -> Any:
    from mien import data as datasets_

    if name not in datasets_.names():  # before the slow imports
        raise UnknownName("dataset", name, datasets_.names())
    options = _parse_data(name, pairs)
    from mien.experiment import Data

    return Data(name, str(root) if root else None, size, options, seed, _share(share))


@contextmanager
def _bars(console: Console) -> Iterator[Any]:
    """Yield note(what, done, total), which shows one bar after another."""
    from mien.training.logs import Bar

    bars: dict[str, Bar] = {}

    def note(what: str, done: int, total: int) -> None:
        if what not in bars:
            for bar in bars.values():
                bar.__exit__()
            bars[what] = Bar(console, what, total)
        bars[what](done)

    try:
        yield note
    finally:
        for bar in bars.values():
            bar.__exit__()


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise MienError(
            f"expected a device there is, got {name}: choose --device {'cpu or cuda' if torch.cuda.is_available() else 'cpu'}"
        )
    return name


def _load(run: Path, device: str, *abilities: str) -> Any:
    """Return the model of a run after checking, before torch is imported, that it can do what is asked."""
    from mien.runs_light import check_abilities

    check_abilities(run, abilities)
    from mien import runs

    return runs.load(run, _device(device))


def _read(paths: list[Path], shape: tuple[int, ...]) -> Any:
    """Return picture files as a tensor (B, C, H, W) in [-1, 1], cropped to the centre and scaled."""
    import numpy as np
    import torch

    from mien.data.pictures import BadPicture, open_picture, to_float, to_square

    if shape[1] != shape[2]:
        raise MienError(f"expected a run on square pictures to read files with, got one on {shape[1]}x{shape[2]}")
    rows = []
    for path in paths:
        try:
            picture = open_picture(path)
        except BadPicture as error:
            raise BadPicture(f"{path}: {error}") from None
        square = to_square(picture.convert("L").convert("RGB") if shape[0] == 1 else picture, shape[1])
        rows.append(to_float(square[..., : shape[0]]))
    return torch.from_numpy(np.stack(rows))


def _held_out(run: Path, n: int, root: Path | None = None) -> Any:
    """Return n held-out pictures of a run's own data."""
    from mien.evaluation import open_run

    opened = open_run(run, root=str(root) if root else None)
    return opened.dataset.batch(opened.splits.test[:n]).x


def _save_figure(figure: Any, path: Path, console: Console) -> None:
    from mien import figures

    figures.save(figure, path)
    _wrote(console, path)


def _wrote(console: Console, path: Path) -> None:
    console.print("wrote", style="dim", end=" ")
    console.print(str(path), highlight=False, markup=False, soft_wrap=True)


# ------------------------------------------------------------------------------------------------------- commands

TRAIN_HELP = """Train a model into a run folder; the same command resumes it.

[bold]Examples[/]

  mien train vae --data avatars --size 32 --steps 500

  mien train attribute_cnn --data celeba --root ~/celeba --share 1/2 --out runs/cnn

  mien train vae_wgan --data celeba --root ~/celeba --set loss_network=runs/cnn --set width=32 --epochs 5
"""


@app.command(help=TRAIN_HELP)
def train(
    model: Annotated[str, typer.Argument(help="A model: see [bold]mien models[/].", show_default=False)],
    data: DataName = "avatars",
    root: Root = None,
    size: Size = 64,
    steps: Annotated[int | None, typer.Option(help="Updates in all.", show_default=False)] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training pictures.  [default: the model's]", show_default=False)] = None,
    batch: Annotated[int, typer.Option(help="Pictures in a step.")] = 64,
    seed: Seed = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the model, such as width=32.", show_default=False)] = None,
    data_set: DataSettings = None,
    share: Annotated[str, typer.Option(help="Train on part I of N disjoint parts of the training pictures.")] = "1/1",
    split_seed: Annotated[int, typer.Option(help="Seed of the split into training and held-out pictures.", min=0)] = 0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    ema: Annotated[float, typer.Option(help="Decay of the average of weights that is saved; 0 saves the last.")] = 0.0,
    device: Device = "auto",
    processes: Annotated[int, typer.Option(help="Processes on this machine; gradients are averaged.")] = 1,
    log_every: Annotated[int, typer.Option(help="Steps between log records.")] = 20,
    picture_every: Annotated[int, typer.Option(help="Steps between sample sheets.")] = 200,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run folder.  [default: runs/MODEL-DATA-SIZE]", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and how long it takes; write nothing.")] = False,
) -> None:  # fmt: skip
    models_.check_name(model)
    chosen = _data(data, root, size, data_set, split_seed, share)
    from mien import experiment
    from mien.models.base import parse_settings

    settings = parse_settings(model, set_ or [])
    console = _console()
    training = {"batch": batch, "seed": seed, "precision": precision, "ema": ema, "device": device}
    training |= {"processes": processes, "log_every": log_every, "picture_every": picture_every}
    if dry_run:
        _print_plan(console, experiment.dry_run(model, chosen, settings, steps, epochs, **training))
        return
    with _bars(console) as note:
        folder, outcome = experiment.train(
            model, chosen, out, settings, steps, epochs, console,
            lambda done, total: note(f"prepare {data}", done, total), **training,
        )  # fmt: skip
    if int(os.environ.get("RANK", os.environ.get("GLOBAL_RANK", os.environ.get("LOCAL_RANK", "0")))) != 0:
        return
    if not outcome.finished:
        console.print(f"stopped after step {outcome.step} of {outcome.steps}; the same command goes on from there")
    else:
        rate = f" at {outcome.images_per_second:.0f} images/s" if outcome.images_per_second else " already"
        console.print(f"trained {outcome.steps} steps in {outcome.seconds:.0f} s{rate}", highlight=False)
    _wrote(console, folder)
    console.print(f"next: mien show {folder}   mien evaluate {folder}", style="dim", highlight=False, soft_wrap=True)


def _print_plan(console: Console, plan: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="dry run: nothing is written", show_header=False, title_justify="left")
    for key, value in plan.items():
        if isinstance(value, dict):
            value = "\n".join(f"{k} = {v:,}" if key == "parameters" else f"{k} = {v}" for k, v in value.items())
        table.add_row(key.replace("_", " "), str(value))
    console.print(table)


@data_app.command("prepare")
def prepare(
    name: Annotated[str, typer.Argument(help="A data set: see [bold]mien datasets[/].", show_default=False)],
    root: Root = None,
    size: Size = 64,
    data_set: DataSettings = None,
) -> None:
    """Decode, crop and scale every picture once; resumable.

    [bold]Examples[/]

      mien data prepare avatars --size 32 --data-set count=6000

      mien data prepare celeba --root ~/celeba --size 64

      mien data prepare folder --root ~/photos --data-set table=~/photos/attributes.csv
    """
    from mien import data as datasets_

    options = _parse_data(name, data_set)
    console = _console()
    with _bars(console) as note:
        dataset = datasets_.load(name, root, size, lambda done, total: note(f"prepare {name}", done, total), **options)
    report = dataset.report
    rejected = report.get("rejected", [])
    console.print(
        f"{len(dataset):,} pictures of {dataset.shape[1]}x{dataset.shape[2]}, {len(rejected)} rejected", highlight=False
    )
    for row in rejected[:20]:
        console.print(f"  {row['file']}: {row['reason']}", markup=False, highlight=False)
    if len(rejected) > 20:
        console.print(f"  … and {len(rejected) - 20} more in {dataset.folder / 'report.json'}", markup=False)
    _wrote(console, dataset.folder)


@app.command()
def generate(
    run: Run,
    n: Annotated[int, typer.Option("-n", "--n", help="How many.", min=1)] = 64,
    seed: Seed = 0,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Draw new pictures: one sheet (a file), or one file for each (a folder).

    [bold]Examples[/]

      mien generate runs/faces -n 64 --out samples.png

      mien generate runs/faces -n 1000 --seed 1 --out samples/
    """
    model = _load(run, device, "Generates")
    from mien import applications, figures
    from mien.data.pictures import from_float, save_picture

    console = _console()
    x = applications.generate(model, n, seed).numpy()
    out = out or Path("samples.png")
    if out.suffix:
        if n > 1024:
            raise MienError(
                f"expected up to 1024 pictures on one sheet, got {n}: pass a folder, such as --out samples/"
            )
        _save_figure(figures.samples(x), out, console)
        return
    for number, picture in enumerate(from_float(x)):
        save_picture(picture, out / f"{number:06d}.png")
    _wrote(console, out)


@app.command()
def reconstruct(
    run: Run, pictures: Pictures = None, root: Root = None, out: Out = None, device: Device = "auto"
) -> None:
    """Encode and decode pictures, or held-out ones of the run's data where none are given.

    [bold]Examples[/]

      mien reconstruct runs/faces

      mien reconstruct runs/faces me.jpg you.png --out pair.png
    """
    model = _load(run, device, "Encodes", "Decodes")
    from mien import applications, figures
    from mien.metrics.reconstruction import psnr

    console = _console()
    x = _read(pictures, model.config["shape"]) if pictures else _held_out(run, 16, root)
    x_rec = applications.reconstruct(model, x).cpu()
    names = [p.name for p in pictures] if pictures else None
    for name, value in zip(names or [], psnr(x, x_rec), strict=False):
        console.print(f"{name}: PSNR {value:.2f} dB", markup=False, highlight=False)
    if not names:
        console.print(f"{len(x)} held-out pictures: PSNR {psnr(x, x_rec).mean():.2f} dB", highlight=False)
    _save_figure(figures.reconstructions(x.numpy(), x_rec.numpy()), out or Path("reconstructions.png"), console)


@app.command()
def interpolate(
    run: Run,
    pictures: Pictures = None,
    steps: Annotated[int, typer.Option(help="Pictures on the path, ends included.", min=2, max=64)] = 11,
    path: Annotated[str, typer.Option(help="linear or slerp.")] = "linear",
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Walk through the latent space from each picture to the next, or between held-out ones.

    [bold]Examples[/]

      mien interpolate runs/faces me.jpg you.png

      mien interpolate runs/faces --path slerp --steps 15 --out walk.png
    """
    if path not in ("linear", "slerp"):
        raise UnknownName("path", path, ["linear", "slerp"])
    if pictures and len(pictures) < 2:
        raise MienError("expected two pictures or more to walk between, got one")
    model = _load(run, device, "Encodes", "Decodes")
    from mien import figures
    from mien.applications import interpolation

    x = _read(pictures, model.config["shape"]) if pictures else _held_out(run, 8, root)
    left, right = (x[:-1], x[1:]) if pictures else (x[0::2], x[1::2])
    rows = interpolation.interpolate(model, left, right, steps, getattr(interpolation, path))
    _save_figure(
        figures.interpolation(rows.cpu().numpy(), ends=(left.numpy(), right.numpy())),
        out or Path("interpolation.png"),
        _console(),
    )


def _amounts(pairs: list[str]) -> dict[str, float]:
    amounts = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            amounts[key] = float(text)
        except ValueError:
            equals = ""
        if not equals or not -10 <= amounts[key] <= 10:
            raise MienError(f"expected --set Attribute=amount from -10 to +10, got '{pair}': such as --set Smiling=+1")
    return amounts


@app.command()
def edit(
    run: Run,
    picture: Annotated[Path, typer.Argument(help="A picture file.", show_default=False)],
    set_: Annotated[
        list[str], typer.Option("--set", help="Attribute=amount: +1 adds it, -1 removes it.", show_default=False)
    ],
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Change attributes of a picture: the result, and beside it the way there in steps.

    [bold]Examples[/]

      mien edit runs/faces me.jpg --set Smiling=+1

      mien edit runs/faces me.jpg --set Smiling=+1 --set Eyeglasses=-1 --out changed.png
    """
    amounts = _amounts(set_)
    model = _load(run, device)
    from mien import abilities, applications, evaluation, figures
    from mien.data.pictures import from_float, save_picture

    vectors = None
    if not isinstance(model, abilities.Edits):
        abilities.require(model, abilities.Encodes, abilities.Decodes)
        vectors = evaluation.cached_vectors(run)
        if vectors is None:
            with _bars(_console()) as note:
                opened = evaluation.open_run(run, _device(device), str(root) if root else None)
                vectors = opened.vectors(lambda done, total: note("attribute vectors", done, total))
        for name in amounts:
            vectors[name]  # an unknown name is told before anything is computed
    import torch

    x = _read([picture], model.config["shape"])
    alphas = [i / 10 for i in range(11)]
    row = torch.cat(
        [applications.edit(model, x, {k: a * v for k, v in amounts.items()}, vectors).cpu() for a in alphas]
    )
    out, console = out or Path("edited.png"), _console()
    save_picture(from_float(row[-1].numpy()), out)
    _wrote(console, out)
    label = ", ".join(f"{k} {v:+g}" for k, v in amounts.items())
    figure = figures.attribute_edits(x.numpy(), row[None].numpy(), attributes=[label], alphas=alphas)
    _save_figure(figure, out.with_name(f"{out.stem}-steps{out.suffix}"), console)


@app.command()
def recognise(
    run: Run,
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Name what is in pictures: the probability of each attribute.

    [bold]Examples[/]

      mien recognise runs/cnn me.jpg

      mien recognise runs/cnn *.jpg --json
    """
    model = _load(run, device, "Recognises")
    from mien import applications, figures

    x = _read(pictures, model.config["shape"])
    names = list(model.config.get("attributes") or model.config.get("classes") or [])
    probabilities = applications.recognise(model, x).cpu().numpy()
    if json:
        import json as json_

        rows = [
            {"file": str(p), **dict(zip(names, map(float, row), strict=True))}
            for p, row in zip(pictures, probabilities, strict=True)
        ]
        print(json_.dumps(rows, indent=2))
    else:
        _print_probabilities(pictures, names, probabilities)
    if out:
        _save_figure(figures.probabilities(x.numpy(), probabilities, names), out, _console())


def _print_probabilities(pictures: list[Path], names: list[str], probabilities: Any) -> None:
    from rich.table import Table

    table = Table("attribute", *[p.name for p in pictures])
    order = sorted(range(len(names)), key=lambda a: -probabilities[:, a].mean())
    for a in order:
        cells = [f"[bold green]{p:.2f} ●[/]" if p > 0.5 else f"{p:.2f}  " for p in probabilities[:, a]]
        table.add_row(names[a], *cells)
    _console().print(table)


@app.command()
def evaluate(
    run: Run,
    judge: Annotated[
        Path | None, typer.Option(help="An attribute_cnn run, never the run's own loss network.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option(help="Held-out pictures, and samples, at most.", min=16)] = 2000,
    seed: Seed = 0,
    root: Root = None,
    device: Device = "auto",
) -> None:
    """Measure all a run's abilities allow on its held-out pictures, and store it as evaluation.json.

    [bold]Examples[/]

      mien evaluate runs/faces --judge runs/judge

      mien evaluate runs/cnn
    """
    from mien.runs_light import check_abilities

    check_abilities(run, ())
    from mien import evaluation

    console = _console()
    with _bars(console) as note:
        opened = evaluation.open_run(run, _device(device), str(root) if root else None)
        result = evaluation.evaluate(opened, judge, count, seed, note)
    from mien.evaluation_text import tables

    for table in tables(result):
        console.print(table)
    _wrote(console, run / "evaluation.json")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's settings.", show_default=False)] = None,
) -> None:
    """List the models with what they can do, or the settings of one.

    [bold]Examples[/]

      mien models

      mien models vae_wgan
    """
    from rich.table import Table

    if name is None:
        table = Table("model", "abilities", "what it is")
        for each in models_.names():
            table.add_row(each, " ".join(models_.abilities(each)), models_.describe(each).partition(":")[2].strip())
        _console().print(table)
        return
    models_.check_name(name)
    from mien.models.base import arguments

    table = Table("--set", "type", "default", title=models_.describe(name), title_justify="left")
    for key, parameter in arguments(name).items():
        if key not in ("shape", "attributes", "classes"):
            kind = (
                getattr(parameter.annotation, "__name__", str(parameter.annotation))
                if "[" not in str(parameter.annotation)
                else str(parameter.annotation)
            )
            table.add_row(
                key,
                kind,
                "vgg19" if parameter.default is parameter.empty else str(parameter.default),
            )
    _console().print(table)


@app.command()
def datasets() -> None:
    """List the data sets with their options.

    [bold]Example[/]

      mien datasets
    """
    from rich.table import Table

    from mien import data as datasets_

    table = Table("data set", "options (--data-set)", "what it is")
    for name in datasets_.names():
        options = ", ".join(f"{k}={v}" for k, v in datasets_.options(name).items())
        table.add_row(name, options, datasets_.describe(name).partition(":")[2].strip())
    _console().print(table)


@app.command()
def show(run: Run) -> None:
    """Show what a run folder holds: model, data, progress, measures.

    [bold]Example[/]

      mien show runs/faces
    """
    from mien.runs_light import summary

    for renderable in summary(run):
        _console().print(renderable)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """Train a small VAE-WGAN on avatars and show all it can do, on one page, in a few minutes.

    [bold]Example[/]

      mien demo --out demo
    """
    from mien.demo import run as run_demo

    page = run_demo(out, seed, _console())
    _console().print(f"open {page}", highlight=False, soft_wrap=True)


@app.command()
def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Evaluated runs to store as a result first.", show_default=False)
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The result file to write from the runs.", show_default=False)
    ] = None,
    title: Annotated[str, typer.Option(help="The result's title.")] = "",
    about: Annotated[str, typer.Option(help="What was compared, on what machine.")] = "",
    command: Annotated[
        list[str] | None, typer.Option(help="A command that made it; repeat for each.", show_default=False)
    ] = None,
) -> None:
    """Write the tables of the README from the models and the stored results.

    [bold]Examples[/]

      mien report

      mien report runs/a runs/b --store results/faces.json --title "a against b"
    """
    from mien import report as report_

    if runs:
        if store is None:
            raise MienError("expected --store FILE for the runs given, got none: such as --store results/faces.json")
        _wrote(_console(), report_.store(store, title or store.stem, about, command or [], runs))
    _wrote(_console(), report_.write())


if __name__ == "__main__":
    main()
