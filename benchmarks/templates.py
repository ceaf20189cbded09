"""Scoring of a set the size of IJB-C: pooling, comparison of all pairs, TAR at FAR 1e-6 to 1e-1.

469,375 embeddings of 512 numbers, 23,124 templates, 15.7 million pairs, all random. Prints the time of each
phase and the highest memory of the process. Run: ``python -m benchmarks.templates [--scale 0.1]``.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from tasks.kinds.shared.embeddings import pooled
from tasks.kinds.templates import FARS, compare, tar_at, tar_near
from tasks.lists import PairList

PICTURES, TEMPLATES, GENUINE, IMPOSTOR, DIM = 469_375, 23_124, 19_557, 15_638_932, 512


def made_set(scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, PairList]:
    """Return embeddings that lean towards their template's person, their columns, and the pairs."""
    rng = np.random.default_rng(0)
    pictures, templates = int(PICTURES * scale), max(20, int(TEMPLATES * scale))
    genuine, impostor = int(GENUINE * scale), int(IMPOSTOR * scale**2)
    others = rng.integers(0, templates, pictures - templates)
    template = np.sort(np.concatenate([np.arange(templates), others]))
    media = template * 8 + rng.integers(0, 8, pictures)
    people = rng.standard_normal((templates // 2 + 1, DIM), dtype=np.float32)
    embeddings = rng.standard_normal((pictures, DIM), dtype=np.float32)
    for start in range(0, pictures, 16_384):
        part = slice(start, start + 16_384)
        embeddings[part] = 10.0 * embeddings[part] + people[template[part] // 2]
    first = 2 * rng.integers(0, templates // 2, genuine)
    sides = rng.integers(0, templates, (2, impostor))
    mates = sides[0] // 2 == sides[1] // 2
    sides[1, mates] = (sides[1, mates] + 2) % (templates - templates % 2)
    same = np.concatenate([np.ones(genuine, dtype=bool), np.zeros(impostor, dtype=bool)])
    pairs = np.concatenate([[first, first + 1], sides], axis=1)
    listed = PairList(pairs[0], pairs[1], same, np.empty(0, np.int64), "made")
    score = rng.uniform(0.5, 1.0, pictures).astype(np.float32)
    return embeddings, template.astype(np.int64), media.astype(np.int64), score, listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the pictures, templates and pairs")
    scale = parser.parse_args().scale
    embeddings, template, media, score, listed = made_set(scale)
    print(f"{len(embeddings)} embeddings, {len(np.unique(template))} templates, {len(listed)} pairs")
    marks = [time.perf_counter()]
    found = pooled(embeddings, template, media, score)
    marks.append(time.perf_counter())
    scores = compare(found.units, found.numbers, listed)
    marks.append(time.perf_counter())
    for far in FARS:
        tar, achieved = tar_at(scores, far)
        near = tar_near(scores, far)
        print(f"FAR at most {far:.0e}: TAR {tar:.2f} %, achieved {achieved:.2e} %, nearest {near:.2f} %")
    marks.append(time.perf_counter())
    seconds = zip(("pool", "compare", "read"), np.diff(marks), strict=True)
    phases = ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{phases}; in all {marks[-1] - marks[0]:.1f} s; peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()
