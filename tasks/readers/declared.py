"""What several declarations share beside their data set: sets in .bin files, settings of Multi-PIE, RAN's lists."""

from __future__ import annotations

from typing import Any

from paco_fr.contracts import CROPS, CropContract
from tasks.readers.dataset_info import (
    CHALLENGE_FILES,
    CHALLENGE_FOLDER,
    MULTIPIE,
    SCORED_WHOLE,
    VERIFICATION_PAIRS,
)
from tasks.task import FromData


def verification_bin(name: str) -> dict[str, Any]:
    """Return what the declarations of the verification sets in ``.bin`` files share."""
    pairs = VERIFICATION_PAIRS[name]
    return {
        "kind": "verification",
        "reader": "tasks.readers.recognition.bins:read_pictures",
        "reader_options": {"name": name},
        "crop": CROPS["arcface"],
        "main_metric": "accuracy_10fold",
        "options": {
            "pairs": "list",
            "pair_list": FromData("tasks.readers.recognition.bins:read_pairs", {"name": name}),
            "expected": {"total": 2 * pairs, "pairs": pairs, "genuine": pairs // 2},
            "people": "person, as genuine pairs and equal pictures link them",
        },
        "files": (f"verification/{name}.bin",),
        "obtain": "Put the .bin file of insightface's training packs into <data root>/verification.",
        **SCORED_WHOLE,
    }


def multipie(setting: int) -> dict[str, Any]:
    """Return what the declarations of Multi-PIE's settings share."""
    return {
        "kind": "identification",
        "reader": "tasks.readers.recognition.multipie:read_multipie",
        "reader_options": {"setting": setting},
        "crop": CropContract("box", canvas=224),
        "main_metric": "rank1",
        "options": {"gallery_media": ("gallery",)},
        "reductions": ("global", "mean", "grid4"),
        "subsets": tuple(f"view{degrees}" for degrees in (15, 30, 45, 60, 75, 90)),
        "files": ("Multi-PIE",),
        "tags": ("real", "pose", "illumination"),
        **MULTIPIE,
    }


def found_points(folder: str) -> dict[str, Any]:
    """Return the fields of a variant that cuts by points which ``data align --for`` found once for all pictures."""
    return {
        "files": (f"{folder}/pairs.txt", f"{folder}/landmarks.parquet"),
        "obtain": f"The set itself in <data root>/{folder}, then `paco-eval data align --for recognition/{folder}`.",
    }


def pipnet(box: str, whose: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of a landmark task's variant that is cut and measured as by PIPNet: on a stretched box.

    Args:
        box: its name in :data:`tasks.readers.landmarks.boxes.BOXES`.
        whose: what it is a box of, in words.
        changes: further fields; ``options`` are laid over those of PIPNet.

    """
    return {
        "reader_options": {"box": box},
        "crop": CropContract("stretched", canvas=256),
        "cut": f"PIPNet's, {whose}, cut at the border",
        **changes,
        "options": {"measured": "crop", **changes.get("options", {})},
    }


def of_box(box: str, whose: str) -> dict[str, Any]:
    """Return the fields of a landmark task's variant that is cut as by us: a quarter of a box more on every side."""
    crop = CropContract("box", margin=0.25, canvas=224)
    return {"reader_options": {"box": box}, "crop": crop, "cut": f"of {whose}"}


def challenge(
    of: str, files: tuple[str, ...], classes: tuple[str, ...], expected: dict[str, int]
) -> dict[str, Any]:
    """Return what the declarations share that score an expression set by RAN's lists (tasks/readers/expression/challenge.py).

    Args:
        of: key of :data:`CHALLENGE_FILES`.
        files: those of the set itself.
        classes: names, in the order of their codes.
        expected: its official counts.

    """
    return {
        "kind": "classification",
        "reader": "tasks.readers.expression.challenge:read_challenged",
        "reader_options": {"of": of},
        "main_metric": "accuracy",
        "options": {
            "label": "expression",
            "classes": classes,
            "lists": FromData("tasks.readers.expression.challenge:read_lists", {"of": of}),
            "expected": expected,
        },
        "subsets": ("occlusion", "pose30", "pose45"),
        "files": (*files, *(f"{CHALLENGE_FOLDER}/{name}" for name in CHALLENGE_FILES[of])),
        "tags": ("real", "occlusion", "pose"),
    }
