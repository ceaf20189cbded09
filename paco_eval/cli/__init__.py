"""The program ``paco-eval``. Commands are imported when called, so that help answers at once."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import Any

import click

from paco_fr import __version__
from paco_fr.utils.errors import MissingDataError, PacoError, PacoWarning
from paco_fr.utils.files import full_disk

COMMANDS = {
    "quickstart": "quickstart",
    "pretrain": "pretrain",
    "evaluate": "evaluate",
    "embed": "embed",
    "ablate": "ablate",
    "compare": "compare",
    "report": "report",
    "repro": "repro",
    "list": "listing",
    "data": "data",
    "cache": "cache",
    "export": "export",
}
"""Command -> module of this package that defines ``command``."""


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
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Turn errors that speak to the user into one line and an exit status."""
        try:
            return super().invoke(ctx)
        except MissingDataError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(3)
        except PacoError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        except OSError as error:
            if (said := full_disk(error)) is None:
                raise
            click.echo(f"Error: {said}", err=True)
            ctx.exit(2)


_shown_by_python = warnings.showwarning


def _show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Show what the user should know in a line, without the place in the code that said it."""
    if issubclass(category, PacoWarning):
        click.echo(f"Note: {message}", err=True)
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
