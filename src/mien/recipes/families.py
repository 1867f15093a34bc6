"""Recipes of which a paper has one for each data set: what is common to them. A recipe file names data and texts.

Nothing here imports a slow package before a function is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.recipes import common
from mien.recipes.recipe import Claim, Effort, Number, Pictures, Recipe, Row, Run, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

PLANE, WIDE, PLAIN = "SSAVAE, K = 2", "SSAVAE, K = 100", "VAE, K = 2"  # Fig. 7 of SSAVAE
GAN = "SelfExGAN"
OWN, KEPT, NEIGHBORS = "nearer to its own picture than to another", "class of x and of its reconstruction agree", 1000
JUDGED = "judge agrees with the label"
ON_REAL, ON_MADE, ALWAYS = "accuracy, trained on real", "accuracy, trained on synthesized", "always the commonest class"
SOURCES = 2000  # pictures whose variations are labeled

OURS, PLAIN_VAE, DFC = "VAE-WGAN", "Plain-VAE", "DFC-VAE"  # Fig. 3 to 6 of VAE-WGAN
OF_LOSS = {"loss_network": "loss network"}
PIXELS = Effort(2500, settings={"width": 16, "lr": 3e-3, "betas": (0.9, 0.99)}, training={"batch": 32, "ema": 0.99})


def generators(gans: Mapping[str, str]) -> dict[str, Run]:
    """Return the runs of Fig. 3 to 6 of VAE-WGAN: a judge, a loss network, the three VAEs, and GANs.

    Args:
        gans: the model of each GAN, by its name in the tables.
    """
    return {
        "judge": common.JUDGE,
        "loss network": common.LOSS_NETWORK,
        OURS: Run("vae_wgan", uses=OF_LOSS),
        DFC: Run("dfc_vae", {"layers": (1, 2, 3)}, OF_LOSS),
        PLAIN_VAE: Run("vae"),
        **{name: Run(model) for name, model in gans.items()},
    }


def generator_scales(
    gans: Mapping[str, str],
    small: Pictures,
    paper: Pictures,
    seeds: tuple[int, ...] = (0,),
    omitted: tuple[str, ...] = (),
) -> dict[str, Scale]:
    """Return the scales for the runs of :func:`generators`.

    Args:
        gans: as there; small, paper: the data of these scales; seeds: of the scale small.
        omitted: measures that the scale smoke leaves out.
    """
    compared = ("vae_wgan", "dfc_vae")
    return {
        "smoke": Scale(
            common.AVATARS,
            {
                "attribute_cnn": common.TINY_CNN,
                **dict.fromkeys((*compared, "vae", *gans.values()), common.TINY_VAE),
            },
            omitted=omitted,
        ),
        "small": Scale(
            small,
            {
                "attribute_cnn": common.SMALL_CNN,
                **dict.fromkeys(compared, common.SMALL_VAE_WGAN),
                "vae": PIXELS,
                **dict.fromkeys(gans.values(), common.SMALL_BASELINE),
            },
            seeds=seeds,
        ),
        "paper": Scale(
            paper,
            {
                "attribute_cnn": common.PAPER_CNN,
                **dict.fromkeys(compared, Effort(epochs=5, settings=common.VGG19)),
                **dict.fromkeys(("vae", *gans.values()), Effort(epochs=5)),
            },
            held_out=10_000,
        ),
    }


def judged(model: str, smoke: Effort, small: Effort, paper: Effort) -> dict[str, Scale]:
    """Return the scales of a model of faces with a judge: three seeds at 32 pixels, and the paper's 128 pixels."""
    return {
        "smoke": Scale(common.AVATARS, {"attribute_cnn": common.TINY_CNN, model: smoke}),
        "small": Scale(common.CELEBA32, {"attribute_cnn": common.SMALL_CNN, model: small}, seeds=(0, 1, 2)),
        "paper": Scale(common.CELEBA128, {"attribute_cnn": common.PAPER_CNN, model: paper}),
    }


def plane(
    title: str, source: str, small: Pictures, paper: Pictures, departures: str = "", held_out: int = 10_000
) -> Recipe:
    """Return a recipe of Fig. 7 of SSAVAE: latents of two dimensions, beside those of the plain VAE.

    Args:
        title, source, departures: of the recipe; small, paper: the data of these scales.
        held_out: largest number of held-out pictures at the scale paper.
    """
    small_vae = Effort(800, settings={"width": 16, "lr": 1e-3})
    return Recipe(
        title=title,
        source=source,
        runs={
            PLANE: Run("ssavae", {"latent": 2}),
            WIDE: Run("ssavae", {"latent": 100}),
            PLAIN: Run("vae", {"latent": 2}),
        },
        scales={
            "smoke": Scale(
                common.DIGITS,
                {"ssavae": common.TINY_SSAVAE, "vae": Effort(3, settings={"width": 4}, training={"batch": 8})},
            ),
            "small": Scale(small, {"ssavae": common.SMALL_SSAVAE, "vae": small_vae}, held_out=2000, seeds=(0, 1, 2)),
            "paper": Scale(paper, held_out=held_out, seeds=(0, 1, 2)),
        },
        measures=("classes", "reconstruction"),
        rows=[
            *[Row(f"linear SVM on the latents, {name}", name, "classes.latent_svm.accuracy", unit="%", digits=1)
              for name in (PLANE, WIDE, PLAIN)],
            *[Row(f"class accuracy, {name}", name, "classes.recognition.accuracy", unit="%", digits=1)
              for name in (PLANE, WIDE)],
            Row("always the commonest class", PLANE, "classes.latent_svm.majority_baseline", unit="%", digits=1),
            *[Row(f"PSNR, {name}", name, "reconstruction.psnr_db", unit="dB", digits=2)
              for name in (PLANE, WIDE, PLAIN)],
        ],
        claims=[
            Claim("In two dimensions, classes are apart better than in those of the plain VAE: linear SVM",
                  lambda result: result.exceeds(f"linear SVM on the latents, {PLANE}",
                                                f"linear SVM on the latents, {PLAIN}")),
            Claim("Reconstructions from 100 latents are better than from two: PSNR",
                  lambda result: result.exceeds(f"PSNR, {WIDE}", f"PSNR, {PLANE}")),
        ],
        figure=_plane_figure,
        departures=departures,
    )  # fmt: skip


def _plane_figure(trained: Trained) -> Figure:
    """Draw held-out pictures as points of the plane of the two latents."""
    from mien import figures
    from mien.applications.basics import map_batches
    from mien.data.dataset import spread

    opened = trained.open(PLANE)
    model: Any = opened.model
    index = spread(opened.splits.test, NEIGHBORS)
    z = map_batches(lambda part: model.encode(part).mean, opened.dataset.batch(index).x.to(trained.device))
    labels, classes = opened.dataset.labels, opened.dataset.classes
    assert labels is not None
    return figures.latent_scatter(z.cpu().numpy(), [classes[labels[i]] for i in index], axes=("z1", "z2"))


def pictures_of_thesis(title: str, source: str, small: Pictures, paper: Pictures, table: str, classes: bool) -> Recipe:
    """Return a recipe of Fig. 4.2 to 4.7 of the thesis: pictures, reconstructions and samples of a data set.

    Args:
        title, source: of the recipe; small, paper: the data of these scales.
        table: of the thesis, with the networks of the scale paper.
        classes: whether the data set has classes, which a judge can name.
    """
    by_class = [Row(KEPT, GAN, "classes.agreement.accuracy", unit="%", digits=1)]
    claim = Claim("Reconstructions keep the class: more than half of the classes agree",
                  lambda result: result.above(KEPT, 0.5))  # fmt: skip
    return Recipe(
        title=title,
        source=source,
        runs={"judge": common.JUDGE, GAN: Run("selfexgan")},
        scales=thesis_scales(small, paper, table, common.DIGITS32 if classes else common.AVATARS),
        measures=("classes", "reconstruction", "feature_fid") if classes else ("reconstruction", "feature_fid"),
        rows=[
            Row(OWN, unit="%", digits=1),
            *(by_class if classes else []),
            Row("PSNR", GAN, "reconstruction.psnr_db", unit="dB", digits=2),
            Row("feature-FID of samples", GAN, "feature_fid.samples", digits=2),
            Row("feature-FID of real pictures", GAN, "feature_fid.real_against_real", digits=2),
        ],
        claims=[
            Claim("Reconstructions resemble their pictures: more than 90 % are nearer to their own picture",
                  lambda result: result.above(OWN, 0.9)),
            *([claim] if classes else []),
        ],
        figure=thesis_figure,
        extra=_own_picture,
    )  # fmt: skip


def thesis_scales(small: Pictures, paper: Pictures, table: str, smoke: Pictures) -> dict[str, Scale]:
    """Return the scales of a recipe of the thesis with a judge; recipes of one data set share the trainings."""
    paper_gan = Effort(settings={"table": table})
    return {
        "smoke": Scale(smoke, {"attribute_cnn": common.TINY_CNN, "selfexgan": common.TINY_SELFEX}),
        "small": Scale(small, {"attribute_cnn": common.SMALL_CNN, "selfexgan": common.SMALL_SELFEX}, seeds=(0, 1, 2)),
        "paper": Scale(paper, {"attribute_cnn": common.PAPER_CNN, "selfexgan": paper_gan}, held_out=10_000),
    }


def thesis_figure(trained: Trained) -> Figure:
    """Draw held-out pictures, their reconstructions, and samples."""
    import torch

    from mien.applications import generate, reconstruct

    x, model = trained.pictures(common.SHOWN), trained.model(GAN)
    rows = [x.cpu(), reconstruct(model, x).cpu(), generate(model, common.SHOWN, trained.seed)]
    return common.bands(torch.stack(rows), ["real", "reconstructed", "samples"], "pictures, reconstructions, samples")


def own_picture(trained: Trained, run: str) -> Number:
    """Return the share of held-out pictures whose reconstruction is nearer to them than to another one.

    The other picture is the next one of the held-out pictures, so chance earns a half. Distances are mean squares.
    """
    from mien.applications import reconstruct

    x = trained.pictures(min(NEIGHBORS, trained.held_out)).cpu()
    rebuilt = reconstruct(trained.model(run), x.to(trained.device)).cpu()
    own, other = ((rebuilt - y).square().flatten(1).mean(1) for y in (x, x.roll(1, 0)))
    return common.mean((own < other).float())


def _own_picture(trained: Trained) -> Mapping[str, Number]:
    return {OWN: own_picture(trained, GAN)}


def labeled(title: str, source: str, small: Pictures, paper: Pictures, table: str) -> Recipe:
    """Return a recipe of Fig. 4.10 of the thesis: pictures decoded from E(x) + noise get the label of x.

    Args:
        title, source, small, paper, table: as of :func:`pictures_of_thesis`.
    """
    return Recipe(
        title=title,
        source=source,
        runs={"judge": common.JUDGE, GAN: Run("selfexgan")},
        scales=thesis_scales(small, paper, table, common.DIGITS32),
        measures=(),
        rows=[Row(label, unit="%", digits=1) for label in (JUDGED, ON_REAL, ON_MADE, ALWAYS)],
        claims=[
            Claim("Synthesized pictures keep the label: the judge agrees with more than half of them",
                  lambda result: result.above(JUDGED, 0.5)),
            Claim("They train a classifier: it is better than always the commonest class",
                  lambda result: result.exceeds(ON_MADE, ALWAYS)),
        ],
        figure=_labeled_figure,
        extra=_labeled,
    )  # fmt: skip


def _labeled(trained: Trained) -> Mapping[str, Number]:
    """Return the judge's agreement with the labels, and accuracies of a linear classifier on real pictures.

    The classifier is a ridge regression on pixels, trained on the sources or on one variation of each.
    """
    import numpy as np
    import torch
    from sklearn.linear_model import RidgeClassifier

    from mien.applications.basics import recognize
    from mien.applications.synthesize import NOISE, noisy
    from mien.applications.variations import directions
    from mien.data.dataset import spread

    opened, judge = trained.open(GAN), trained.judge()
    model: Any = opened.model
    labels = opened.dataset.labels
    assert labels is not None
    train, test = spread(opened.index, SOURCES), spread(opened.splits.test, trained.held_out)
    x, make = opened.dataset.batch(train).x, noisy(model, NOISE)
    draws = directions(len(x), model.latent, trained.seed)
    with torch.inference_mode():
        pairs = zip(torch.split(x, 64), torch.split(draws, 64), strict=True)
        made = torch.cat([make(part.to(trained.device), noise.to(trained.device)).cpu() for part, noise in pairs])
    agree = recognize(judge, made.to(trained.device)).argmax(1).cpu().numpy() == labels[train]

    def correct(pictures: torch.Tensor) -> Number:
        """Return the accuracy on held-out pictures of a classifier that is trained on ``pictures``."""
        classifier = RidgeClassifier(alpha=100.0).fit(pictures.flatten(1).numpy(), labels[train])
        predicted = classifier.predict(opened.dataset.batch(test).x.flatten(1).numpy())
        return common.mean(torch.from_numpy(predicted == labels[test]))

    commonest = np.bincount(labels[train]).argmax()
    return {
        JUDGED: common.mean(torch.from_numpy(agree)),
        ON_REAL: correct(x),
        ON_MADE: correct(made),
        ALWAYS: common.mean(torch.from_numpy(labels[test] == commonest)),
    }


def _labeled_figure(trained: Trained) -> Figure:
    """Draw sources, and below each two variations with its label."""
    import torch

    from mien.applications.synthesize import NOISE
    from mien.applications.variations import variations

    x = trained.pictures(common.SHOWN)
    made = variations(trained.model(GAN), x, [NOISE], 2, trained.seed)[:, 0]  # (B, 2, C, H, W)
    rows = torch.stack([x.cpu(), made[:, 0], made[:, 1]])
    return common.bands(rows, ["real", "variation", "variation"], "pictures and variations with their labels")
