"""The house style: one ink, hairline grids, labels at the lines, one fixed colour and mark per encoder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from paco_fr.utils.files import atomic_file

INK, MUTED, RULE, PAPER = "#1d2329", "#5d6771", "#d9dee3", "#fefefe"

PALETTE = (
    "#0072b2", "#d55e00", "#00875f", "#b5478a", "#b07900",
    "#3a8fc9", "#6f4bb0", "#7a8b1f", "#8c3b2a", "#2f8f9d",
)  # fmt: skip
"""Okabe and Ito's colours, yellow replaced and extended; told apart with the common colour blindnesses."""

MARKS = ("o", "s", "D", "^", "v", "P")

OWN_COLOUR = {"paco": 0, "mae": 1, "simmim": 2, "farl": 3, "data2vec": 4}
"""Encoder families that always have the same colour."""

GREYS = {"random": "#737d87", "pixels": "#4d565f", "constant": "#868f98"}
"""What learned nothing is grey."""

DASHES: dict[str, Any] = {"random": (0, (5, 1.5)), "pixels": (0, (2, 1)), "constant": (0, (1, 1.5))}
"""Lines of what learned nothing, where curves cross."""


@dataclass(frozen=True)
class Look:
    """Colour and mark of an encoder."""

    colour: str
    mark: str


def family_of(encoder: str) -> str:
    """Return the first word of an encoder's name, which has a colour or dashes of its own, or none."""
    return encoder.replace(":", "-").replace("/", "-").partition("-")[0]


def looks(encoders: Iterable[str]) -> dict[str, Look]:
    """Return a look for every encoder, the same whatever else is in the plot as far as colours go round.

    A family with a colour of its own keeps it; its further members and all others take the free colours in
    alphabetical order, and a new mark each time these are used up.
    """
    names = sorted(set(encoders))
    taken: dict[str, Look] = {}
    for name in names:
        family = family_of(name)
        if family in GREYS:
            earlier = sum(look.colour == GREYS[family] for look in taken.values())
            taken[name] = Look(GREYS[family], MARKS[earlier % len(MARKS)])
        elif family in OWN_COLOUR and PALETTE[OWN_COLOUR[family]] not in {
            look.colour for look in taken.values()
        }:
            taken[name] = Look(PALETTE[OWN_COLOUR[family]], MARKS[0])
    used = {look.colour for look in taken.values()}
    free = [colour for i, colour in enumerate(PALETTE) if colour not in used and i not in OWN_COLOUR.values()]
    for position, name in enumerate(name for name in names if name not in taken):
        turn, place = divmod(position, len(free))
        taken[name] = Look(free[place], MARKS[turn % len(MARKS)])
    return taken


LONGEST_NAME = 36
"""Letters of a name in a figure."""


def short_name(encoder: str) -> str:
    """Return the name of an encoder as a figure has room for it: of a long path its end, which tells runs apart."""
    return encoder if len(encoder) <= LONGEST_NAME else f"…{encoder[1 - LONGEST_NAME :]}"


STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # names are text: a dollar sign in one begins no formula
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text stays text: searchable, and set in the fonts of the page
    "svg.hashsalt": "paco-eval",  # the same picture gives the same bytes
    "pdf.fonttype": 42,  # fonts that print shops and submission sites accept
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style to figures made inside, and to nothing else."""
    with mpl.rc_context(STYLE):
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure (inches) and its axes in reading order; no global state is touched."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def log_axis(axes: Axes) -> None:
    """Make the lower axis logarithmic, its ticks plain text; Matplotlib's own are formulas."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, place: "")


def save(figure: Figure, stem: str | Path, dpi: int = 200) -> tuple[Path, Path, Path]:
    """Write ``stem.png`` on white, ``stem.svg`` and ``stem.pdf`` without a ground, and return their paths."""
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, svg, pdf = (stem.with_name(stem.name + kind) for kind in (".png", ".svg", ".pdf"))
    with house_style():
        with atomic_file(png) as path:
            figure.savefig(path, format="png", dpi=dpi, facecolor=PAPER, metadata={"Software": None})
        with atomic_file(svg) as path:
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        with atomic_file(pdf) as path:
            figure.savefig(
                path, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}
            )
    return png, svg, pdf


def to_svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element without prologue."""
    buffer = io.StringIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
