"""The harness: encoders in, features once, heads fitted, rows and reports out.

The commands are functions here: ``paco_eval.evaluate(...)`` is ``paco-eval evaluate ...``, with the same names and
defaults. Everything heavy is imported on first use, so that ``import paco_eval`` and command-line help stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "load_encoder": "paco_eval.encoders",
    "PixelContract": "paco_fr.contracts",
    "Results": "paco_eval.api.results",
    "load_results": "paco_eval.rows.store",
    "evaluate": "paco_eval.api.evaluate",
    **dict.fromkeys(("compare", "report"), "paco_eval.api.tables"),
    **dict.fromkeys(("pretrain", "embed", "export", "repro", "explain"), "paco_eval.api.commands"),
}

__all__ = [
    "PixelContract", "Results", "compare", "embed", "evaluate", "explain", "export", "load_encoder", "load_results", "pretrain",
    "report", "repro",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'paco_eval' has no attribute '{name}'")
