"""The look of every figure: colors, line styles, type sizes and the unit of length.

Lengths are *points of the page*: 120 to the inch, so that a figure of 864 is 7.2 in wide in print (two
columns of a journal) and 864 CSS px wide on the report page. Figures are rendered at twice that
(:data:`DPI`), and text is never smaller than 6.5 pt.
"""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE_DPI = 120
DPI = 2 * PAGE_DPI
WIDTH = 864  # a figure's usual width in points of the page
TEXT, SMALL = 8.0, 7.0  # type sizes in pt
HINTING = 1.06  # letters as pixels are wider than their outlines by up to this factor

INK, MUTED, RULE, FAINT, PAPER = "#1c2128", "#59636e", "#c9d1d9", "#eaeef2", "#ffffff"
# Okabe and Ito's colors, darkest first; dashes and markers distinguish them in gray
SERIES = ("#0072b2", "#d55e00", "#009e73", "#a8447f", "#b07c00", "#5b5f97")
# twelve colors for classes, each as far as possible from those before it, also for eyes without red or green cones
# (OKLab distance after the simulation of Machado et al. 2009); the first ten differ most
KINDS = (
    "#0072b2", "#d55e00", "#4a1942", "#56b4e9", "#9e2a2b", "#c51b7d",
    "#f08a4b", "#3fa7a0", "#1b2a6b", "#6a3d9a", "#7f1d1d", "#009e73",
)  # fmt: skip
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")

# the names under which the page's style sheet uses these colors
PAGE = {
    "ink": INK,
    "muted": MUTED,
    "rule": RULE,
    "faint": FAINT,
    "paper": PAPER,
    "accent": SERIES[0],
    "warning": SERIES[1],
}

# the color that replaces each one on the report page when the reader's screen is dark
DARK = {
    INK: "#e6edf3",
    MUTED: "#9aa6b2",
    RULE: "#3d4650",
    FAINT: "#262d35",
    PAPER: "#14181d",
    "#0072b2": "#58a9e0",
    "#d55e00": "#f08a4b",
    "#009e73": "#3fc59b",
    "#a8447f": "#e08fbe",
    "#b07c00": "#e0b040",
    "#5b5f97": "#a5a9e6",
    "#4a1942": "#ffe9d0",
    "#56b4e9": "#9bd7ff",
    "#9e2a2b": "#b03a3a",
    "#c51b7d": "#b8408c",
    "#f08a4b": "#a8702a",
    "#3fa7a0": "#bfe86a",
    "#1b2a6b": "#2f6fd0",
    "#6a3d9a": "#e36a6b",
    "#7f1d1d": "#5f78f0",
}

RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure is the same on every machine
    "font.size": TEXT,
    "text.color": INK,
    # names come from users; a dollar sign in a name does not start a formula
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": TEXT,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": SMALL,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.7,
    "figure.facecolor": PAPER,
    "pdf.fonttype": 42,  # letters stay text, as journals require
    "svg.fonttype": "path",
}

_LOCK = threading.RLock()


@contextmanager
def drawing() -> Iterator[None]:
    """Use mien's settings in the block, not those of the user's matplotlibrc, and restore the user's after it.

    matplotlib has one global table of settings, so the blocks of several threads run one after another.
    """
    import matplotlib.style

    with _LOCK, matplotlib.style.context(["default", RC]):
        yield


def blank(width: float, height: float, *, alt: str, dpi: float = DPI) -> tuple[Figure, Axes]:
    """Return an empty figure and invisible axes over all of it, for pictures and words.

    Args:
        width, height: in pixels at ``dpi``; the axes' coordinates are these pixels, with y downwards.
        alt: a description in words, for readers who cannot see the figure.
        dpi: pixels per inch.
    """
    from matplotlib.figure import Figure

    # matplotlib rounds down, and the division may give slightly less than the whole number
    figure = Figure(figsize=((width + 1e-3) / dpi, (height + 1e-3) / dpi), dpi=dpi)
    figure.set_label(alt)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set(xlim=(0, width), ylim=(height, 0))
    sheet.set_axis_off()
    return figure, sheet


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes in ``figure`` at a place in its pixels, from the left and from the top."""
    whole_width, whole_height = figure.get_size_inches() * figure.dpi
    return figure.add_axes(
        (left / whole_width, 1 - (top + height) / whole_height, width / whole_width, height / whole_height)
    )


def label(name: object, width: int = 20, lines: int = 2) -> str:
    """Return a name for display: spaces for underscores, wrapped, cut when it is too long.

    >>> label("Wearing_Necktie")
    'Wearing Necktie'
    >>> label("a name that goes on and on", width=10)
    'a name\\nthat goes…'
    """
    words = str(name).replace("_", " ")
    return "\n".join(textwrap.wrap(words, max(width, 3), max_lines=lines, placeholder="…"))


def text_width(text: str, size: float = TEXT) -> float:
    """Return the width of the widest line of ``text`` at ``size`` pt, in points of the page."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=[str(RC["font.family"])], size=size)
    widths = [text_to_path.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n")]
    return max(widths) * HINTING * PAGE_DPI / 72


def number(value: float) -> str:
    """Return a number for an axis, with a minus sign in place of a hyphen and without trailing zeros.

    >>> number(-0.25), number(0.30000000000000004), number(1e-5)
    ('−0.25', '0.3', '1e−5')
    """
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def count(value: float) -> str:
    """Return a count for an axis, in thousands or millions if it is large.

    >>> count(500), count(20_000), count(2_500_000)
    ('500', '20k', '2.5M')
    """
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return number(value / unit) + name
    return number(value)
