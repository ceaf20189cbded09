"""The rivals: tuned by as many trials as PaCo-FR, on validation people."""

from __future__ import annotations

import pandas as pd
import pytest

from paco_eval.encoders.paco import retrain_command
from paco_fr.config import load_recipe
from tests.claims.reference import FAMILIES, FOLDER, stored

FORMER = {"masking.strategy": "region", "loss.target": "pixels", "optimiser.learning_rate": 1e-3}
"""What the recipe `tiny` had when the trials changed it one by one."""

SEEDS = {"mae": 8, "simmim": 3, "data2vec": 5}


@pytest.mark.parametrize("objective", ["mae", "simmim"])
def test_settings_are_the_best_of_twelve_trials_on_validation_people(objective):
    trials = pd.read_csv(FOLDER / "trials" / f"{objective}.csv")
    gains = trials[trials.metric == "mean gain"].set_index("encoder").value
    assert len(gains) == 12 and set(trials.split) == {"validation"}
    chosen = dict(part.split("=") for part in str(gains.idxmax()).split(", ")[1:])
    tuned = load_recipe(str(FOLDER / "recipes" / f"{objective}.toml"))
    plain = FORMER | {
        "name": "tuned", "objective": objective, "data.source": tuned.data.source,
        "optimiser.presentations": 400_000, "optimiser.precision": "bf16",
    }  # fmt: skip
    assert tuned == load_recipe("tiny", plain | chosen)


def test_data2vec_has_the_best_of_its_thirteen_on_validation_people():
    trials = pd.read_csv(FOLDER / "trials" / "data2vec.csv")
    gains = trials[trials.metric == "mean gain"].set_index("encoder").value
    assert len(gains) == 13 and set(trials.split) == {"validation"}, "the recipe and twelve changes of it"
    chosen = dict(part.split("=") for part in str(gains.idxmax()).split(", ")[1:])
    tuned = load_recipe(str(FOLDER / "recipes" / "data2vec.toml"))
    length = {
        "data.source": tuned.data.source, "optimiser.presentations": 250_000, "optimiser.precision": "bf16",
    }  # fmt: skip
    assert tuned == load_recipe("tiny", {"name": "tuned", "objective": "data2vec"} | length | chosen)


@pytest.mark.parametrize("objective", SEEDS)
def test_rows_are_of_these_recipes(objective):
    recipe = load_recipe(str(FOLDER / "recipes" / f"{objective}.toml"))
    for task in FAMILIES:
        rows = stored(f"{task}/synthetic", f"{objective}/tuned")
        assert [found.row.pretrain_seed for found in rows] == list(range(SEEDS[objective]))
        for found in rows:
            seeded = recipe.model_copy(update={"seed": found.row.pretrain_seed})
            assert found.row.retrain == retrain_command(seeded)
