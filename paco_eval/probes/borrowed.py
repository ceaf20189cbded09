"""Choices and fits for sets that are scored as a whole: what they need comes from other people's pictures.

A ``test_only`` task (LFW and its like) has nothing to fit or choose on. Its block and pooling come from

- the folder that ``--train-identities`` names: block, pooling and whitening are chosen on people of that
  folder set aside, the whitening is then fitted on all of them;
- else the validation part of the task that ``choice_from`` names, as that task chooses them; embeddings stay raw;
- else the encoder's declared default: its default block and the first pooling that both sides know.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.features.extract import extract
from paco_eval.features.layers import Layer, layers_of
from paco_eval.probes.probe import Choice, choose
from paco_eval.probes.solvers import FittedPath, load_solver
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError
from tasks import splits
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.units import Units

RAW = "raw"
LENT = "lent"
"""The rule by which :func:`borrowed_choice` chooses, where choices are kept."""

Outputs = npt.NDArray[np.floating]


def default_choice(encoder: Encoder, task: Task) -> Choice:
    """Return the encoder's default block with the first pooling that encoder and task both know."""
    own = [layer for layer in layers_of(encoder, task.reductions) if layer[0] == encoder.default_block]
    if not own:
        raise PacoError(
            f"{encoder.name}: its default block '{encoder.default_block}' is not among its blocks."
        )
    return Choice(own[0], RAW, np.nan)


def only_choice(layer: Layer) -> Choice:
    """Return the choice of an encoder that has one layer alone: no picture has to be looked at for it."""
    return Choice(layer, RAW, np.nan)


def borrowed_choice(encoder: Encoder, lender: Task, units: Units, split: splits.Split) -> Choice:
    """Return block and pooling as the lender's validation part chooses them, whitened; the whitening stays behind.

    Of embeddings as they are a lender may tell people apart hardly better than chance, and then chance would choose. The
    lender takes the reductions, and the flip, of the task that borrows.
    """
    features = extract(encoder, units, lender.reductions, flip=lender.flip, progress=True)
    return replace(choose(lender, features.layers, units.labels, split.select), strength=RAW)


def fitted_choice(encoder: Encoder, task: Task, people: Units) -> tuple[Choice, FittedPath]:
    """Return block, pooling and whitening chosen on people set aside, and the path fitted on all people."""
    features = extract(encoder, people, task.reductions, flip=task.flip, progress=True)
    labels = people.labels
    pairs = replace(
        task, kind="verification", main_metric="auc", options={"pairs": "sampled", "impostors": 20_000}
    )
    choice = choose(pairs, features.layers, labels, splits.choosing_folds(labels["group"].tolist()))
    table = features.layers[choice.layer]
    kept = np.isfinite(table).all(axis=1)
    kind = load_kind("verification")
    name = f"{choice.layer[0]} ({choice.layer[1]})"
    codes = kind.targets(labels.iloc[np.flatnonzero(kept)], pairs)
    path = load_solver(kind.HEAD)(table[kept], codes, layer=name)
    return choice, path


def score_elsewhere(
    task: Task,
    features: Outputs,
    labels: pd.DataFrame,
    test: splits.Test,
    choice: Choice,
    path: FittedPath | None = None,
) -> pd.DataFrame:
    """Return the items of a set that is scored as a whole, under a choice made elsewhere.

    Args:
        task: the declaration, bound to its data.
        features: table (n, D) of the chosen layer.
        labels: one row per unit.
        test: the units to score.
        choice: block and pooling, and the whitening of ``path``.
        path: fitted whitening; without it embeddings are used as they are, norm kept.

    """
    table = features[test.indices]
    if path is not None and choice.strength != RAW:
        finite = np.isfinite(table).all(axis=1)
        outputs = np.full(table.shape, np.nan)
        outputs[finite] = path.outputs(table[finite], choice.strength)
        table = outputs
    return load_kind(task.kind).items(table, labels.iloc[test.indices].reset_index(drop=True), task)
