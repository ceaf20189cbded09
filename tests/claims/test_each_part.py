"""What each part is worth: a line of the table against the three seeds of the recipe."""

from __future__ import annotations

import pandas as pd
import pytest

from paco_eval.analysis.bootstrap import Interval
from paco_eval.encoders.paco import retrain_command
from paco_fr.config import REMOVED, load_recipe
from tests.claims.reference import FAMILIES, FOLDER, gain, reference, stored

ABLATION = "paco/tuned, "
"""Method of a line of the ablation, up to what was changed."""


def test_lines_of_the_ablation_are_the_tuned_recipe_with_their_change():
    table = pd.read_csv(FOLDER / "ablation" / "ablation.csv")
    table = table[~table.task.str.startswith("cost/")]
    recipe = str(FOLDER / "recipes" / "paco.toml")
    kept = {found.row.method for found in reference()[0] if found.row.method.startswith(ABLATION)}
    assert set(table.encoder) == {"paco/tuned"} | kept and len(kept) >= 12
    for line, part in table.groupby("encoder"):
        changes = dict(text.split("=") for text in line.split(", ")[1:])
        gone = {key: changes.pop(key) for key in REMOVED.keys() & changes.keys()}
        config = load_recipe(recipe, changes | {"name": line.removeprefix("paco/")}).model_dump(mode="json")
        for section, setting in (key.split(".") for key in gone):  # measured before they were removed
            config[section][setting] = gone[f"{section}.{setting}"]
        assert config["optimiser"]["presentations"] >= 400_000
        assert sorted(part.task) == sorted(f"{family}/synthetic" for family in FAMILIES)
        for entry in part.itertuples():
            row = stored(entry.task, line)[0].row
            assert row.retrain == retrain_command(config) and row.main.value == pytest.approx(entry.value)


def change(family: str, setting: str) -> Interval:
    """Return what one changed setting does, positive is better: its seed less the three of the tuned recipe."""
    return gain(f"{family}/synthetic", ABLATION + setting, "paco/tuned")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_belief_that_sees_hidden_pixels_is_worse_everywhere(family):
    assert change(family, "belief.sees=pixels").high < 0


@pytest.mark.parametrize(
    "setting", ["codebook.content=raw", "codebook.space=embedding, codebook.content=raw"]
)
@pytest.mark.parametrize("family", ["pose", "landmarks"])
def test_codes_with_mean_and_contrast_are_worse_in_geometry(family, setting):
    assert change(family, setting).high < 0


@pytest.mark.parametrize(
    "setting",
    ["codebook.candidates=1", "codebook.selection=gumbel", "codebook.scope=shared", "masking.strategy=random",
     "masking.ratio=0.75"],
)  # fmt: skip
def test_mixed_candidates_own_codebooks_region_masks_and_their_ratio_show_in_landmarks(setting):
    assert change("landmarks", setting).high < 0


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_shows_of_spatial_consistency_on_pixels(family):
    found = change(family, "loss.spatial=0")
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    "setting", ["belief.incubation_epochs=0", "belief.place=two-pass", "loss.spatial_on=features"]
)
def test_pose_is_better_without_incubation_with_a_second_pass_and_with_a_teacher(setting):
    assert change("pose", setting).low > 0


@pytest.mark.parametrize("family", ["expression", "recognition"])
def test_in_expression_and_recognition_only_the_leak_shows(family):
    lines = {found.row.method for found in reference()[0] if found.row.method.startswith(ABLATION)}
    for line in lines - {ABLATION + "belief.sees=pixels"}:
        found = change(family, line.removeprefix(ABLATION))
        assert found.low < 0 < found.high, line
