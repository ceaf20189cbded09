"""Artefacts of a made-up pretraining run, drawn at random. For tests only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from paco_eval.report.artefacts import save_arrays


def write_pretraining(run: Path, name: str = "paco-tiny", *, codebook: bool = True) -> Path:
    """Write card, log, reconstructions and, as PaCo-FR would, a codebook; return the folder."""
    rng = np.random.default_rng(0)
    folder = run / "pretrain" / name
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"objective": name, "parameters": 470_000, "seed": 0}))
    lines = []
    for step in range(60):
        line = {"step": step, "epoch": step // 20, "loss": 1 / (1 + step), "reconstruction": 0.5}
        lines.append(json.dumps(line | ({"perplexity": 10.0 + step} if codebook else {})))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    faces = rng.integers(0, 255, (3, 6, 32, 32, 3), dtype=np.uint8)
    save_arrays(
        folder / "reconstruction.npz", "reconstruction",
        original=faces[0], corrupted=faces[1], reconstructed=faces[2],
    )  # fmt: skip
    if codebook:
        tokens = rng.integers(0, 255, (16, 9, 8, 8, 3), dtype=np.uint8)
        save_arrays(folder / "codebook.npz", "codebook", tokens=tokens, usage=rng.random((16, 9)))
    return folder


def write_samples(row_path: Path, names: list[str]) -> Path:
    """Write sample faces beside a row."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(4, 28, (len(names), 10, 2))
    return save_arrays(
        row_path.with_name(f"{row_path.stem}.samples.npz"), "samples",
        images=rng.integers(0, 255, (len(names), 32, 32, 3), dtype=np.uint8), truth=truth,
        predicted=truth + rng.normal(size=truth.shape), visible=rng.random((len(names), 10)) < 0.8,
        names=np.array(names),
    )  # fmt: skip
