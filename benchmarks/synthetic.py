"""Images a second of the synthetic renderer on one core, with and without what it remembers of a person.

Run: ``python -m benchmarks.synthetic [--faces 64] [--rounds 5]``. The columns are measured turn by turn
in one process, so that a busy machine slows all of them alike: read the ratios, and the rate as a lower
bound. Crops are aligned crops (landmarks first, then the picture straight into the crop).
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from paco_fr.synthetic import FaceParameters, FaceSpec, face_parameters, photo_landmarks, render
from paco_fr.synthetic.head import assemble as heads
from paco_fr.synthetic.rendering import renderer

EYES_AND_MOUTH = np.array([[0.30, 0.42], [0.70, 0.42], [0.50, 0.80]])


def aligned_crop(face: FaceParameters, size: int) -> np.ndarray:
    """Return the (2, 3) similarity that takes eyes and mouth to fixed places of the crop."""
    points = photo_landmarks(face)
    source = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[48:68].mean(0)])
    target = EYES_AND_MOUTH * size
    s, t = source - source.mean(0), target - target.mean(0)
    scale = (s**2).sum()
    a, b = (s * t).sum() / scale, (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / scale
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, target.mean(0) - turn @ source.mean(0)])


def forget_identities() -> None:
    """Empty every cache that is kept per person."""
    for cached in (heads.rest_head, heads.identity_texture, heads.identity_ears, heads.identity_scalp):
        cached.cache_clear()


def draw(faces: list[FaceParameters], size: int, remember: bool) -> None:
    for face in faces:
        if not remember:
            forget_identities()
        renderer.view.cache_clear()
        render(face, size, aligned_crop(face, size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    spec = FaceSpec(identities=max(arguments.faces // 8, 1), images_per_identity=8, seed=0, level="hard")
    faces = [face_parameters(spec, index) for index in range(len(spec))]

    def parameters() -> None:
        for index in range(len(spec)):
            face_parameters(spec, index)

    columns = {
        "64 px": lambda: draw(faces, 64, True),
        "64 px, no identity cache": lambda: draw(faces, 64, False),
        "112 px": lambda: draw(faces, 112, True),
        "224 px": lambda: draw(faces, 224, True),
        "drawing parameters alone": parameters,
    }
    best: dict[str, tuple[float, float]] = dict.fromkeys(columns, (np.inf, np.inf))
    for turn in range(arguments.rounds + 1):
        for name, run in columns.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            spent = ((time.perf_counter() - wall) / len(faces), (time.process_time() - cpu) / len(faces))
            if turn > 0:  # the first turn compiles
                best[name] = (min(best[name][0], spent[0]), min(best[name][1], spent[1]))
    print(f"{'':28s} {'ms/face':>8s} {'faces/s':>8s} {'faces/s of CPU time':>20s} {'ratio':>6s}")
    reference = best["64 px"][1]
    for name, (wall, cpu) in best.items():
        print(f"{name:28s} {1e3 * wall:8.2f} {1 / wall:8.0f} {1 / cpu:20.0f} {cpu / reference:6.2f}")


if __name__ == "__main__":
    main()
