"""Rendered sets on disk: drawn once for a spec and a renderer version, found again afterwards."""

from __future__ import annotations

import os

from datasets import Dataset, load_from_disk

from paco_fr.synthetic import FaceSpec, records
from paco_fr.utils.files import atomic_folder, cache_folder


def stored_records(spec: FaceSpec, *, workers: int = 0, progress: bool = False) -> Dataset:
    """Return the face records of a spec from the cache, rendering them first where they are not there.

    ``workers`` 0 means one for each core.
    """
    folder = cache_folder("faces") / spec.fingerprint()[:16]
    if not folder.exists():
        with atomic_folder(folder) as made:
            records(spec, workers=workers or os.cpu_count() or 1, progress=progress).save_to_disk(str(made))
    return load_from_disk(str(folder))
