"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

REPLICATES = 300
"""Bootstrap replicates behind what a report prints bold: each pair of encoders is compared on every task."""

data_root = click.option(
    "--data-root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=lambda: os.environ.get("PACO_DATA"),
    help="Folder with the data sets.  [default: $PACO_DATA]",
)

precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the forward pass; said in the row.",
)

device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)

trust_option = click.option(
    "--trust", is_flag=True, help="Run code that comes with an encoder (TorchScript, --encoder-from)."
)


def words_of(context: click.Context, without: tuple[str, ...]) -> list[str]:
    """Return the options of a call as its words again, apart from those named and those that say nothing."""
    words: list[str] = []
    for option in context.command.params:
        value = context.params.get(str(option.name))
        if not isinstance(option, click.Option) or option.name in without or value in (None, False, ()):
            continue
        if option.is_flag:
            words.append(option.opts[0])
        else:
            for one in value if option.multiple else (value,):
                words += [option.opts[0], str(one)]
    return words


def overrides(pairs: tuple[str, ...], option: str = "--set") -> dict[str, Any]:
    """Return ``section.key=value`` pairs with values read as JSON where they are JSON, else as text."""
    from paco_fr.utils.errors import FormatError
    from paco_fr.utils.untrusted import parse_json

    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"'{pair}' is not of the form key=value.", param_hint=option)
        try:
            found[key] = parse_json(text, option, expect=None)
        except FormatError:
            found[key] = text
    return found
