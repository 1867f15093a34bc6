"""Every application as a subject of benchmarks/applications.py."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from subjects import OTHER, RUN, Given, Work, subject

from mien.applications.basics import latent_size


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


@subject("application", "recognize", "attributes as the judge names them")
def recognized(g: Given) -> Work:
    from mien.applications import recognize

    judge = g.judge
    return Work(lambda: recognize(judge, g.x), len(g.x), (g.x,))


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


@subject("application", "neighbors", "the eight nearest of all latents, for each")
def neighbors(g: Given) -> Work:
    from mien.applications.neighbors import nearest

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

    index = spread(g.index, 2_500)  # the largest number that mien map draws
    positions = tsne(g.draws(len(index)).numpy())

    def call() -> Any:
        cells = grid_cells(positions)
        figures.save(figures.picture_grid(g.run.dataset.pictures(index), cells), g.folder / "grid.png")
        return cells

    return Work(call, len(index))


@subject("application", "synthesize", "labeled pictures written as PNG files")
def synthesized(g: Given) -> Work:
    from mien.applications import synthesize as synthesis

    run, classes = g.run, max(1, len(g.run.dataset.classes))
    planned = synthesis.plan(run.dataset, g.index, max(1, len(g.index) // classes))
    latent, maker = latent_size(run.model), synthesis.noisy(run.model)

    def call() -> Any:
        out = Path(tempfile.mkdtemp(dir=g.folder))
        return synthesis.synthesize(maker, latent, run.dataset, planned, out, {"run": RUN}, g.device)

    return Work(call, len(planned))


@subject("application", "multiview", "latents of two runs, SVMs of all attributes on each and on both")
def multiview(g: Given) -> Work:
    from mien.applications import multiview as views
    from mien.run.opening import open_run

    opened = [g.run, open_run(g.folder / OTHER, g.device)]
    compared = [views.View(run.folder.name, run.model, run.dataset, run.splits, run.index) for run in opened]
    n = len(g.run.index) + len(g.run.splits.test)  # pictures that are held out from the fit are held out from the runs
    return Work(lambda: views.compare(views.features(compared)), n)


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


@subject("scale", "neighbors_many", "the eight nearest of many latents drawn from N(0, I), for each")
def neighbors_many(g: Given) -> Work:
    from mien.applications.neighbors import nearest

    z = g.draws(g.many)
    return Work(lambda: nearest(z, z), len(z), (z,))
