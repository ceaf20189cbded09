"""Every switch of the method: it runs, it does what it says, and what cannot go together is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from paco_fr.baselines import build_objective
from paco_fr.config import load_recipe, parse_config
from paco_fr.model.losses import relation_spread
from paco_fr.model.patches import add_colour, borrowed_colour, split_colour
from paco_fr.train.batches import Views, shown_share
from paco_fr.train.log import alarms
from paco_fr.train.pretrain import pretrain
from paco_fr.utils.errors import PacoError
from tests.fixtures.child import in_processes
from tests.paco_fr.conftest import batch_of, config_on, pool_of, small_config
from tests.paco_fr.model.test_paco import PLACES, model_of, other_hidden_pixels
from tests.paco_fr.train.test_resume import curve, words

SWITCHES = {
    "two passes": {"belief": {"place": "two-pass"}},
    "one codebook": {"codebook": {"scope": "shared"}},
    "structure": {"codebook": {"content": "structure"}},
    "structure, shared, two passes": {
        "codebook": {"content": "structure", "scope": "shared"}, "belief": {"place": "two-pass"},
    },
    "always revived": {"codebook": {"revive": "always"}},
    "one candidate": {"codebook": {"candidates": 1}},
    "eight candidates": {"codebook": {"candidates": 8}},
    "codes moved by the gradient alone": {"codebook": {"rate": 0.0, "incubation_rate": 0.0, "revive": "never"}},
    "no incubation": {"belief": {"incubation_epochs": 0.0}},
    "random masks": {"masking": {"strategy": "random"}},
    "block masks": {"masking": {"strategy": "block"}},
    "normalised": {"loss": {"target": "normalised"}},
    "features": {"loss": {"spatial_on": "features"}},
    "features, two passes": {"loss": {"spatial_on": "features"}, "belief": {"place": "two-pass"}},
    "no spatial term": {"loss": {"spatial": 0.0}},
    "decoder": {"decoder": {"depth": 2, "dim": 32}},
    "linear decoder": {"decoder": {"depth": 0}},
}  # fmt: skip


@pytest.mark.parametrize("changes", SWITCHES.values(), ids=SWITCHES.keys())
def test_every_switch_learns_and_none_leaks(changes):
    config = small_config(**changes)
    model, batch = model_of(config), batch_of(config)
    seen = []
    model.belief.register_forward_hook(lambda *call: seen.append(call[2].detach().clone()))
    first, other = model(batch), model(other_hidden_pixels(batch, config))
    assert torch.equal(seen[0], seen[1]) and torch.equal(first.believed, other.believed)
    assert not torch.equal(first.loss, other.loss)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for step in range(8):
        output = model(batch)
        output.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        extra = model.after_step(batch, output, step / 8, np.random.default_rng(step))
        assert all(np.isfinite(float(value)) for value in [*output.terms.values(), *extra.values()])
    told = model(replace(batch, watched=True))
    assert torch.equal(told.predicted, model(batch).predicted)
    assert {"belief_accuracy", "token_error"} <= set(told.terms) - set(output.terms)
    assert model(batch).terms["reconstruction"] < 0.98 * first.terms["reconstruction"]


def test_leaked_pixels_reach_the_belief_for_the_whole_run():
    config = small_config(belief={"sees": "pixels"})
    model, batch = model_of(config), batch_of(config)
    assert batch.shown.all() and shown_share(config, 50.0) == 1.0
    seen = []
    model.belief.register_forward_hook(lambda *call: seen.append(call[2].detach().clone()))
    model(batch), model(other_hidden_pixels(batch, config))
    assert not torch.equal(seen[0], seen[1])


def trained(steps: int, **changes) -> dict[str, str]:
    """Return the alarms after so many steps on four large patches, one epoch being five steps."""
    config = small_config(
        **{"encoder": {"size": 16, "patch": 8, "dim": 24, "depth": 1, "heads": 2}, **changes}
    )
    views = Views(pool_of(config, 80), config)
    torch.manual_seed(0)
    model = build_objective(config)
    model.start(views.at(range(80)), np.random.default_rng(0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        batch = replace(views.at(range(step * 16, step * 16 + 16)), watched=True)
        output = model(batch)
        output.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        extra = model.after_step(batch, output, step / 5, np.random.default_rng(step))
    means = {name: float(value) for name, value in {**output.terms, **extra}.items()}
    return alarms(means, config, steps / 5)


@pytest.mark.parametrize("place", PLACES)
def test_collapse_is_provoked_and_caught(place):
    settings = {"codebook": {"tokens": 64, "memory": 0.3}, "belief": {"place": place}}
    found = trained(60, **settings, loss={"belief": 0.0})
    assert set(found) == {"collapse"} and "Raise loss.belief (now 0)" in found["collapse"]
    assert not trained(60, **settings)


def test_a_leak_is_provoked_and_caught():
    mixed = {"codebook": {"tokens": 8, "candidates": 8, "temperature": 1.0}, "loss": {"belief": 0.1}}
    found = trained(150, **mixed, belief={"sees": "pixels"})
    assert set(found) == {"leak"} and "belief.sees=pixels" in found["leak"]
    assert not trained(60, **mixed)


def test_alarms_wait_for_the_end_of_incubation_and_watch_the_teacher(config):
    means = {"belief_perplexity": 0.1, "tokens_believed": 0.01, "token_error": 1.0, "quantisation_error": 0.5}
    assert not alarms(means, config, 1.2) and set(alarms(means, config, 1.6)) == {"collapse"}
    taught = small_config(loss={"spatial_on": "features"})
    assert "features" in alarms({"spatial_spread": 0.01}, taught, 0.0)
    assert not alarms({"spatial_spread": 0.3}, taught, 0.0)
    assert "teacher" in alarms({"teacher_spread": 0.01}, taught, 0.0)
    assert not alarms({"teacher_spread": 0.3}, taught, 0.0)


def test_an_alarm_is_said_once(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("paco_fr.train.pretrain.alarms", lambda *_: {"collapse": "Collapse: as told."})
    said: list[str] = []
    pretrain(config_on(faces, optimiser={"presentations": 16 * 45}), tmp_path / "run", say=said.append)
    assert [line for line in said if "Collapse" in line] == ["Step 20: Collapse: as told."]


def test_an_untrained_encoder_is_a_run_without_a_step(faces, tmp_path):
    from paco_eval.encoders.random import load as load_random
    from paco_fr.checkpoint import load_encoder

    out = pretrain(config_on(faces, objective="untrained"), tmp_path / "run")
    card = load_encoder(out)[1]
    assert card["presentations"] == 0 and card["objective"] == "untrained"
    size = {f"encoder.{k}": v for k, v in load_recipe("tiny").encoder.model_dump().items()}
    tiny = pretrain(
        config_on(faces, objective="untrained", encoder={k[8:]: v for k, v in size.items()}),
        tmp_path / "tiny",
    )
    assert torch.equal(load_encoder(tiny)[0].pos_embed, load_random("random:tiny@0").model.pos_embed)


def test_the_teacher_follows_without_a_gradient():
    config = small_config(loss={"spatial_on": "features", "teacher_rate": 0.25})
    model, batch = model_of(config), batch_of(config)
    before = model.spatial.teacher.pos_embed.clone()
    with torch.no_grad():
        model.encoder.pos_embed += 1.0
    output = model(batch)
    output.loss.backward()
    assert all(parameter.grad is None for parameter in model.spatial.teacher.parameters())
    model.after_step(batch, output, 2.0, np.random.default_rng(0))
    torch.testing.assert_close(model.spatial.teacher.pos_embed, before + 0.25)


def test_spread_is_that_of_different_present_regions():
    patches, regions = torch.randn(3, 6, 4), torch.tensor([[0, 0, 1, 1, 3, 3]]).expand(3, -1)
    same = patches.clone()
    same[:] = torch.tensor([1.0, -1.0, 0.5, 0.0])
    assert relation_spread(same, regions) < 1e-6 < relation_spread(patches, regions)


def test_structure_and_colour_make_the_patch_again():
    patches = 2 + torch.randn(2, 16, 48)
    structure, colour = split_colour(patches)
    torch.testing.assert_close(add_colour(structure, colour), patches, atol=1e-4, rtol=1e-4)
    pixels = structure.unflatten(-1, (-1, 3))
    torch.testing.assert_close(pixels.mean(-2), torch.zeros(2, 16, 3), atol=1e-5, rtol=0)


def test_colour_is_borrowed_from_visible_neighbours_alone():
    colour = torch.zeros(1, 16, 4)
    colour[0, 5], colour[0, 15] = 7.0, 100.0
    hidden, visible = torch.tensor([[4, 15]]), torch.tensor([[0, 5, 12]])
    found = borrowed_colour(colour, visible, hidden)
    near, above, below = np.exp(-np.array([1, 1, 4]) / 1.2)
    torch.testing.assert_close(found[0, 0], torch.full((4,), float(7 * near / (near + above + below))))
    assert (found[0, 1] < 7.1).all()
    lone = borrowed_colour(torch.full((1, 256, 4), 3.0), torch.tensor([[0]]), torch.tensor([[1, 255]]))
    assert (lone[0, 0] == 3).all() and (
        lone[0, 1] == 0
    ).all()  # nothing is seen near the last of 16 x 16 places


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"decoder": {"dim": 25}}, "dim 25 is not divisible by heads 2"),
        ({"encoder": {"size": 30}}, "size 30 is not divisible by patch 8"),
        ({"masking": {"ratio": 0.99}}, "hides 16 of 16 patches"),
        ({"codebook": {"temperature": 0.0}}, r"codebook\.temperature"),
        ({"codebook": {"scopes": "shared"}}, r"codebook\.scopes"),
    ],
)
def test_what_cannot_go_together_is_refused(changes, named):
    with pytest.raises(PacoError, match=named):
        small_config(**changes)


def test_more_codes_than_data_are_refused(faces, tmp_path):
    with pytest.raises(PacoError, match=r"codebook\.tokens 25 exceed the 24 patches"):
        pretrain(config_on(faces, codebook={"tokens": 25}), tmp_path / "run")


def test_configurations_written_before_a_switch_existed_are_read_with_its_default():
    old = load_recipe("tiny").model_dump(mode="json")
    for section, key in (
        ("codebook", "scope"),
        ("belief", "sees"),
        ("masking", "region_share"),
        ("loss", "spatial_on"),
    ):
        del old[section][key]
    assert parse_config(old, "an old card") == load_recipe("tiny")


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_switches_on(faces, tmp_path):
    """A shared codebook, its revival and the teacher do not depend on how a batch is spread."""
    config = config_on(
        faces,
        codebook={"scope": "shared", "revive": "always"},
        loss={"spatial_on": "features"},
        optimiser={"batch": 16, "presentations": 64},
    )
    one = pretrain(config, tmp_path / "one")
    in_processes(2, *words(config, tmp_path / "two"))
    for term in ("reconstruction", "belief", "spatial", "perplexity", "token_error"):
        assert curve(tmp_path / "two")[-1][term] == pytest.approx(curve(one)[-1][term], rel=1e-4), term
