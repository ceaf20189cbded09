"""Encoders of others: a class in a file of the user's own, or an entry point of an installed package."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from typing import Any

from paco_eval.encoders._contract_check import check_contract
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError, no_exit

GROUP = "paco_eval.encoders"
MEMBERS = ("name", "pixels", "weight_hash", "blocks", "default_block", "reductions", "required_crop",
           "adapter_version", "parameters", "tokens")  # fmt: skip


def load(name: str) -> Encoder:
    """Return ``file:FILE.py:CLASS``, the class called without arguments. The caller has asked for trust."""
    file, separator, member = name.removeprefix("file:").rpartition(":")
    path = Path(file)
    if not separator or not path.is_file() or path.suffix != ".py":
        raise PacoError(f"{name}: write FILE.py:CLASS with an existing Python file.")
    spec = spec_from_file_location(f"paco_eval_user_encoder_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        with no_exit(name):
            spec.loader.exec_module(module)
            made = getattr(module, member)()
    except PacoError:
        raise
    except Exception as error:  # whatever the user's own file raises
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f"{path}, line {lines[-1]}" if lines else str(path)
        raise PacoError(f"{where}: {type(error).__name__}: {error}") from error
    return checked(made, name)


def from_entry_point(name: str) -> Encoder | None:
    """Return the encoder of an installed package that owns the scheme of ``name``, None if none does."""
    scheme = name.partition(":")[0]
    for entry in entry_points(group=GROUP, name=scheme):
        owner = entry.dist.name if entry.dist is not None else entry.value
        try:
            with no_exit(name):
                made = entry.load()(name)
        except PacoError:
            raise
        except Exception as error:  # another package's code: name it instead of failing in its place
            raise PacoError(
                f"{name} of {owner} cannot be loaded ({type(error).__name__}: {error})."
            ) from error
        return checked(made, name)
    return None


def checked(made: Any, name: str) -> Encoder:
    """Return what someone else's code made, or say what it lacks of :class:`paco_fr.contracts.Encoder`."""
    lacking = [member for member in MEMBERS if not hasattr(made, member)]
    if lacking:
        raise PacoError(f"{name} is no encoder: {type(made).__name__} lacks {', '.join(lacking)}.")
    check_contract(name, made.pixels, getattr(made, "model", None))
    encoder: Encoder = made
    return encoder
