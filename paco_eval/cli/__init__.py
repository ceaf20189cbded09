"""The program ``paco-eval``. Commands are imported when called, so that help answers at once."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from paco_fr import __version__
from paco_fr.utils import progress
from paco_fr.utils.errors import MissingDataError, PacoError, PacoWarning, unknown_name

COMMANDS = {
    "quickstart": "quickstart",
    "pretrain": "pretrain",
    "evaluate": "evaluate",
    "embed": "embed",
    "ablate": "ablate",
    "compare": "compare",
    "report": "report",
    "repro": "repro",
    "explain": "explain",
    "rows": "rows",
    "results": "results",
    "leaderboard": "leaderboard",
    "list": "listing",
    "data": "data",
    "cache": "cache",
    "doctor": "doctor",
    "export": "export",
}
"""Command -> module of this package that defines ``command``."""

AT_ONCE = ("list", "cache", "doctor")
"""Commands that answer before a first line would be read; the others say first that they are loading."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own, which import nothing heavy at the top."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"paco_eval.cli.{COMMANDS[cmd_name]}").command
        return _telling(command, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, or say which is near."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"No such command. {unknown_name('command', args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Turn errors that speak to the user into one line and an exit status."""
        try:
            return super().invoke(ctx)
        except MissingDataError as error:
            _fail(ctx, error, 3)
        except PacoError as error:
            _fail(ctx, error, 2)
        except OSError as error:
            from paco_fr.utils.files import full_disk

            if (said := full_disk(error)) is None:
                raise
            _fail(ctx, said, 2)
        finally:
            progress.configure()


def _fail(context: click.Context, why: object, status: int) -> None:
    """Say an error, whatever else is kept quiet, and leave."""
    progress.error(f"Error: {why}")
    context.exit(status)


def _telling(command: click.Command, name: str) -> click.Command:
    """Return a command, and those below it, with the options that say how much it tells; done once for each."""
    if any(option.name == "log_file" for option in command.params):
        return command
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _telling(below, f"{name} {below.name}")
        return command
    command.params += [
        click.Option(["-q", "--quiet"], is_flag=True, help="Only results and errors: no lines on the way, no bars."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Also how long each stage took."),
        click.Option(["--log-file"], type=click.Path(path_type=Path, dir_okay=False),
                     help="Append every line to a file, with its time."),
    ]  # fmt: skip
    if command.callback is not None:
        command.callback = _announced(command.callback, name)
    return command


def _loaded() -> bool:
    """Return whether what takes seconds to load is there already."""
    return "torch" in sys.modules


def _announced(callback: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return what a command does, after a line that says so: libraries take seconds to load."""

    @wraps(callback)
    def run(*args: Any, quiet: bool, verbose: bool, log_file: Path | None, **options: Any) -> Any:
        progress.configure(quiet=quiet, verbose=verbose, log=log_file)
        first = os.environ.get("RANK", "0") == "0"
        if first and name.partition(" ")[0] not in AT_ONCE and not _loaded():
            progress.say(f"paco-eval {name}: loading libraries ...")
        return callback(*args, **options)

    return run


_shown_by_python = warnings.showwarning


def _show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show what the user should know in a line, without the place in the code that said it."""
    if issubclass(category, PacoWarning):
        progress.say(f"Note: {message}")
    else:
        _shown_by_python(message, category, *where, **more)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="paco-eval")
def main() -> None:
    """Pretrain face encoders and measure any encoder on faces, with intervals.

    Exit status: 0 all done, 1 a cell failed, 2 the call was wrong, 3 a task named outright has no data.
    """
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # the commands show bars of their own
    warnings.showwarning = _show
