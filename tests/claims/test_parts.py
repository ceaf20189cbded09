"""What each part is worth: one change of the recipe a line, in equal time, corrected over the lines and families."""

from __future__ import annotations

from functools import cache

from paco_eval.encoders.paco import retrain_command
from paco_fr.config import load_recipe
from tests.claims.reference import FAMILIES, FOLDER, reference, stored, verdicts

RECIPE = "paco/parts"


@cache
def lines() -> list[str]:
    return sorted({s.row.method for s in reference()[0] if s.row.method.startswith(f"{RECIPE}, ")})


def test_lines_are_the_recipe_with_their_change():
    """The belief in blocks of its own was measured by a version that had it."""
    assert len(lines()) == 11
    for line in (RECIPE, *lines()):
        changes = dict(text.split("=") for text in line.split(", ")[1:])
        gone = changes.pop("belief.place") if "visible" in line else ""
        for family in FAMILIES:
            rows = [found.row for found in stored(f"{family}/synthetic", line)]
            assert [row.pretrain_seed for row in rows] == [0, 1, 2]
            assert len({row.data_fingerprint for row in rows}) == 1
            for row in rows:
                named = {"name": line.removeprefix("paco/"), "seed": row.pretrain_seed}
                recipe = load_recipe(str(FOLDER / "recipes" / "parts.toml"), changes | named)
                config = recipe.model_dump(mode="json")
                config["belief"]["place"] = gone or config["belief"]["place"]
                assert row.retrain == retrain_command(config)


@cache
def compared() -> dict[tuple[str, str], str]:
    return verdicts(RECIPE, *lines())


def said(word: str) -> dict[str, set[str]]:
    """Return the families in which a line is said to be better or worse than the recipe."""
    assert len(compared()) == len(lines()) * len(FAMILIES)
    kept: dict[str, set[str]] = {}
    for (line, family), verdict in compared().items():
        if verdict == word:
            change = line.removeprefix(f"{RECIPE}, ").partition(", optimiser")[0]
            kept.setdefault(change, set()).add(family)
    return kept


def test_what_is_worse_than_the_recipe():
    assert said("worse") == {
        "belief.place=visible": {"pose", "landmarks", "recognition"},
        "belief.place=two-pass": {"pose", "landmarks"},
        "loss.belief=0": {"pose", "landmarks"},
    }


def test_nothing_is_better_than_the_recipe():
    assert said("better") == {}
