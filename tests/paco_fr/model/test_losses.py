from __future__ import annotations

import torch
import torch.nn.functional as F

from paco_fr.model.losses import belief_loss, region_relations, spatial_loss
from paco_fr.model.patches import beside, normalise_patches, patchify, put, take, unpatchify


def test_patches_and_back():
    images = torch.randn(2, 3, 16, 16)
    patches = patchify(images, 4)
    assert patches.shape == (2, 16, 48)
    torch.testing.assert_close(unpatchify(patches, 4), images)
    torch.testing.assert_close(patches[1, 6].reshape(4, 4, 3), images[1, :, 4:8, 8:12].permute(1, 2, 0))


def test_take_put_and_beside_undo_each_other():
    tokens = torch.randn(3, 6, 5)
    order = torch.stack([torch.randperm(6) for _ in range(3)])
    first, second = order[:, :2], order[:, 2:]
    side_by_side = beside(take(tokens, first), take(tokens, second))
    torch.testing.assert_close(take(side_by_side, order.argsort(1)), tokens)
    changed = put(tokens, first, torch.zeros(3, 2, 5))
    torch.testing.assert_close(take(changed, second), take(tokens, second))
    assert (take(changed, first) == 0).all()


def test_normalised_patches_have_no_mean_and_unit_spread():
    patches = normalise_patches(3 + 2 * torch.randn(2, 4, 300))
    torch.testing.assert_close(patches.mean(-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(patches.std(-1, correction=0), torch.ones(2, 4), atol=1e-3, rtol=0)


def test_belief_loss_is_cross_entropy():
    logits, truth = torch.randn(2, 3, 5), torch.randint(0, 5, (2, 3))
    slow = -torch.log_softmax(logits, -1).gather(2, truth[..., None]).mean()
    torch.testing.assert_close(belief_loss(logits, truth), slow)


def test_spatial_loss_is_zero_for_the_truth_and_ignores_contrast():
    patches, regions = torch.randn(2, 9, 6), torch.tensor([[0, 0, 1, 1, 2, 2, 3, 3, 3]]).expand(2, -1)
    assert spatial_loss(patches, patches, regions) == 0
    torch.testing.assert_close(
        spatial_loss(2 * patches, patches, regions), torch.tensor(0.0), atol=1e-6, rtol=0
    )
    swapped = patches.clone()
    swapped[:, :2], swapped[:, 2:4] = patches[:, 2:4], patches[:, :2]
    assert spatial_loss(swapped, patches, regions) > 1e-3


def test_region_relations_equal_a_plain_computation():
    patches, regions = torch.randn(1, 6, 4), torch.tensor([[0, 0, 1, 1, 1, 3]])
    pooled = torch.stack([patches[0, :2].mean(0), patches[0, 2:5].mean(0), patches[0, 5]])
    centred = F.normalize(pooled - pooled.mean(0), dim=-1)
    relations = region_relations(patches, regions)[0]
    kept = [0, 1, 3]
    torch.testing.assert_close(relations[kept][:, kept], centred @ centred.T)
    assert (relations[2] == 0).all()
