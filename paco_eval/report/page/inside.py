"""Inside the checkpoints: what a run hid, believed and learnt, as pictures for the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from paco_eval.report.charts.panels import Chart
from paco_eval.report.charts.training import run_charts
from paco_eval.report.page.faces import data_address
from paco_eval.report.plots.pictures import perplexity, tile
from paco_eval.rows.artefacts import Pretraining, load_arrays
from paco_fr.utils.errors import PacoError
from paco_fr.utils.progress import tracked

Pictures = npt.NDArray[np.uint8]

FACES = 6
"""Faces in a row of pictures."""
MOST = 4
"""Checkpoints that are looked into, those highest in the table."""
FRAME = (213, 94, 0)
"""Colour of the patch that the belief is asked about."""


@dataclass(frozen=True)
class Sheet:
    """Named rows of pictures, each row one image.

    Attributes:
        title: what is to be seen.
        rows: name and address of the picture.
        width: of the pictures, pixels.
        caption: in words.

    """

    title: str
    rows: tuple[tuple[str, str], ...]
    width: int
    caption: str = ""


@dataclass(frozen=True)
class Inside:
    """One checkpoint.

    Attributes:
        label: its line in the tables; empty where it was not measured.
        name: as shown.
        run: its folder.
        card: facts about it.
        sheets: pictures.
        charts: curves of its training.
        absent: sentences about what is not there.

    """

    label: str
    name: str
    run: Pretraining
    card: tuple[tuple[str, str], ...]
    sheets: tuple[Sheet, ...]
    charts: tuple[Chart, ...]
    absent: tuple[str, ...] = ()


def checkpoint_of(encoder: str, shipped: Path) -> Path | None:
    """Return the folder of an encoder that this package trained, where it is at hand."""
    folder = Path(encoder.removeprefix("paco:")) if encoder.startswith("paco:") else shipped / encoder
    known = encoder.startswith("paco:") or encoder == folder.name
    return folder if known and (folder / "card.json").is_file() else None


def look_inside(
    runs: Sequence[tuple[str, str, Pretraining]], problem: Callable[[str], None], *, most: int = MOST
) -> list[Inside]:
    """Return what there is to see of checkpoints.

    Args:
        runs: label, name and folder, in the order of the table.
        problem: told what could not be read.
        most: so many are run on a few faces; the others show what their training left.

    """
    made = []
    for place, (label, name, run) in enumerate(tracked(runs, "looking into checkpoints", unit="checkpoint")):
        try:
            card = run.card()
        except PacoError as error:
            problem(str(error))
            card = {}
        sheets: list[Sheet] = []
        for maker in (
            (_live, _over_training, _reconstruction, _codebook)
            if place < most
            else (_over_training, _reconstruction, _codebook)
        ):
            if maker is _reconstruction and sheets:
                continue  # the same is seen live, or over the training
            if maker is _codebook and any(sheet.title == CODEBOOK for sheet in sheets):
                continue
            try:
                sheets += maker(run)
            except PacoError as error:
                problem(str(error))
        absent = () if (run.folder / "metrics.jsonl").exists() else ("its training left no curves here",)
        facts = tuple((key.replace("_", " "), text) for key, value in card.items() if (text := _plain(value)))
        made.append(
            Inside(
                label, name, run, facts, tuple(sheets), tuple(run_charts(run, label or name, problem)), absent
            )
        )
    return made


def _plain(value: Any) -> str:
    """Return a value of a card as short text; nested ones are left to the file itself."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return value if isinstance(value, str) else ""


def _row(pictures: Pictures) -> str:
    """Return pictures (n, S, S, 3) side by side as one address."""
    gap = max(2, pictures.shape[1] // 16)
    return data_address(Image.fromarray(tile(pictures[None, :FACES], gap)), quality=80)


def sheet(title: str, rows: Mapping[str, Pictures], caption: str = "") -> Sheet:
    """Return named rows of equally many pictures (n, S, S, 3) uint8."""
    side, count = next(iter(rows.values())).shape[1], min(FACES, len(next(iter(rows.values()))))
    gap = max(2, side // 16)
    width = count * (side + gap) - gap
    return Sheet(title, tuple((name, _row(pictures)) for name, pictures in rows.items()), width, caption)


CODEBOOK = "The codebook on the face"


def _live(run: Pretraining) -> Iterable[Sheet]:
    """Yield masks, what the belief fills in, and where it looks, on faces that no run has seen."""
    weights = run.folder / "model.safetensors"
    if weights.is_file():
        yield from _of_weights(run.folder, weights.stat().st_mtime_ns)


@lru_cache(maxsize=2 * MOST)
def _of_weights(folder: Path, changed: int) -> tuple[Sheet, ...]:
    """Return the sheets of weights that were last changed then; a process that builds several pages runs them once."""
    return tuple(_seen(folder))


def _seen(folder: Path) -> Iterable[Sheet]:
    from paco_eval.report.inspect.checkpoint import views_of

    views, _, _ = views_of(folder, FACES)
    rows = dict(views.rows)
    if views.looked is not None and views.cells is not None:
        rows["looked at for the framed patch"] = attention(views.rows["face"], views.looked, views.cells)
    yield sheet("Hidden, believed, decoded", rows, "Synthetic faces that no training and no benchmark has.")
    if views.filled is not None:
        kept = {name: rows_ for name, rows_ in views.filled.rows.items() if name not in ("clean", "hidden")}
        right = (
            f"The belief chose the token of the true patch in {views.filled.right:.0f} % of covered places."
        )
        yield sheet("What the belief fills in under a mask", kept, right)
    if views.codebook is not None:
        yield _atlas(*views.codebook)


def attention(faces: Pictures, looked: npt.NDArray[np.floating], cells: npt.NDArray[np.int64]) -> Pictures:
    """Return faces (n, S, S, 3), the darker the less a place was looked at, the asked patch framed."""
    shown = faces.astype(np.float64).copy()
    side, grid = faces.shape[1], round(looked.shape[1] ** 0.5)
    patch = side // grid
    for face, (heat, cell) in enumerate(zip(looked, cells, strict=True)):
        light = np.kron(np.sqrt(heat / max(1e-9, heat.max())).reshape(grid, grid), np.ones((patch, patch)))
        shown[face] *= (0.2 + 0.8 * light)[..., None]
        y, x = (int(at) * patch for at in divmod(int(cell), grid))
        for rows, columns in (
            (slice(y, y + patch), slice(x, x + 1)),
            (slice(y, y + patch), slice(x + patch - 1, x + patch)),
            (slice(y, y + 1), slice(x, x + patch)),
            (slice(y + patch - 1, y + patch), slice(x, x + patch)),
        ):
            shown[face, rows, columns] = FRAME
    return shown.round().astype(np.uint8)


def _over_training(run: Pretraining) -> Iterable[Sheet]:
    """Yield the same pictures and masks ever later in the run."""
    end = load_arrays(run.folder / "reconstruction.npz", "reconstruction")
    kept = sorted((run.folder / "sheets").glob("*.npz"))
    if end is None or not kept:
        return
    rows = {"face": end["original"], "hidden": end["corrupted"]}
    for path in kept:
        found = load_arrays(path, "reconstruction")
        if found is not None and path.stem.isdigit():
            rows[f"step {int(path.stem):,}"] = found["reconstructed"]
    rows["at the end"] = end["reconstructed"]
    yield sheet("Learning to fill in", rows, "The same pictures and masks, ever later in its training.")


def _reconstruction(run: Pretraining) -> Iterable[Sheet]:
    found = load_arrays(run.folder / "reconstruction.npz", "reconstruction")
    if found is not None:
        rows = {"face": found["original"], "corrupted": found["corrupted"], "decoded": found["reconstructed"]}
        yield sheet("Reconstruction", rows)


def _codebook(run: Pretraining) -> Iterable[Sheet]:
    found = load_arrays(run.folder / "codebook.npz", "codebook")
    if found is not None:
        try:
            yield _atlas(found["tokens"], found["usage"])
        except ValueError as error:
            raise PacoError(f"{run.folder / 'codebook.npz'}: {error}.") from error


def _atlas(tokens: Pictures, usage: npt.NDArray[np.floating], side: int = 3) -> Sheet:
    """Return the codebook where its tokens belong: the most used of every cell, and the ``side`` squared most used.

    Args:
        tokens: (N, K, P, P, 3) uint8, N a square number, row-major over the face.
        usage: (N, K) counts or shares.
        side: tokens per cell and direction; less where K is small.

    """
    cells, codes, patch = tokens.shape[:3]
    grid = round(cells**0.5)
    if grid * grid != cells or usage.shape != (cells, codes):
        raise ValueError(f"tokens {tokens.shape} and usage {usage.shape} are not a square grid of codebooks")
    side = min(side, int(codes**0.5))
    order = np.argsort(-usage, axis=1, kind="stable")
    best = tokens[np.arange(cells), order[:, 0]].reshape(grid, grid, patch, patch, 3)
    chosen = np.take_along_axis(tokens, order[:, : side * side, None, None, None], axis=1)
    mosaic = chosen.reshape(cells, side, side, patch, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    mosaic = mosaic.reshape(grid, grid, side * patch, side * patch, 3)
    effective = perplexity(usage)
    whole = Image.fromarray(tile(mosaic, max(2, patch // 3)))
    face = Image.fromarray(tile(best, 0)).resize((2 * grid * patch,) * 2, Image.Resampling.NEAREST)
    both = Image.new("RGBA", (face.width + 16 + whole.width, max(face.height, whole.height)))
    both.paste(face, (0, 0))
    both.paste(whole, (face.width + 16, 0))
    caption = (
        f"Left: the most used token of each of {cells} places, which together look like a face. Right: the "
        f"{side * side} most used of each. Of {codes} tokens a place {effective.min():.0f} to {effective.max():.0f} are in "
        f"real use, {effective.mean():.0f} on average (perplexity)."
    )
    return Sheet(CODEBOOK, (("", data_address(both, 85)),), both.width, caption)
