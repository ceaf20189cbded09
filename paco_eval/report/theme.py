"""One set of colours for figures and page: hexadecimal in files, CSS variables with a dark twin in HTML."""

from __future__ import annotations

import re

from paco_eval.report.plots.style import GREYS, INK, MUTED, PALETTE, PAPER, RULE

_DARK_PALETTE = (
    "#4da3dc", "#f0813c", "#35b98f", "#dc7fb4", "#dba63a",
    "#86c3f0", "#a288e0", "#a9bb4d", "#d07a66", "#62bfcc",
)  # fmt: skip

COLOURS: dict[str, tuple[str, str]] = {
    INK: ("--ink", "#e7eaed"),
    MUTED: ("--muted", "#98a3ae"),
    RULE: ("--rule", "#2f363d"),
    PAPER: ("--paper", "#14181c"),
    **{light: (f"--c{i}", dark) for i, (light, dark) in enumerate(zip(PALETTE, _DARK_PALETTE, strict=True))},
    GREYS["random"]: ("--c-random", "#8d97a1"),
    GREYS["pixels"]: ("--c-pixels", "#b3bbc3"),
    GREYS["constant"]: ("--c-constant", "#808a94"),
}
"""Colour on a light ground: the name of its variable and its twin on a dark ground."""


def variables() -> str:
    """Return the CSS declarations of all colours."""
    return " ".join(f"{name}: light-dark({light}, {dark});" for light, (name, dark) in COLOURS.items())


def themed(text: str) -> str:
    """Return CSS or SVG text with the house colours replaced by their variables."""
    pattern = "|".join(map(re.escape, COLOURS))
    return re.sub(pattern, lambda found: f"var({COLOURS[found.group()][0]})", text)


def inline_svg(svg: str, name: str, label: str) -> str:
    """Return an SVG of matplotlib made fit for a page: its fonts, its colours, its width, ids of its own.

    Args:
        svg: from :func:`paco_eval.report.plots.style.to_svg`.
        name: no other figure of the page has it; letters, digits and hyphens.
        label: says in words what the figure shows; must be escaped already.

    """
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg).group(1))  # type: ignore[union-attr]
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda at: f' id="{name}-{at[1]}"' if at[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(\d\.\d\d)\d+", r"\1", svg)  # of a point; a third of the size of a page is further digits
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head).group()  # type: ignore[union-attr]
    style = f"max-width: {1.3 * width:.0f}px"
    opening = '<svg xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
    return f'{opening} {box} aria-label="{label}" style="{style}">{themed(body)}'
