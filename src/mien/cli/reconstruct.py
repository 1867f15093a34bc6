"""The command reconstruct."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.cli.app import app
from mien.cli.faces import searched, warn_without_face
from mien.cli.many import (
    ManyPictures,
    few,
    files_or_held_out,
    folder_or_sheet,
    is_folder,
    picture_files,
    targets,
    write_each,
)
from mien.cli.outputs import Force
from mien.cli.photos import NoAlign, OneFace, aligned_face, aligned_parts, template_for
from mien.cli.shared import (
    Device,
    Folders,
    Out,
    Root,
    Run,
    load_model,
    make_console,
    pictures_or_held_out,
    save_figure,
    shown,
)

N = 16  # held-out pictures


@app.command(rich_help_panel="Use a run")
def reconstruct(
    run: Run,
    pictures: ManyPictures = None,
    face: OneFace = 1,
    no_align: NoAlign = False,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Encode and decode pictures, or held-out ones of the run's data: one sheet (a file), or one file each (a folder).

    A model of aligned faces finds the face in an ordinary photo and aligns it; of several faces it takes the largest.

    Examples:
      mien reconstruct runs/faces
      mien reconstruct runs/faces me.jpg you.png --out pair.png
      mien reconstruct runs/faces photos/ --out again/
    """
    out = folder_or_sheet(out, "reconstructions.png", force)
    model = load_model(run, device, "Encodes", "Decodes")
    files = picture_files(pictures, model.config["shape"]) if pictures else []
    template = template_for(run, no_align) if files else None
    if is_folder(out):
        _into_folder(run, model, files, root, out, force, files != pictures, template, face)
    else:
        _onto_sheet(run, model, few(files), root, out, template, face)


def _into_folder(
    run: Path,
    model: Any,
    files: list[Path],
    root: Folders,
    out: Path,
    force: bool,
    skip: bool,
    template: Any,
    face: int,
) -> None:
    """Write one reconstruction for each picture; ``skip`` leaves out files that cannot be read."""
    from mien import applications
    from mien.metrics.reconstruction import psnr

    scores: list[float] = []
    unread: list[str] = []

    def rebuild(x: Any) -> list[Any]:
        x_rec = applications.reconstruct(model, x).cpu()
        scores.extend(psnr(x, x_rec).tolist())
        return [x_rec]

    own = bool(files)
    if template is not None:
        parts = aligned_parts(files, template, face, unread if skip else None)
    else:
        files, some = files_or_held_out(run, model, files, N, root, unread if skip else None)
        parts = searched(run, some, own)
    write_each(targets(files, out, model.config["shape"], force=force), parts, rebuild, "reconstructing", out, unread)
    mean = sum(scores) / len(scores)
    make_console().print(f"{len(scores):,} picture{'s' * (len(scores) > 1)}: PSNR {mean:.2f} dB", highlight=False)


def _onto_sheet(run: Path, model: Any, files: list[Path], root: Folders, out: Path, template: Any, face: int) -> None:
    """Draw pictures and their reconstructions on one sheet."""
    import torch

    from mien import applications, figures
    from mien.metrics.reconstruction import psnr

    console = make_console()
    if template is not None:
        x = torch.cat([aligned_face(file, template, face) for file in files])
    else:
        x = pictures_or_held_out(run, model, files, N, root)
        warn_without_face(run, files, [x])
    x_rec = applications.reconstruct(model, x).cpu()
    scores = psnr(x, x_rec)
    for file, score in zip(files, scores, strict=False):
        console.print(f"{file.name}: PSNR {score:.2f} dB", markup=False, highlight=False)
    if not files:
        console.print(f"{len(x)} held-out pictures: PSNR {scores.mean():.2f} dB", highlight=False)
    save_figure(figures.reconstructions(shown(x), shown(x_rec)), out, console)
