"""What a source of faces looks like: contact sheet, points, distributions, and levels side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from datasets import Dataset
from matplotlib.figure import Figure

from paco_eval.report.plots.pictures import tile
from paco_eval.report.plots.style import house_style, new_figure, save
from paco_fr.contracts import CROPS
from paco_fr.faces.crop import apply as apply_transform
from paco_fr.faces.crop import crop_image, crop_transform
from paco_fr.faces.decode import Pixels, read_image
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import write_text
from paco_fr.utils.untrusted import parse_json

SHEET = 40
SIDE, PHOTO = 112, 128
"""Side of a picture on a sheet, and of a photograph drawn for one, in pixels."""
PANELS = 8
"""Panels of distributions in a row."""


def describe(records: Dataset, out: Path, *, title: str) -> list[Path]:
    """Write the sheets of a source as PNG and SVG and a summary as text; return the files.

    Pictures are spread evenly over the source and shown whole at :data:`SIDE` pixels; what cannot be read is
    counted in the summary.
    """
    chosen = np.unique(np.linspace(0, len(records) - 1, min(SHEET, len(records))).round().astype(int))
    rows = [records[int(row)] for row in chosen]
    drawn, failures = [], []
    for row in rows:
        try:
            drawn.append((row, *_whole(row)))
        except PacoError as error:
            failures.append(f"{row['image_id']}: {error}")
    labels = records.remove_columns(
        [name for name in ("image", "mask") if name in records.column_names]
    ).to_pandas()
    numbers, kinds = _parameters(labels)
    files: list[Path] = []
    with house_style():
        if drawn:
            files += save(_sheet([picture for _, picture, _ in drawn], title), out / "faces")
        if drawn and all(points is not None for _, _, points in drawn):
            placed = [(row, picture, points) for row, picture, points in drawn[:12] if points is not None]
            files += save(_points(placed, title), out / "landmarks")
        if len(numbers) or kinds:
            files += save(_distributions(numbers, kinds, title), out / "distributions")
    summary = _summary(records, labels, numbers, kinds, failures, title)
    write_text(out / "summary.md", summary)
    return [*files, out / "summary.md"]


def describe_levels(out: Path) -> list[Path]:
    """Write a sheet of one synthetic person per row under every level, occluder and light, at five severities."""
    from paco_fr.synthetic import FaceSpec, face_parameters, render
    from paco_fr.synthetic.spec import LEVELS, TEST_LIGHTS, TEST_OCCLUDERS, TRAIN_LIGHTS, TRAIN_OCCLUDERS

    severities = [0.0, 0.25, 0.5, 0.75, 1.0]
    base: dict[str, Any] = {"identities": 8, "images_per_identity": 1, "seed": 0, "photo_size": PHOTO}
    lines: list[tuple[str, list[dict[str, Any]]]] = [
        (f"level {level}", [{"level": level}] * 5) for level in LEVELS
    ]
    lines += [
        (
            f"occluder {kind}",
            [{"occluders": (kind,), "occluder_share": 1.0, "occluder_severity": s} for s in severities],
        )
        for kind in (*TRAIN_OCCLUDERS, *TEST_OCCLUDERS)
    ]
    lines += [
        (f"light {kind}", [{"lights": (kind,), "light_severity": s} for s in severities])
        for kind in (*TRAIN_LIGHTS, *TEST_LIGHTS)
    ]
    ratio = SIDE / PHOTO
    scale = np.array([[ratio, 0.0, (ratio - 1) / 2], [0.0, ratio, (ratio - 1) / 2]])
    figure, axes = new_figure(6.4, 1.16 * len(lines), rows=len(lines), columns=1)
    for number, (axis, (name, looks)) in enumerate(zip(axes, lines, strict=True)):
        people = [number % 8] * 5 if not name.startswith("level") else list(range(5))
        shown = [
            render(face_parameters(FaceSpec(**base, **look), person), SIDE, scale).image
            for person, look in zip(people, looks, strict=True)
        ]
        axis.imshow(tile(np.stack(shown)[None], 2))
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_title("five faces of a level; then one face at severity 0, 0.25, 0.5, 0.75, 1", fontsize=9)
    return list(save(figure, out / "levels"))


def _whole(row: Mapping[str, Any]) -> tuple[Pixels, npt.NDArray[np.float64] | None]:
    image = read_image(row["image"])
    transform = crop_transform(CROPS["whole"], image_size=image.shape[:2])
    transform = np.asarray(transform) * (SIDE / CROPS["whole"].canvas)
    points = row.get("landmarks")
    moved = None if points is None else apply_transform(transform, points)
    return crop_image(image, transform, SIDE), moved


def _sheet(pictures: list[Pixels], title: str) -> Figure:
    columns = 8
    blank = np.full_like(pictures[0], 255)
    padded = pictures + [blank] * (-len(pictures) % columns)
    grid = np.stack(padded).reshape(-1, columns, *pictures[0].shape)
    figure, (axis,) = new_figure(10.0, 10.0 * grid.shape[0] / columns + 0.4)
    axis.imshow(tile(grid, 2))
    axis.set_title(title)
    axis.set_axis_off()
    return figure


def _points(drawn: list[tuple[Mapping[str, Any], Pixels, npt.NDArray[np.float64]]], title: str) -> Figure:
    rows = -(-len(drawn) // 4)
    figure, axes = new_figure(10.0, 2.55 * rows + 0.4, rows=rows, columns=4)
    for axis in axes:
        axis.set_axis_off()
    for axis, (row, picture, points) in zip(axes, drawn, strict=False):
        seen = np.asarray(row.get("visible") or np.ones(len(points)), dtype=bool)
        axis.imshow(picture)
        axis.scatter(points[seen, 0], points[seen, 1], s=5, c="#4fe3a1", linewidths=0)
        axis.scatter(
            points[~seen, 0], points[~seen, 1], s=7, facecolors="none", edgecolors="#ff5d5d", linewidths=0.6
        )
        angles = [
            f"{name} {row[name]:+.0f}°" for name in ("yaw", "pitch", "roll") if row.get(name) is not None
        ]
        axis.set_title("  ".join(angles), fontsize=7.5)
    figure.suptitle(f"{title}: filled points are visible, hollow ones hidden", fontsize=9)
    return figure


def _parameters(labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Counter[str]]]:
    """Return numeric columns and counts of the others, those inside ``parameters`` included."""
    numbers = {name: labels[name] for name in ("yaw", "pitch", "roll", "detector_score") if name in labels}
    kinds = {
        name: Counter(labels[name].astype(str))
        for name in ("occluder", "light", "split", "media")
        if name in labels
    }
    if "parameters" in labels:
        flat = pd.DataFrame(
            [dict(_flat(parse_json(cell, "parameters of a face"))) for cell in labels["parameters"]]
        )
        for name in flat.columns:
            if pd.api.types.is_bool_dtype(flat[name]) or not pd.api.types.is_numeric_dtype(flat[name]):
                values = flat[name].dropna().astype(str)
                if values.nunique() <= 20:
                    kinds[name] = Counter(values)
            else:
                numbers[name] = flat[name]
    return pd.DataFrame(numbers), kinds


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else key)
    elif not isinstance(value, list):
        yield name, value


def _distributions(numbers: pd.DataFrame, kinds: Mapping[str, Counter[str]], title: str) -> Figure:
    count = len(numbers.columns) + len(kinds)
    rows = -(-count // PANELS)
    figure, axes = new_figure(14.0, 1.25 * rows + 0.5, rows=rows, columns=PANELS)
    for axis in axes[count:]:
        axis.set_axis_off()
    for axis, name in zip(axes, numbers.columns, strict=False):
        axis.hist(numbers[name].dropna(), bins=30, color="#0072b2")
        axis.set_title(name, fontsize=7)
    for axis, (name, counter) in zip(axes[len(numbers.columns) :], kinds.items(), strict=False):
        found = sorted(counter.items())
        axis.barh([text for text, _ in found], [number for _, number in found], color="#009e73")
        axis.set_title(name, fontsize=7)
    for axis in axes[:count]:
        axis.tick_params(labelsize=6)
        axis.set_yticks(axis.get_yticks() if axis in axes[len(numbers.columns) : count] else [])
    figure.suptitle(f"{title}: every parameter", fontsize=9)
    return figure


def _summary(
    records: Dataset, labels: pd.DataFrame, numbers: pd.DataFrame, kinds: Mapping[str, Counter[str]],
    failures: list[str], title: str,
) -> str:  # fmt: skip
    lines = [f"# {title}", "", f"- pictures: {len(records)}", f"- groups: {labels['group'].nunique()}"]
    lines += [f"- columns: {', '.join(records.column_names)}"]
    lines += [
        f"- {name}: {', '.join(f'{k} {n}' for k, n in sorted(counter.items()))}"
        for name, counter in kinds.items()
    ]
    if len(numbers.columns):
        lines += ["", "| parameter | min | mean | max |", "|---|---:|---:|---:|"]
        lines += [
            f"| {n} | {numbers[n].min():.3g} | {numbers[n].mean():.3g} | {numbers[n].max():.3g} |"
            for n in numbers
        ]
    if failures:
        lines += ["", f"## {len(failures)} of the {SHEET} pictures looked at could not be read", ""]
        lines += [f"- {failure}" for failure in failures]
    return "\n".join(lines) + "\n"
