"""The command that trains an encoder again, computed from the configuration in its card."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from paco_fr.config import PretrainConfig, load_recipe, recipes


def retrain_command(config: PretrainConfig) -> str:
    """Return the ``paco-eval pretrain`` command that gives this configuration, whatever wrote it down.

    It names the recipe that ships under the configuration's name (``tiny`` for a recipe of one's own) and sets
    every field that departs from it, but those that say only how a run is carried out.
    """
    recipe = config.name if config.name in recipes() else "tiny"
    named = {"objective": config.objective, "seed": config.seed}
    base = load_recipe(recipe, named).model_dump(mode="json", exclude={"run"})
    words = ["paco-eval", "pretrain", "--recipe", recipe]
    words += [word for name, value in named.items() for word in (f"--{name}", str(value))]
    for key, value in _departures(base, config.model_dump(mode="json", exclude={"run"})):
        words += ["--set", f"{key}={json.dumps(value, separators=(',', ':'))}"]
    return shlex.join(words)


def _departures(base: dict[str, Any], wanted: dict[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in wanted.items():
        inner = base[name]
        if isinstance(value, dict) and isinstance(inner, dict) and value.keys() == inner.keys():
            yield from _departures(inner, value, f"{section}{name}.")
        elif value != inner:
            yield f"{section}{name}", value
