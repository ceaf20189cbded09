"""``python -m tests.fuzz --seed 0 --inputs 50000 --record FILE``: all readers tried with spoilt files."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import paco_fr
from tests.fuzz.harness import Outcome, fuzz, keep


def main() -> int:
    """Try the cases, write the record, and end with 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--minutes", type=float, default=None, help="stop after so many, whatever is left")
    parser.add_argument("--only", default="", help="targets whose names hold this")
    parser.add_argument("--record", type=Path, default=None, help="JSON file for what came out")
    parser.add_argument("--cases", type=Path, default=None, help="folder for findings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paco-fuzz-") as folder:
        os.environ["PACO_CACHE"] = f"{folder}/cache"
        from tests.fuzz.targets import all_targets  # after the cache has its place

        targets = [each for each in all_targets(Path(folder)) if given.only in each.name]
        deadline = None if given.minutes is None else time.monotonic() + 60 * given.minutes

        def say(done: int, outcome: Outcome) -> None:
            sys.stderr.write(f"{done} cases, {outcome.seconds:.0f} s, {len(outcome.findings)} findings\n")
            write(outcome)

        def write(outcome: Outcome) -> None:
            if given.record is not None:
                facts = {**outcome.record(given.seed), "package": paco_fr.__version__}
                given.record.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

        note = Path(folder) / "case" if given.cases is None else given.cases.with_suffix(".now")
        outcome = fuzz(targets, given.seed, given.inputs, note=note, say=say, deadline=deadline)
    write(outcome)
    for finding in outcome.findings:
        sys.stderr.write(f"\n{finding.target} ({finding.file}): {finding.what}\n{finding.told}\n")
        if given.cases is not None:
            sys.stderr.write(f"{keep(finding, given.cases)}\n")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
