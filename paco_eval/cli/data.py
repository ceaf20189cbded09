"""``paco-eval data``: looking at data, checking, aligning and packing it, and miniatures of the benchmarks."""

from __future__ import annotations

import click

from paco_eval.cli.data_align import align
from paco_eval.cli.data_check import check
from paco_eval.cli.data_describe import describe
from paco_eval.cli.data_mimic import mimic
from paco_eval.cli.data_pack import pack


@click.group("data")
def command() -> None:
    """Look at data, check it against its benchmark, or rehearse on a miniature."""


for part in (check, mimic, describe, align, pack):
    command.add_command(part)
