"""``python -m paco_eval`` is ``paco-eval``."""

from __future__ import annotations

from paco_eval.cli import main

if __name__ == "__main__":
    main(prog_name="paco-eval")
