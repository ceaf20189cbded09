"""Tuned alike, at equal steps and at equal time: the first table."""

from __future__ import annotations

import pandas as pd
import pytest

from paco_eval.encoders.paco import retrain_command
from paco_fr.config import load_recipe
from tests.claims.reference import FAMILIES, FOLDER, difference, gain, stored, verdicts

TUNED = ["paco", "mae", "simmim"]
FORMER = {"masking.strategy": "region", "loss.target": "pixels", "optimiser.learning_rate": 1e-3}
FORMER_PACO = {
    "codebook.content": "raw", "codebook.tokens": 64, "belief.place": "visible", "belief.incubation_epochs": 1.0,
    "loss.belief": 0.5, "loss.spatial": 1.0,
}  # fmt: skip
"""The recipe `tiny` of the version that was tuned: what the trials changed one by one."""


@pytest.mark.parametrize("objective", TUNED)
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
    if objective == "paco":
        plain |= FORMER_PACO
    assert tuned == load_recipe("tiny", plain | chosen)


def test_tuned_rows_are_of_these_recipes():
    for objective in TUNED:
        recipe = load_recipe(str(FOLDER / "recipes" / f"{objective}.toml"))
        for task in FAMILIES:
            rows = stored(f"{task}/synthetic", f"{objective}/tuned")
            assert [found.row.pretrain_seed for found in rows] == [0, 1, 2]
            for found in rows:
                seeded = recipe.model_copy(update={"seed": found.row.pretrain_seed})
                assert found.row.retrain == retrain_command(seeded)


def test_at_equal_steps_tuned_paco_wins_landmarks_from_both_and_pose_from_simmim():
    said = verdicts("paco/tuned", "mae/tuned", "simmim/tuned")
    lost = {("mae/tuned", "landmarks"), ("simmim/tuned", "landmarks"), ("simmim/tuned", "pose")}
    assert {key for key, verdict in said.items() if verdict == "worse"} == lost
    assert {verdict for key, verdict in said.items() if key not in lost} == {"not distinguishable"}
    assert difference("pose/synthetic", "paco/tuned", "mae/tuned").high < 0, "beyond its own interval"


@pytest.mark.parametrize("family", FAMILIES)
def test_tuned_paco_beats_the_untrained_encoder_and_pixels_but_in_recognition(family):
    task = f"{family}/synthetic"
    assert gain(task, "paco/tuned", "random:tiny").low > 0
    pixels = gain(task, "paco/tuned", "pixels")
    assert pixels.high < 0 if family == "recognition" else pixels.low > 0


def test_at_equal_time_mae_wins_every_family():
    """195,000 pictures take PaCo-FR as long as MAE's 400,000, by ``benchmarks/model.py``."""
    said = verdicts("mae/tuned", "paco/tuned-195k")
    assert said == {("paco/tuned-195k", family): "worse" for family in FAMILIES}


def test_at_equal_time_simmim_leads_in_pose():
    """228,000 pictures of SimMIM take as long. Pose survives Holm (p 0.03, 10,000 replicates of ``compare``)."""
    assert difference("pose/synthetic", "simmim/tuned-228k", "paco/tuned-195k").high < 0
    for task in ("expression/synthetic", "recognition/synthetic"):
        found = difference(task, "simmim/tuned-228k", "paco/tuned-195k")
        assert found.low < 0 < found.high
