"""Numbers to look at: the one table, tables in three text formats, figures, and one page with all of them.

The command has the name of this folder, so the folder can be called: ``paco_eval.report(runs)``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Command(ModuleType):
    """A folder that is a function, too, however it came to be imported."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return sys.modules["paco_eval"].__getattr__("report")(*arguments, **settings)


sys.modules[__name__].__class__ = _Command
