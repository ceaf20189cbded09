"""Charts as inline SVG: small, in the colours and fonts of the page, every mark named by its encoder.

Coordinates are pixels of the page. Colours come from classes (``e0``, ``e1``, ... for encoders), so one drawing serves
light, dark and paper; text is in ink alone, never in the colour of a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

from paco_eval.report.charts.panels import Cells, Curve, Dots, Lines, Panel, limits, nice_ticks

WIDTH, HEIGHT = 268, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 34, 34
LETTER = 6.0
"""Width of a letter below an axis, of wide ones rather than of narrow ones."""

MARKS = (
    "M-3.6,0a3.6,3.6 0 1,0 7.2,0a3.6,3.6 0 1,0 -7.2,0Z",
    "M-3.2-3.2H3.2V3.2H-3.2Z",
    "M0-4.6L4.6,0L0,4.6L-4.6,0Z",
    "M0-4.4L4.2,3.2H-4.2Z",
    "M0,4.4L4.2-3.2H-4.2Z",
    "M-4-1.3H-1.3V-4H1.3V-1.3H4V1.3H1.3V4H-1.3V1.3H-4Z",
)
"""Shapes of marks, by number: encoders are told apart without their colours, too."""


def number(value: float) -> str:
    """Return a coordinate with a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _at(x: float, y: float) -> str:
    return f"{number(x)},{number(y)}"


class Ids:
    """Place and mark of every line of the page."""

    def __init__(self, labels: Sequence[str], names: Mapping[str, str] | None = None) -> None:
        self._place = {label: place for place, label in enumerate(labels)}
        self._names = names or {}

    def place(self, label: str) -> int | None:
        """Return the number of a line, None for one that no table has."""
        return self._place.get(label)

    def name(self, label: str) -> str:
        """Return what the line is called."""
        return self._names.get(label, label)

    def attributes(self, label: str) -> str:
        """Return class and data of what belongs to a line."""
        place = self.place(label)
        return 'class="e"' if place is None else f'class="e e{place}" data-e="{place}"'

    def mark(self, label: str) -> str:
        """Return the shape of a line's marks."""
        return MARKS[(self.place(label) or 0) % len(MARKS)]


def panel_svg(panel: Panel, ids: Ids) -> Markup:
    """Return one panel as an ``<svg>`` element; all text from data is escaped."""
    if isinstance(panel, Lines):
        return _lines(panel, ids)
    return _dots(panel, ids) if isinstance(panel, Dots) else _cells(panel)


def _svg(width: float, height: float, label: str, body: Sequence[str]) -> Markup:
    size = f'viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}" height="{number(height)}"'
    return Markup(f'<svg class="chart" {size} role="img" aria-label="{escape(label)}">{"".join(body)}</svg>')


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "") -> str:
    css = f' class="{style}"' if style else ""
    end = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{number(x)}" y="{number(y)}"{css}{end}>{escape(text)}</text>'


def _said(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _lines(panel: Lines, ids: Ids) -> Markup:
    xs = [x for curve in panel.curves for x in curve.x] + [x for x, _ in panel.ticks]
    ys = [value for curve in panel.curves for value in (*curve.y, *curve.low, *curve.high)]
    left, right = (min(xs), max(xs)) if xs else (0.0, 1.0)
    low, high = limits(ys) if panel.top is None else (0.0, panel.top)
    if panel.top is None and low < 0 <= min((y for y in ys if math.isfinite(y)), default=0):
        low = 0.0
    pad = 0.0 if panel.dense else 0.04 * (right - left or 1.0)
    scale_x: Callable[[float], float] = math.log10 if panel.log else float
    a, b = (scale_x(left), scale_x(right)) if panel.log else (left - pad, right + pad)

    def px(x: float) -> float:
        return LEFT + (scale_x(x) - a) / ((b - a) or 1.0) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / ((high - low) or 1.0) * (HEIGHT - TOP - BOTTOM)

    body = [_text(0, 12, panel.title, "t"), _text(0, 26, panel.ylabel, "m")]
    for tick in nice_ticks(low, high):
        y = py(tick)
        body.append(f'<path class="g" d="M{LEFT},{number(y)}H{WIDTH - RIGHT}"/>')
        body.append(_text(LEFT - 5, y + 3.5, _said(tick), "m", "end"))
    ticks = panel.ticks or tuple(
        (x, _said(x))
        for x in (
            [10.0**n for n in range(math.ceil(a), math.floor(b) + 1)]
            if panel.log
            else nice_ticks(left, right)
        )
    )
    for x, name in ticks:
        first, _, second = name.partition("\n")
        body.append(_text(_inside(px(x), first), HEIGHT - BOTTOM + 13, first, "m", "middle"))
        if second:
            body.append(_text(_inside(px(x), second), HEIGHT - BOTTOM + 24, second, "m", "middle"))
    double = any("\n" in name for _, name in ticks)
    body.append(
        _text(
            (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - (0 if double else 6) - 1 + (10 if double else 0),
            panel.xlabel,
            "m",
            "middle",
        )
    )
    body += [_curve(curve, panel, ids, px, py) for curve in panel.curves]
    return _svg(
        WIDTH, HEIGHT + (12 if double else 0), f"{panel.title}: {panel.ylabel} by {panel.xlabel}.", body
    )


def _inside(x: float, text: str) -> float:
    """Return where the middle of a text may lie, so that it is not cut off at either edge."""
    half = LETTER * len(text) / 2
    return max(half, min(x, WIDTH - half))


def _curve(
    curve: Curve, panel: Lines, ids: Ids, px: Callable[[float], float], py: Callable[[float], float]
) -> str:
    points = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(y)]
    if not points:
        return ""
    parts = [f"<g {ids.attributes(curve.label)}><title>{escape(ids.name(curve.label))}</title>"]
    banded = [
        (x, low, high)
        for x, low, high in zip(curve.x, curve.low, curve.high, strict=False)
        if math.isfinite(low) and math.isfinite(high)
    ]
    if len(banded) > 1:
        there = [_at(px(x), py(high)) for x, _, high in banded]
        back = [_at(px(x), py(low)) for x, low, _ in reversed(banded)]
        parts.append(f'<path class="b" d="M{" ".join([*there, *back])}Z"/>')
    parts.append(f'<path class="l" d="M{" ".join(_at(px(x), py(y)) for x, y in points)}"/>')
    if not panel.dense:
        names = dict(panel.ticks)
        for x, y in points:
            told = escape(
                f"{ids.name(curve.label)}, {names.get(x, _said(x))}: {_said(y)}".replace("\n", ", ")
            )
            place = f'transform="translate({_at(px(x), py(y))})"'
            parts.append(f'<path class="p" {place} d="{ids.mark(curve.label)}"><title>{told}</title></path>')
    return "".join([*parts, "</g>"])


def _dots(panel: Dots, ids: Ids) -> Markup:
    """Draw dots with intervals, names at the left, numbers at the right."""
    ends = [value for _, *numbers in panel.points for value in numbers]
    low, high = limits(ends)
    side, row, height = 150, 18, 40 + 18 * len(panel.points)
    width = 420

    def px(x: float) -> float:
        return side + (x - low) / ((high - low) or 1.0) * (width - side - 52)

    body = [_text(0, 12, panel.title, "t")]
    for tick in nice_ticks(low, high):
        body.append(f'<path class="g" d="M{number(px(tick))},22V{height - 18}"/>')
        body.append(_text(px(tick), height - 6, _said(tick), "m", "middle"))
    for place, (label, value, start, end) in enumerate(panel.points):
        y = 31 + row * place
        said = f"{value:.{panel.decimals}f}".replace("-", "−") if math.isfinite(value) else "undefined"
        body += [_text(side - 8, y + 4, _short(ids.name(label)), "", "end"), f"<g {ids.attributes(label)}>"]
        if math.isfinite(start):
            body.append(f'<path class="i" d="M{number(px(start))},{y}H{number(px(end))}"/>')
        if math.isfinite(value):
            body.append(f'<path class="p" transform="translate({_at(px(value), y)})" d="{ids.mark(label)}"/>')
        body += ["</g>", _text(width - 44, y + 4, said)]
    return _svg(width, height, f"{panel.title}: {panel.xlabel}.", body)


def _short(name: str, letters: int = 22) -> str:
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def _cells(panel: Cells) -> Markup:
    rows, columns = panel.shades.shape
    side = max(24, min(34, 300 // max(rows, columns)))
    left = 12 + 6 * max((len(name) for name in panel.rows), default=0)
    body = [_text(0, 12, panel.title, "t"), _text(0, 26, panel.ylabel, "m")]
    for i in range(rows):
        y = 34 + side * i
        body.append(_text(left - 6, y + side / 2 + 3.5, panel.rows[i], "m", "end"))
        for j in range(columns):
            shade = float(panel.shades[i, j])
            shown = 0.0 if not math.isfinite(shade) else min(1.0, max(0.0, shade))
            x = left + side * j
            body.append(
                f'<rect class="h" x="{x}" y="{y}" width="{side - 1}" height="{side - 1}" style="--a:{0.04 + 0.96 * shown:.2f}"/>'
            )
            tone = "on" if shown > 0.5 else ""
            body.append(_text(x + (side - 1) / 2, y + side / 2 + 3.5, panel.texts[i][j], tone, "middle"))
    foot = 34 + side * rows
    turned = any(len(name) > 4 for name in panel.columns)
    for j, name in enumerate(panel.columns):
        x = left + side * j + side / 2
        if turned:
            place_ = f'transform="translate({_at(x + 3, foot + 10)}) rotate(-40)"'
            body.append(f'<text class="m" text-anchor="end" {place_}>{escape(name)}</text>')
        else:
            body.append(_text(x, foot + 12, name, "m", "middle"))
    down = 6 + 4.2 * max((len(name) for name in panel.columns), default=0) if turned else 14
    body.append(_text(left + side * columns / 2, foot + down + 14, panel.xlabel, "m", "middle"))
    return _svg(
        left + side * columns + 8, foot + down + 20, f"{panel.title}: {panel.ylabel}, {panel.xlabel}.", body
    )


STRIP = 150
"""Pixels of a strip in a table of strips."""


def strip(
    label: str,
    value: float,
    low: float,
    high: float,
    ends: tuple[float, float],
    band: tuple[float, float] | None,
    ids: Ids,
    *,
    better_left: bool,
    zero: float | None = None,
    hollow: bool = False,
    told: str = "",
) -> Markup:
    """Return a value with its interval on the common scale of a column, better to the right.

    Args:
        label: line of the table.
        value: finite.
        low: lower end of its interval, NaN for none.
        high: upper end.
        ends: of the scale.
        band: interval of the best one, shaded through the column; None for none.
        ids: of the page.
        better_left: whether smaller is better, so that the scale runs the other way.
        zero: where a line is drawn through the column.
        hollow: whether the mark is drawn without filling, as nothing can be said of it.
        told: in words.

    """
    least, most = ends

    def px(x: float) -> float:
        share = (x - least) / ((most - least) or 1.0)
        return 6 + (1 - share if better_left else share) * (STRIP - 12)

    body = []
    if band is not None and np.isfinite(band).all():
        a, b = sorted((px(band[0]), px(band[1])))
        body.append(f'<rect class="band" x="{number(a)}" y="0" width="{number(max(1, b - a))}" height="24"/>')
    body.append(f'<path class="g" d="M0,12H{STRIP}"/>')
    if zero is not None:
        body.append(f'<path class="z" d="M{number(px(zero))},0V24"/>')
    body.append(f"<g {ids.attributes(label)}>")
    if not least <= value <= most:
        edge = 1 if px(value) < 0 else STRIP - 1
        body.append(f'<path class="p" d="M{edge},12l{5 if edge == 1 else -5}-4v8Z"/></g>')
        opening = f'<svg class="strip" viewBox="0 0 {STRIP} 24" width="{STRIP}" height="24" role="img"'
        return Markup(
            f'{opening} aria-label="{escape(told)}"><title>{escape(told)}</title>{"".join(body)}</svg>'
        )
    if math.isfinite(low) and math.isfinite(high):
        a, b = sorted(min(max(px(end), 0.0), STRIP) for end in (low, high))
        body.append(f'<path class="i" d="M{number(a)},12H{number(b)}"/>')
    css = "p o" if hollow else "p"
    body.append(
        f'<path class="{css}" transform="translate({_at(px(value), 12)})" d="{ids.mark(label)}"/></g>'
    )
    opening = f'<svg class="strip" viewBox="0 0 {STRIP} 24" width="{STRIP}" height="24" role="img" aria-label="{escape(told)}">'
    return Markup(f"{opening}<title>{escape(told)}</title>{''.join(body)}</svg>")


def strip_axis(ends: tuple[float, float], *, better_left: bool, wanted: int = 3) -> Markup:
    """Return the axis under a column of strips."""
    least, most = ends
    body = []
    for tick in nice_ticks(least, most, wanted):
        share = (tick - least) / ((most - least) or 1.0)
        x = 6 + (1 - share if better_left else share) * (STRIP - 12)
        body.append(f'<path class="g" d="M{number(x)},0V4"/>')
        body.append(_text(min(max(x, 10), STRIP - 10), 15, _said(tick), "m", "middle"))
    opening = f'<svg class="strip" viewBox="0 0 {STRIP} 18" width="{STRIP}" height="18" aria-hidden="true">'
    return Markup(f"{opening}{''.join(body)}</svg>")


def swatch(label: str, ids: Ids) -> Markup:
    """Return the mark of a line, to stand before its name."""
    return Markup(
        f'<svg class="swatch" width="22" height="12" viewBox="0 0 22 12" aria-hidden="true"><g {ids.attributes(label)}>'
        f'<path class="l" d="M0,6H22"/><path class="p" transform="translate(11,6)" d="{ids.mark(label)}"/></g></svg>'
    )
