"""The harness: encoders in, features once, heads fitted, rows and reports out.

Everything heavy is imported on first use, so that ``import paco_eval`` and command-line help stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "load_encoder": "paco_eval.encoders",
    "evaluate": "paco_eval.api",
    "PixelContract": "paco_fr.contracts",
    "load_results": "paco_eval.rows.store",
}

__all__ = ["PixelContract", "evaluate", "load_encoder", "load_results"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'paco_eval' has no attribute '{name}'")
