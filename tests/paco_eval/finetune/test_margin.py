"""Margin losses against their formulas written out for one sample at a time."""

import math

import numpy as np
import pytest
import torch

from paco_eval.finetune.margin import CentreHead, arcface_logits, cosface_logits, cosines, margin_loss


def made(batch=6, classes=5, dim=8, seed=0):
    torch.manual_seed(seed)
    features, centres = (
        torch.randn(batch, dim, dtype=torch.float64),
        torch.randn(classes, dim, dtype=torch.float64),
    )
    return features, centres, torch.randint(0, classes, (batch,))


@pytest.mark.parametrize(("name", "margin"), [("cosface", 0.35), ("arcface", 0.5), ("arcface", 1.2)])
def test_against_the_formula(name, margin):
    features, centres, labels = made()
    total = 0.0
    for x, y in zip(features.numpy(), labels.tolist(), strict=True):
        angles = [math.acos(float(x @ w) / np.linalg.norm(x) / np.linalg.norm(w)) for w in centres.numpy()]
        logits = [64 * math.cos(angle) for angle in angles]
        if name == "cosface":
            logits[y] = 64 * (math.cos(angles[y]) - margin)
        elif angles[y] + margin < math.pi:
            logits[y] = 64 * math.cos(angles[y] + margin)
        else:
            logits[y] = 64 * (math.cos(angles[y]) - margin * math.sin(margin))
        top = max(logits)
        total += top + math.log(sum(math.exp(v - top) for v in logits)) - logits[y]
    loss = margin_loss(cosines(features, centres), labels, name, margin)
    assert loss.item() == pytest.approx(total / len(labels), rel=1e-6)


@pytest.mark.parametrize("logits", [cosface_logits, arcface_logits])
def test_no_margin_is_a_scaled_softmax_and_a_margin_costs(logits):
    features, centres, labels = made()
    cosine = cosines(features, centres)
    torch.testing.assert_close(logits(cosine, labels, 0.0), 64 * cosine, atol=1e-4, rtol=1e-5)
    lower = logits(cosine, labels, 0.4).gather(1, labels[:, None])
    assert (lower < 64 * cosine.gather(1, labels[:, None])).all()


def test_gradients_are_finite_at_the_ends_and_the_loss_falls_with_the_angle():
    labels = torch.tensor([0, 0])
    cosine = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    margin_loss(cosine, labels, "arcface", 0.5).backward()
    assert torch.isfinite(cosine.grad).all()
    angle = torch.linspace(0.0, math.pi, 200, dtype=torch.float64)
    own = arcface_logits(torch.cos(angle)[:, None].repeat(1, 2), torch.zeros(200, dtype=torch.long))[:, 0]
    assert (own.diff() <= 1e-3).all()


def test_head_learns_two_people_and_then_steps_aside():
    torch.manual_seed(0)
    head, labels = CentreHead(4, 2), torch.tensor([0, 1])
    features = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    optimiser = torch.optim.SGD(head.parameters(), lr=0.01)
    before = margin_loss(head(features), labels, "arcface", 0.5).item()
    for _ in range(50):
        optimiser.zero_grad()
        loss = margin_loss(head(features), labels, "arcface", 0.5)
        loss.backward()
        optimiser.step()
    assert loss.item() < before / 10
    assert head.eval()(features) is features
    with pytest.raises(ValueError, match="two classes"):
        CentreHead(4, 1)


def test_half_precision_is_widened():
    features, centres, _ = made()
    assert cosines(features.bfloat16(), centres.bfloat16()).dtype == torch.float32
