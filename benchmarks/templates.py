"""Scoring of a set the size of IJB-C: pooling, comparison of all pairs, TAR at FAR 1e-6 to 1e-1, its intervals.

469,375 embeddings of 512 numbers, 23,124 templates of 3,531 subjects, 15.7 million pairs, all random. Prints the processor
time of each phase and the highest memory of the process. Run: ``python -m benchmarks.templates [--scale 0.1]``.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd

from paco_eval.analysis.bootstrap import bootstrap_all
from paco_fr.contracts import CROPS
from tasks.kinds.templates import items, metrics
from tasks.lists import PairList
from tasks.task import Task

PICTURES, TEMPLATES, SUBJECTS, GENUINE, IMPOSTOR, DIM = 469_375, 23_124, 3_531, 19_557, 15_638_932, 512


def made_set(scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, PairList]:
    """Return embeddings that lean towards their template's person, their columns, and the pairs."""
    rng = np.random.default_rng(0)
    pictures, templates = int(PICTURES * scale), max(40, int(TEMPLATES * scale))
    genuine, impostor = int(GENUINE * scale), int(IMPOSTOR * scale**2)
    subject = np.arange(templates) % max(10, int(SUBJECTS * scale))
    others = rng.integers(0, templates, pictures - templates)
    template = np.sort(np.concatenate([np.arange(templates), others]))
    media = template * 8 + rng.integers(0, 8, pictures)
    people = rng.standard_normal((subject.max() + 1, DIM), dtype=np.float32)
    embeddings = rng.standard_normal((pictures, DIM), dtype=np.float32)
    for start in range(0, pictures, 16_384):
        part = slice(start, start + 16_384)
        embeddings[part] = 10.0 * embeddings[part] + people[subject[template[part]]]
    probes = rng.permutation(np.arange(subject.max() + 1, templates))[:genuine]
    sides = rng.integers(0, templates, (2, impostor))
    mates = subject[sides[0]] == subject[sides[1]]
    sides[1, mates] = (sides[1, mates] + 1) % templates
    same = np.concatenate([np.ones(len(probes), dtype=bool), np.zeros(impostor, dtype=bool)])
    pairs = np.concatenate([[subject[probes], probes], sides], axis=1)
    listed = PairList(pairs[0], pairs[1], same, np.empty(0, np.int64), "made")
    score = rng.uniform(0.5, 1.0, pictures).astype(np.float32)
    return embeddings, template.astype(np.int64), media.astype(np.int64), score, listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the pictures, templates and pairs")
    parser.add_argument("--replicates", type=int, default=1000)
    asked = parser.parse_args()
    embeddings, template, media, score, listed = made_set(asked.scale)
    print(
        f"{len(embeddings)} embeddings, {len(np.unique(template))} templates, {len(listed)} pairs", flush=True
    )
    columns = {"template": template, "media": media, "detector_score": score, "group": template.astype(str)}
    task = Task("made/made", 1, "templates", "made:made", CROPS["arcface"], "tar@far=1e-4", "", "",
                options={"pair_list": listed})  # fmt: skip
    marks = [time.process_time()]
    pooled = items(embeddings, pd.DataFrame(columns), task)
    marks.append(time.process_time())
    known = metrics(task)
    first = {metric.name: metric.value(pooled) for metric in known}
    marks.append(time.process_time())
    found = bootstrap_all(known, pooled, replicates=asked.replicates)
    marks.append(time.process_time())
    for name, (value, low, high) in found.items():
        print(f"  {name:22s} {value:10.5f} [{low:.5f}, {high:.5f}]")
        assert np.array_equal(value, first[name])
    seconds = zip(
        ("pool", "compare", f"compare and {asked.replicates} replicates"), np.diff(marks), strict=True
    )
    phases = ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{pooled['group'].nunique()} subjects; {phases}; in all {marks[-1] - marks[0]:.1f} s; peak memory {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
