"""Reading and cropping 112-px faces out of JPEG pictures: our two workers against a plain OpenCV loop.

Both read the same pictures from disk, decode them, cut the same square and bring it to 112 x 112: first the box of a
face in each picture, then the whole of pictures that are faces of 112 px already, as aligned sets are. OpenCV is told
to use one thread and resizes by area. Ours is what extraction runs: batches of units, cut by two threads, resized
bicubically with antialiasing, whose pixels are part of every score. The rounds of both take turns, so that a busy
machine slows both alike; processor time a picture tells what either costs where two processors are not to be had.

Run: ``python -m benchmarks.batches [--side 112] [--photos 400] [--rounds 5]``. Wants >= 1.6 on two idle cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from datasets import Dataset
from PIL import Image

from paco_eval.features.batches import BATCH, batches_of, cut_batch
from paco_fr.contracts import CropContract
from paco_fr.faces.crop import crop_transform
from tasks.units import Units

CANVAS = 112
CONTRACT = CropContract("box", margin=0.25, canvas=CANVAS)
WORKERS = 2


def photographs(folder: Path, count: int, side: int) -> list[tuple[Path, np.ndarray]]:
    """Write pictures of smooth colours and noise and return them with a box in each."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        coarse = random.integers(0, 255, (side // 16, side // 16, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), np.int16)
        image = np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        path = folder / f"{number:04d}.jpg"
        Image.fromarray(image).save(path, quality=90)
        x, y = random.uniform(0.3, 0.7, 2) * side
        half = side * 0.2
        found.append((path, np.array([x - half, y - half, x + half, y + half])))
    return found


def ours(photos: list[tuple[Path, np.ndarray]]) -> list[np.ndarray]:
    """Return the crops in batches, as extraction has them."""
    transforms = np.empty((len(photos), 2, 3))
    cells = [{"bytes": None, "path": str(path)} for path, _ in photos]
    units = Units(Dataset.from_dict({}), np.arange(len(photos)), transforms, CANVAS, pd.DataFrame())

    def cut(batch: list[int]) -> np.ndarray:
        for unit in batch:
            transforms[unit] = crop_transform(CONTRACT, box=photos[unit][1])
        return np.stack(list(cut_batch(batch, [cells[unit] for unit in batch], units).values()))

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(cut, batches_of(list(range(len(photos))))))


def plain(photos: list[tuple[Path, np.ndarray]]) -> list[np.ndarray]:
    """Return the crops in the same batches."""
    crops = []
    for path, (x0, y0, x1, y1) in photos:
        image = cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
        side = 1.5 * max(x1 - x0, y1 - y0)
        left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
        right, bottom = round(left + side), round(top + side)
        height, width = image.shape[:2]
        pad = max(0, -left, -top, right - width, bottom - height)
        if pad:
            image = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        cut = image[top + pad : bottom + pad, left + pad : right + pad]
        crops.append(cv2.resize(cut, (CANVAS, CANVAS), interpolation=cv2.INTER_AREA))
    return [np.stack(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, side in (("boxes", asked.side), ("aligned", CANVAS)):
            photos = photographs(Path(folder), asked.photos, side)
            if name == "aligned":  # the box whose square, with its margin, is the whole picture
                near, far = CANVAS / 6 - 0.5, CANVAS * 5 / 6 - 0.5
                photos = [(path, np.array([near, near, far, far])) for path, _ in photos]
            compare(name, photos, side, asked.rounds)


def compare(name: str, photos: list[tuple[Path, np.ndarray]], side: int, rounds: int) -> None:
    difference = np.abs(ours(photos[:8])[0].astype(int) - plain(photos[:8])[0]).mean()
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    busy: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        for who, run in (("ours", ours), ("plain", plain)):
            started, processor = time.perf_counter(), time.process_time()
            run(photos)
            seconds[who].append(time.perf_counter() - started)
            busy[who].append(time.process_time() - processor)
    best = {who: min(times) for who, times in seconds.items()}
    cost = {who: 1e3 * min(times) / len(photos) for who, times in busy.items()}
    print(
        f"{name}: {len(photos)} JPEG of {side} px to crops of {CANVAS}; mean difference {difference:.1f} of 255"
    )
    for who, label in (("ours", f"paco-eval, {WORKERS} workers"), ("plain", "OpenCV loop, 1 thread")):
        rate = len(photos) / best[who]
        print(f"  {label:24} {rate:7.0f} img/s, {cost[who]:.2f} ms of processor time a picture")
    print(f"  ratio {best['plain'] / best['ours']:.2f} (wanted: 1.6)")


if __name__ == "__main__":
    main()
