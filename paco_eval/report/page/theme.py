"""One set of colours for figures and page: hexadecimal in files, CSS variables with a dark twin in HTML."""

from __future__ import annotations

import re

from paco_eval.report.plots.style import GREYS, INK, MUTED, PALETTE, PAPER, RULE

_DARK_PALETTE = (
    "#4da3dc",
    "#f0813c",
    "#35b98f",
    "#dc7fb4",
    "#dba63a",
    "#86c3f0",
    "#a288e0",
    "#a9bb4d",
    "#d07a66",
    "#62bfcc",
)

COLOURS: dict[str, tuple[str, str]] = {
    INK: ("--ink", "#e7eaed"),
    MUTED: ("--muted", "#a3adb7"),
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
    """Return CSS text with the house colours replaced by their variables."""
    pattern = "|".join(map(re.escape, COLOURS))
    return re.sub(pattern, lambda found: f"var({COLOURS[found.group()][0]})", text)
