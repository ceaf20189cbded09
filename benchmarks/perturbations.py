"""Images a second on one core for every perturbation at 112 px, beside the JPEG decoding of the same pictures.

Run: ``python -m benchmarks.perturbations [--rounds N]``. Time is processor time of this process, the best round
of several; each picture's landmarks are fitted anew, as in the first of a sweep's conditions.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import click
import numpy as np
from PIL import Image

from paco_fr.faces.decode import Pixels
from paco_fr.synthetic import FaceSpec, face_parameters, render
from tasks.perturbations.apply import Face, perturb
from tasks.perturbations.catalogue import PERTURBATIONS

SIDE = 112
PICTURES = 16
AIM = 300


def rate(work: Callable[[], object], rounds: int) -> float:
    work()
    spent = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return PICTURES / min(spent)


def decoded(files: list[bytes]) -> list[Pixels]:
    return [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]


def jpeg_of(image: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


@click.command()
@click.option("--rounds", default=5, show_default=True)
def main(rounds: int) -> None:
    spec = FaceSpec(identities=PICTURES, images_per_identity=1, seed=11, level="hard")
    drawn = [render(face_parameters(spec, i), SIDE) for i in range(PICTURES)]
    points = [face.landmarks.astype(np.float64) for face in drawn]
    files = [jpeg_of(face.image) for face in drawn]
    decode = rate(lambda: decoded(files), rounds)
    print(
        f"| perturbation | images/s a core | JPEG decodings of the picture | at least {AIM} |\n|---|---:|---:|---|"
    )
    print(f"| (JPEG decoding) | {decode:,.0f} | 1.0 | |")
    for name in PERTURBATIONS:

        def work(name: str = name) -> None:
            for i, face in enumerate(drawn):
                perturb(name, 3, face.image, key=i, face=Face(SIDE, points[i], "ibug68"))

        found = rate(work, rounds)
        print(f"| {name} | {found:,.0f} | {decode / found:.1f} | {'yes' if found >= AIM else 'NO'} |")


if __name__ == "__main__":
    main()
