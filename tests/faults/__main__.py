"""``python -m tests.faults --seed 0 --kills 100 --flips 2000 --record FILE``: storage under faults of every kind."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from paco_fr import __version__

PARTS = ("flips", "kills", "together", "full-disks")


def main() -> int:
    """Run the parts that are asked for, write the record, and end with 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many, whatever is left")
    parser.add_argument("--only", default="", help="commands, separated by commas")
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--record", type=Path, help="JSON file for what came out")
    given = parser.parse_args()
    deadline = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="paco-faults-") as name:
        os.environ["PACO_CACHE"] = f"{name}/cache"
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # of all children
        from tests.faults.campaign import Campaign

        only = [each for each in given.only.split(",") if each]
        campaign = Campaign(Path(name), given.seed, lambda line: sys.stderr.write(f"{line}\n"), only)
        parts = given.parts.split(",")

        def write() -> None:
            if given.record is not None:
                facts = {"package": __version__, **campaign.outcome.record(given.seed)}
                given.record.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

        for part in [each for each in PARTS if each in parts]:
            if part == "flips":
                campaign.flips(given.flips, deadline)
            elif part == "together":
                campaign.together()
            elif part == "full-disks":
                campaign.full_disks()
            else:
                campaign.kills(given.kills, deadline)
            write()
    return 1 if campaign.outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
