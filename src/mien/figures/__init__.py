"""Figures of what models do: one function for each kind of figure, and the page that shows them.

A function takes arrays (pictures as floats (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C), C 1 or 3) and
returns a matplotlib figure. :func:`save` writes it; :func:`page` puts many into one HTML file. The import
loads neither torch nor matplotlib.
"""

from mien.figures.bars import accuracy_bars, probabilities
from mien.figures.curves import amount_curves, curves
from mien.figures.grids import (
    attribute_edits,
    counterfactuals,
    interpolation,
    reconstructions,
    samples,
    sheet,
)
from mien.figures.histograms import face_distances, face_landmarks
from mien.figures.maps import decoded_grid, latent_scatter, picture_grid
from mien.figures.matrices import confusion_matrix
from mien.figures.page import Captioned, Section, page
from mien.figures.saving import save
from mien.figures.tables import Table, metric_table

__all__ = [
    "Captioned",
    "Section",
    "Table",
    "accuracy_bars",
    "amount_curves",
    "attribute_edits",
    "confusion_matrix",
    "counterfactuals",
    "curves",
    "decoded_grid",
    "face_distances",
    "face_landmarks",
    "interpolation",
    "latent_scatter",
    "metric_table",
    "page",
    "picture_grid",
    "probabilities",
    "reconstructions",
    "samples",
    "save",
    "sheet",
]
