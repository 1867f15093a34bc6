"""What several recipes share: data, judges and efforts of each scale, figures and numbers.

Recipes with equal trainings share run folders, so a judge is trained once. Nothing here imports a slow package before a
function is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.recipes.recipe import Effort, Number, Pictures, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from torch import Tensor

    from mien.recipes.trained import Trained

SHOWN = 10  # pictures in a row of a figure

# the judge and the loss network have disjoint halves of the training pictures and different seeds
JUDGE = Run("attribute_cnn", share=(2, 2), seed=1)
LOSS_NETWORK = Run("attribute_cnn", {"batch_norm": False, "lr": 1e-3}, share=(1, 2), seed=0)

AVATARS = Pictures("avatars", 16, {"count": 240}, packaged=True)
DIGITS = Pictures("digits", 28, packaged=True)
MNIST28, MNIST32 = Pictures("mnist", 28), Pictures("mnist", 32)
DIGITS32 = Pictures("digits", 32, packaged=True)
CELEBA32, CELEBA64, CELEBA128 = Pictures("celeba", 32), Pictures("celeba", 64), Pictures("celeba", 128, {"crop": 178})

TINY_CNN = Effort(steps=4, settings={"widths": (4, 4, 4, 4, 4)}, training={"batch": 16})
SMALL_CNN = Effort(steps=1500)
PAPER_CNN = Effort(epochs=5)
# a loss network of 1,500 steps, a quarter of the width, a higher learning rate and averaged weights
SMALL_VAE_WGAN = Effort(
    steps=2500,
    settings={"width": 16, "pair_loss": 6300.0, "lr": 3e-3, "betas": (0.9, 0.99)},
    training={"batch": 32, "ema": 0.99},
)
TINY_VAE = Effort(steps=4, settings={"width": 4, "latent": 8}, training={"batch": 16})
TINY_ITERATIVE = Effort(steps=3, settings={"width": 4, "latent": 8, "shared": 32}, training={"batch": 16})
SMALL_ITERATIVE = Effort(steps=2000, settings={"width": 16}, training={"batch": 32, "ema": 0.99})
PAPER_ITERATIVE = Effort(epochs=50)
TINY_RESIDUAL = Effort(steps=3, settings={"width": 4}, training={"batch": 8})
SMALL_RESIDUAL = Effort(steps=1000, settings={"width": 16}, training={"batch": 16, "ema": 0.99})
PAPER_RESIDUAL = Effort(epochs=20)
SMALL_EDITOR = {"attribute_cnn": SMALL_CNN, "residual_gan": SMALL_RESIDUAL}
PAPER_EDITOR = {"attribute_cnn": PAPER_CNN, "residual_gan": PAPER_RESIDUAL}
TINY_SSAVAE = Effort(steps=4, settings={"width": 4, "hidden": 16}, training={"batch": 16})
SMALL_SSAVAE = Effort(steps=800)
TINY_SELFEX = Effort(steps=3, settings={"width": 4, "latent": 8}, training={"batch": 16})
SMALL_SELFEX = Effort(steps=1400)
# the systems that the papers compare with: narrow networks, averaged weights
SMALL_BASELINE = Effort(steps=2500, settings={"width": 16}, training={"batch": 32, "ema": 0.99})
TINY_GAN = Effort(steps=3, settings={"width": 4}, training={"batch": 8})
VGG19: dict[str, Any] = {"loss_network": "vgg19"}


def one(value: float, n: int = 0, sem: float | None = None) -> Number:
    """Return a number of one seed.

    >>> one(0.5, 100).mean
    0.5
    """
    return Number((float(value),), (sem,), n)


def mean(values: Tensor) -> Number:
    """Return the mean of values (n,) with its standard error over them."""
    values = values.double().flatten()
    sem = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return one(float(values.mean()), len(values), sem)


def reconstructions(trained: Trained) -> Figure:
    """Draw held-out pictures, with the reconstructions of each measured run below."""
    import torch

    from mien import figures
    from mien.applications import reconstruct
    from mien.data.pictures import shown

    x = trained.pictures(SHOWN)
    rows = torch.stack([reconstruct(trained.model(run), x).cpu() for run in trained.names])
    drawn = torch.stack([torch.as_tensor(shown(row)) for row in rows])
    return figures.reconstructions(shown(x.cpu()), drawn.numpy(), names=["real", *trained.names])


def samples(trained: Trained) -> Figure:
    """Draw generated pictures of each measured run, one row for each."""
    import torch

    from mien.applications import generate

    rows = [generate(trained.model(run), SHOWN, trained.seed) for run in trained.names]
    return bands(torch.stack(rows), trained.names, "generated pictures, a row for each run")


def added(trained: Trained, run: str, names: Sequence[str], alt: str) -> Figure:
    """Draw held-out pictures, their reconstructions, and each attribute of ``names`` that the run can edit, added."""
    import torch

    from mien.applications import reconstruct

    x, editor = trained.pictures(SHOWN), trained.open(run).editor()
    chosen = [name for name in names if name in editor.names]
    rows = [x, reconstruct(trained.model(run), x), *(editor(x, {name: 1.0}) for name in chosen)]
    labels = ["real", "reconstructed", *(f"+{name}" for name in chosen)]
    return bands(torch.stack([row.cpu() for row in rows]), labels, alt)


def bands(rows: Tensor, names: Sequence[str], alt: str, heads: Sequence[str] = ()) -> Figure:
    """Draw rows of pictures (R, N, C, H, W) with their names before them.

    Args:
        rows: the pictures; names: of the R rows; alt: what the figure shows; heads: above the N columns.
    """
    from mien.figures.mosaic import Band, mosaic
    from mien.figures.pictures import pictures

    drawn = [list(pictures(row.numpy())) for row in rows]
    return mosaic([Band(drawn, labels=list(names) if any(names) else (), heads=list(heads))], alt=alt)


def sharpness(trained: Trained, run: str) -> Number:
    """Return how sharp reconstructions are: their mean |difference of neighboring pixels| over that of the pictures.

    Below 1, reconstructions are more blurred than the pictures; above 1, they have more edges or noise.
    """
    from mien.applications import reconstruct

    x = trained.pictures(trained.held_out)
    return mean(_edges(reconstruct(trained.model(run), x).cpu()) / _edges(x.cpu()).clamp_min(1e-6))


def edges(trained: Trained) -> dict[str, Number]:
    """Return the sharpness of the reconstructions of each measured run, in the rows "edges, RUN"."""
    return {f"edges, {run}": sharpness(trained, run) for run in trained.names}


def _edges(x: Tensor) -> Tensor:
    """Return the mean |difference of neighboring pixels| of pictures (B, C, H, W): (B,)."""
    across = (x[..., 1:] - x[..., :-1]).abs().flatten(1).mean(1)
    down = (x[..., 1:, :] - x[..., :-1, :]).abs().flatten(1).mean(1)
    return (across + down) / 2


def seconds(work: Callable[[], Any], device: str, rounds: int = 7) -> Number:
    """Return the median wall time of a call in seconds with its standard error, after one call that is not counted.

    Args:
        work: the call; device: of the model, which is waited for; rounds: number of counted calls.
    """
    import statistics
    import time

    import torch

    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    # for normal values, the error of the median is 1.25 times that of the mean
    return one(statistics.median(times[1:]), rounds, 1.25 * statistics.stdev(times[1:]) / rounds**0.5)
