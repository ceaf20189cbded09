from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from paco_fr.baselines import build_objective
from paco_fr.model.belief import candidates
from paco_fr.model.losses import belief_loss
from paco_fr.model.objective import completed
from paco_fr.model.patches import patchify, put, take, unpatchify
from paco_fr.model.vit import build_encoder, encode
from paco_fr.train.batches import Views
from tests.paco_fr.conftest import batch_of, pool_of, small_config

PLACES = ["trunk", "two-pass"]


def model_of(config, seed=0):
    torch.manual_seed(seed)
    model = build_objective(config)
    model.start(Views(pool_of(config), config).at(range(16)), np.random.default_rng(0))
    return model


def other_hidden_pixels(batch, config):
    """Return the batch with noise in place of every hidden patch."""
    patches = patchify(batch.images, config.encoder.patch)
    noise = torch.randn(*batch.hidden.shape, patches.shape[-1])
    return replace(batch, images=unpatchify(put(patches, batch.hidden, noise), config.encoder.patch))


@pytest.mark.parametrize("content", ["raw", "structure"])
@pytest.mark.parametrize("place", PLACES)
def test_hidden_pixels_cannot_reach_what_is_believed_or_repaired_after_incubation(place, content):
    config = small_config(belief={"place": place}, codebook={"content": content})
    model, batch = model_of(config).eval(), batch_of(config)
    assert batch.shown is None
    seen = {}
    model.belief.register_forward_hook(lambda *call: seen.__setitem__("logits", call[2]))
    first = model(batch)
    logits = seen["logits"].clone()
    second = model(other_hidden_pixels(batch, config))
    assert torch.equal(seen["logits"], logits)
    assert torch.equal(first.believed, second.believed)
    assert torch.equal(first.filling, second.filling) and torch.equal(first.predicted, second.predicted)


def test_the_leak_guard_would_see_a_leak():
    config = small_config()
    model, batch = model_of(config), batch_of(config)
    leaking = replace(batch, shown=torch.ones_like(batch.hidden, dtype=torch.bool))
    seen = []
    model.belief.register_forward_hook(lambda *call: seen.append(call[2].clone()))
    model(leaking)
    model(replace(leaking, images=torch.randn_like(batch.images)))
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("place", PLACES)
def test_the_gradient_of_the_reconstruction_reaches_the_codes(place):
    config = small_config(belief={"place": place}, loss={"belief": 0.0, "spatial": 0.0})
    model = model_of(config)
    model(batch_of(config)).loss.backward()
    gradient = model.codebook.tokens.grad
    assert gradient is not None and gradient.abs().sum() > 0
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("place", PLACES)
def test_the_belief_cross_entropy_reaches_the_encoder(place):
    config = small_config(belief={"place": place}, loss={"spatial": 0.0})
    model, batch = model_of(config), batch_of(config)
    encoder = list(model.encoder.blocks.parameters())
    logits = []
    model.belief.register_forward_hook(lambda *call: logits.append(call[2]))
    output = model(batch)
    truth = output.assigned.gather(1, batch.hidden)
    (gradient,) = torch.autograd.grad(belief_loss(logits[0], truth), encoder[:1])
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("place", PLACES)
def test_visible_patches_stay_and_hidden_ones_are_tokens(place):
    config = small_config(belief={"place": place})
    model, batch = model_of(config).eval(), batch_of(config)
    output = model(batch)
    patches = patchify(batch.images, config.encoder.patch)
    corrupted = completed(patches, batch, output)
    for row in range(len(patches)):
        visible = batch.visible[row]
        assert torch.equal(corrupted[row, visible], patches[row, visible])
    hidden = take(corrupted, batch.hidden)
    for row in range(len(patches)):
        low = model.codebook.tokens[batch.hidden[row]].min(1).values
        high = model.codebook.tokens[batch.hidden[row]].max(1).values
        assert (hidden[row] >= low - 1e-5).all() and (hidden[row] <= high + 1e-5).all()


def test_the_trunk_mixes_pictures_of_tokens_only_where_somebody_looks():
    config = small_config(loss={"spatial": 0.0})
    model, batch = model_of(config), batch_of(config)
    plain, watched, looked = model(batch), model(replace(batch, watched=True)), model.eval()(batch)
    assert plain.filling is None and plain.tokens is None
    assert torch.equal(watched.tokens, looked.tokens) and not watched.tokens.requires_grad
    assert torch.equal(plain.loss, watched.loss), "looking changes nothing that is learned"


@pytest.mark.parametrize("content", ["raw", "structure"])
def test_tokens_are_likened_to_patches_in_single_precision_under_autocast(content):
    config = small_config(codebook={"content": content})
    model, batch = model_of(config), batch_of(config)
    plain = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(batch)
    assert half.matter.dtype == torch.float32
    assert torch.equal(half.matter, plain.matter) and torch.equal(half.assigned, plain.assigned)


def test_data2vec_teaches_the_mean_of_normalised_blocks_without_a_gradient():
    config = small_config(objective="data2vec")
    model, batch = model_of(config), batch_of(config)
    patches = patchify(batch.images, config.encoder.patch)
    places = torch.arange(patches.shape[1]).expand(len(patches), -1)
    taught, blocks = model.taught(patches), []
    for block in model.teacher.blocks:
        block.register_forward_hook(lambda *call: blocks.append(call[2]))
    encode(model.teacher, patches, places)
    mean, deviation = (getattr(torch.stack(blocks), name)(-1, keepdim=True) for name in ("mean", "std"))
    torch.testing.assert_close(
        taught, ((torch.stack(blocks) - mean) / deviation).mean(0), rtol=0.02, atol=0.02
    )
    before = [p.clone() for p in model.teacher.parameters()]
    with torch.no_grad():
        for p in model.encoder.parameters():
            p.add_(1.0)
    output = model(replace(batch, watched=True))
    output.loss.backward()
    assert all(p.grad is None for p in model.teacher.parameters()) and output.terms["teacher_spread"] > 0.05
    model.after_step(batch, output, 1.0, np.random.default_rng(0))
    rate = config.loss.teacher_rate
    for old, now in zip(before, model.teacher.parameters(), strict=True):
        torch.testing.assert_close(now, old + rate)


def test_one_candidate_is_the_most_believed_token():
    logits = torch.randn(2, 3, 8)
    believed, weights = candidates(logits, 1, 0.5)
    assert torch.equal(believed, logits.argmax(-1))
    assert torch.equal(weights, torch.eye(8)[believed])


def test_candidates_share_a_softmax_and_all_others_have_nothing():
    logits = torch.randn(2, 3, 8)
    believed, weights = candidates(logits, 4, 0.5)
    assert torch.equal(believed, logits.argmax(-1))
    best = logits.sort(-1, descending=True).values
    expected = torch.softmax(logits.masked_fill(logits < best[..., 3:4], -torch.inf) / 0.5, -1)
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize(
    ("objective", "place", "steps"),
    [("paco", "trunk", 300), ("paco", "two-pass", 300), ("mae", "trunk", 150)],
)
def test_eight_faces_can_be_learned_by_heart(objective, place, steps):
    config = small_config(
        objective=objective, encoder={"dim": 48}, decoder={"dim": 48}, belief={"place": place}
    )
    model, batch = model_of(config), batch_of(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(steps):
        output = model(batch)
        output.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        model.after_step(batch, output, 2.0, np.random.default_rng(step))
        losses.append(output.terms["reconstruction"].item())
    assert losses[-1] < 0.05 * losses[0]


# One forward and one AdamW step of a fixed small model: a change of any number here is a change of method.
GOLDEN = {
    ("paco", "trunk"): [1.9959, 0.504137, 2.080273, 0.451653, 1.964464],
    ("paco", "two-pass"): [1.996258, 0.504396, 2.080273, 0.451725, 1.964556],
    ("mae", "trunk"): [0.502301, 0.502301, 0.492287],
}

GOLDEN_SWITCHES = {
    "simmim": ({"objective": "simmim"}, [0.50252, 0.50252, 0.492449]),
    "data2vec": ({"objective": "data2vec"}, [0.982534, 0.982534, 0.943219]),
    "untrained": ({"objective": "untrained"}, [0.0, 0.0, 0.0]),
    "trunk of structure": ({"codebook": {"content": "structure"}}, [1.994238, 0.504499, 2.076087, 0.451696, 1.946816]),
    "one codebook of structure": (
        {"codebook": {"scope": "shared", "content": "structure"}},
        [1.99422, 0.504501, 2.075982, 0.451727, 1.946365],
    ),
    "features": (
        {"loss": {"spatial_on": "features"}},
        [1.545316, 0.503678, 2.077507, 0.002884, 1.529123],
    ),
    "leak": ({"belief": {"sees": "pixels"}}, [1.995536, 0.504209, 2.079393, 0.45163, 1.949496]),
    "no incubation": (
        {"belief": {"incubation_epochs": 0.0}},
        [1.996378, 0.50405, 2.081457, 0.4516, 1.983431],
    ),
}  # fmt: skip


def golden_values(**changes: Any) -> list[float]:
    config = small_config(**changes)
    model = build_objective(config)
    with torch.no_grad():  # weights that no initialiser of another version can change
        for number, (_, parameter) in enumerate(sorted(model.named_parameters())):
            steps = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((0.1 * torch.sin(1.7 * steps + number)).float().view_as(parameter))
    batch = batch_of(config, start=20)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = model(batch)
    first.loss.backward()
    optimiser.step()
    model.after_step(batch, first, 0.5, np.random.default_rng(0))
    second = model(batch)
    terms = [
        first.terms[name].item() for name in ("reconstruction", "belief", "spatial") if name in first.terms
    ]
    return [first.loss.item(), *terms, second.loss.item()]


@pytest.mark.parametrize(("objective", "place"), list(GOLDEN))
def test_golden_values_of_a_forward_and_a_step(objective, place):
    found = golden_values(objective=objective, belief={"place": place})
    assert found == pytest.approx(GOLDEN[objective, place], rel=2e-4)


@pytest.mark.parametrize(("changes", "values"), GOLDEN_SWITCHES.values(), ids=GOLDEN_SWITCHES.keys())
def test_golden_values_of_rivals_and_switches(changes, values):
    assert golden_values(**changes) == pytest.approx(values, rel=2e-4)


def test_visible_tokens_alone_equal_a_plain_pass_over_them():
    config = small_config()
    torch.manual_seed(0)
    vit = build_encoder(config.encoder).eval()
    images, cells = torch.randn(2, 3, 32, 32), torch.tensor([[0, 3, 9], [2, 5, 15]])
    tokens = vit.patch_embed(images) + vit.pos_embed
    plain = torch.stack([vit.norm(vit.blocks(tokens[row : row + 1, cells[row]]))[0] for row in range(2)])
    patches = patchify(images, config.encoder.patch)
    torch.testing.assert_close(encode(vit, take(patches, cells), cells), plain)
    everywhere = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(encode(vit, patches, everywhere), vit.forward_features(images))
