"""States of an unfinished run: all that its next step depends on, so that a resumed run is the same run.

A state holds weights and buffers (the codebook's statistics among them), the optimiser, the step and the
log's open means. Order, masks and rates are functions of the step, so nothing else needs to be kept. A
state is written to a temporary name, forced to the disk and renamed; only then do older ones go, all but
the newest ``run.keep_states``. So a kill at any moment, or a full disk, leaves the last good one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from paco_fr.checkpoint import checked_torch
from paco_fr.config import PretrainConfig, parse_config
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file, first_difference, writing
from paco_fr.utils.types import Say
from paco_fr.utils.untrusted import parse_json

State = dict[str, Any]


def state_files(out: Path) -> list[Path]:
    """Return the states of a run, oldest first."""
    return sorted(out.glob("state-*.pt"))


def save_state(out: Path, state: State, keep: int) -> None:
    """Write the state of ``state["step"]`` and remove all but the newest ``keep``.

    Raises:
        PacoError: it cannot be written; the states before it are untouched.

    """
    path = out / f"state-{state['step']:09d}.pt"
    advice = f"{last_kept(out)}. Free some space or mend the permissions, then continue with --resume."
    told = writing(path, advice, wrapped=RuntimeError)  # torch wraps what the file system says
    with told, atomic_file(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
    for old in state_files(out)[:-keep]:
        old.unlink()


def last_kept(out: Path) -> str:
    """Say which state there is to go back to."""
    kept = state_files(out)
    return f"The last good state, {kept[-1].name}, is kept" if kept else "No state was saved before"


def load_state(out: Path, config: PretrainConfig, say: Say) -> State | None:
    """Return the newest readable state of a run, or None if it has none.

    Raises:
        PacoError: the state is of another configuration, or there are states and none can be read.

    """
    files = state_files(out)
    for path in reversed(files):
        try:
            state: State = checked_torch(path)
        except PacoError as error:
            say(f"{error}, trying the state before it.")
            continue
        try:
            found = parse_json(state["config"], path)
        except (PacoError, KeyError, TypeError) as error:
            say(f"{path} cannot be read ({type(error).__name__}), trying the state before it.")
            continue
        same_run(parse_config(found, str(path)), config, out)
        return state
    if files:
        raise PacoError(
            f"No state in {out} can be read, {files[-1].name} the last of them. Start again in another --out."
        )
    return None


def remove_states(out: Path) -> None:
    """Remove all states: the run is finished."""
    for path in state_files(out):
        path.unlink()


def same_run(found: PretrainConfig, wanted: PretrainConfig, out: Path) -> None:
    """Refuse to continue a run whose configuration differs, naming the first key that does.

    Section ``run`` may differ: it changes how a run is carried out, not what is learned.
    """
    other = first_difference(_settings(found), _settings(wanted))
    if other:
        name, old, new = other
        raise PacoError(
            f"{out} was trained with another {name}: {old}, not {new}. Use the same recipe or another --out."
        )


def same_data(found: dict[str, Any] | None, now: dict[str, Any], out: Path) -> None:
    """Refuse to continue a run whose pictures are others than those that it was begun with.

    Args:
        found: what the state says of them; None in states of earlier versions, which say nothing.
        now: what is read now: ``pictures``, their number, and hashes.
        out: folder of the run.

    """
    other = first_difference(now, found) if found is not None else None
    if other is None or found is None:
        return
    was, is_now = found.get("pictures"), now["pictures"]
    what = (
        f"{was} pictures, now {is_now}" if was != is_now else f"{was} pictures, of which some are others now"
    )
    raise PacoError(
        f"{out} was begun on {what}: files were added, removed, renamed or replaced. "
        "Restore the data, or start again in another --out."
    )


def _settings(config: PretrainConfig) -> dict[str, Any]:
    """Return all that decides what a run learns, by ``section.key``."""
    values = config.model_dump(mode="json", exclude={"run"})
    sections = {name: value if isinstance(value, dict) else {"": value} for name, value in values.items()}
    return {
        f"{name}.{key}".strip("."): value for name, keys in sections.items() for key, value in keys.items()
    }
