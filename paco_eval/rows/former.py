"""Why something is measured again: what earlier rows of the same folder say, held against what is asked for now.

A row is found by its key, which names encoder, data, task and protocol by their contents. Where one of them
changed, its key is another and the old row stays; this says in a line which of them it was. Of records that lie in
files their digests are kept under ``PACO_CACHE``, so that the line can say how many pictures changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_eval.rows.schema import IDENTIFYING
from paco_eval.rows.store import is_whole
from paco_fr.faces.records import record_digests
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import cache_folder, write_text
from paco_fr.utils.untrusted import read_json

PROBED = 5
"""Number of the first row format whose ``weight_hash`` is of what an encoder computes."""

MAY_CHANGE = {
    "weight_hash": "the encoder computes something else",
    "pixel_hash": "its pixel contract changed",
    "crop_hash": "the crop changed",
    "task_version": "the task has another version",
    "data_fingerprint": "the data changed",
}
"""Fields in which the row of an earlier state may differ, and what is said of each."""


class Former:
    """The rows of a folder as they were when it was opened, by the measurement that they are of."""

    def __init__(self, folder: Path) -> None:
        self.found: dict[str, list[dict[str, Any]]] = {}
        self.networks: list[dict[str, Any]] = []
        """Fields of the networks that were measured, see :class:`paco_eval.encoders._identity.Network`."""
        known = set()
        for path in _oldest_first(folder):
            with suppress(
                OSError, ValueError, TypeError, AttributeError, KeyError
            ):  # said where rows are read
                fields = json.loads(path.read_bytes())
                self.found.setdefault(_measurement(fields), []).append(
                    {name: fields.get(name) for name in MAY_CHANGE} | {"version": fields.get("schema")}
                )
                own = (fields["weight_hash"], fields["pixel_hash"], *sorted(fields["network"].items()))
                if fields["probe"] and own not in known and is_whole(fields):
                    known.add(own)
                    stated, structure = (fields["network"][name] for name in ("stated", "structure"))
                    self.networks.append(
                        {"weight_hash": own[0], "stated": stated, "structure": structure, "pixels": own[1],
                         "probe": fields["probe"]}
                    )  # fmt: skip

    def why(self, identity: Mapping[str, Any], fingerprint: str = "") -> str:
        """Return what changed since the nearest row of a measurement, the newest of them; empty if there is none.

        Args:
            identity: the identifying fields that are asked for now.
            fingerprint: of the records as a whole, where the pictures of this part are named otherwise.

        """
        changes = [
            [name for name in MAY_CHANGE if fields[name] != identity[name]]
            for fields in self.found.get(_measurement(identity), [])
        ]
        known = [(len(names), -at) for at, names in enumerate(changes) if names]
        if not known:
            return ""
        at = -min(known)[1]
        old = self.found[_measurement(identity)][at]
        before = str(old["data_fingerprint"])
        told = {"data_fingerprint": changed_records(before, fingerprint or identity["data_fingerprint"])}
        if isinstance(old["version"], int) and old["version"] < PROBED:
            told["weight_hash"] = "earlier versions did not look at what the encoder computes"
        return ", ".join(told.get(name) or MAY_CHANGE[name] for name in changes[at])


def _oldest_first(folder: Path) -> list[Path]:
    """Return the row files of a folder by the time at which they were written."""
    times = {}
    for path in folder.glob("*.json") if folder.is_dir() else ():
        with suppress(OSError):
            times[path] = path.stat().st_mtime_ns
    return sorted(times, key=lambda path: (times[path], path.name))


def _measurement(fields: Mapping[str, Any]) -> str:
    return json.dumps([fields.get(name) for name in IDENTIFYING if name not in MAY_CHANGE])


def _file(fingerprint: str) -> Path:
    return cache_folder("contents") / f"{fingerprint}.json"


def note_records(fingerprint: str, records: Dataset) -> None:
    """Keep the digests of records in files under their fingerprint; those that hold their pictures do not change."""
    first = records[0]["image"]
    if first["bytes"] is None and not _file(fingerprint).exists():
        with suppress(OSError, PacoError):  # only for a line of text
            write_text(_file(fingerprint), json.dumps(record_digests(records)))


def changed_records(old: str, new: str) -> str:
    """Return how many records differ between two fingerprints, empty if that is not known."""
    try:
        before, after = (read_json(_file(name)) for name in (old, new))
        changed = sum(before[name] != after[name] for name in before.keys() & after.keys())
        added, gone = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    except (PacoError, OSError, AttributeError):
        return ""
    told = [f"pictures changed: {changed} of {len(after)}"] if changed or not (added or gone) else []
    told += [f"pictures added: {added}"] if added else []
    return ", ".join(told + ([f"pictures gone: {gone}"] if gone else []))
