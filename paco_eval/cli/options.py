"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _data_root(**required: bool) -> Callable[[Any], Any]:
    return click.option(
        "--data-root",
        type=click.Path(path_type=Path, **required),
        envvar="PACO_DATA",
        show_envvar=True,  # in its error, too
        help="Folder with the data sets.",
    )


data_root = _data_root(exists=True, file_okay=False)
any_data_root = _data_root()
"""For who tells what is wrong with it."""

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


names_option = click.option(
    "--names",
    multiple=True,
    metavar="ENCODER=NAME",
    help="What to call encoders or methods; several with commas.",
)

columns_option = click.option(
    "--columns",
    type=click.Choice(["auto", "tasks", "families"]),
    default="auto",
    show_default=True,
    help="auto: tasks where they are few, else mean ranks of families.",
)


def _from_file(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Take the defaults of a command from a TOML file, so that the command line wins over it."""
    if path is None:
        return None
    from paco_fr.utils.errors import PacoError, unknown_name
    from paco_fr.utils.untrusted import parse_toml, read_text

    known = {str(each.name): each for each in context.command.params if each is not option}
    found = {}
    for key, value in parse_toml(read_text(path), path).items():
        name = key.replace("-", "_")
        if name not in known:
            raise unknown_name(f"setting in {path}:", key, known)
        several = known[name].multiple if isinstance(known[name], click.Option) else known[name].nargs == -1
        if isinstance(value, list) and not several:
            value = ",".join(map(str, value))
        elif isinstance(value, dict) and name == "names":
            value = [f"{encoder}={shown}" for encoder, shown in value.items()]
        elif several and not isinstance(value, list):
            value = [value]
        if isinstance(value, dict):
            raise PacoError(f"{path}: {key} is no section here; give a value.")
        found[name] = value
    context.default_map = {**(context.default_map or {}), **found}
    return path


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_from_file,
    help="A TOML file with any of these settings, e.g. encoders = [...], tasks, limit; the command line wins.",
)


def screen_width() -> int:
    """Return the characters of a line on this terminal; 100 in a pipe."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def bold(text: str) -> str:
    """Return text printed bold, on terminals; click leaves that out in pipes."""
    return click.style(text, bold=True)


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
