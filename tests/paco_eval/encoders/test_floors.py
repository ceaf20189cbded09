"""Raw pixels as a floor: centred and uncentred, at two sizes."""

from __future__ import annotations

import numpy as np
import torch

from paco_eval.encoders.baselines import Pixels
from paco_fr.faces.pixels import prepare


def test_uncentred_blocks_hold_the_values_themselves() -> None:
    """Centred values alone made raw pixels a weak floor under changing light: 31 where the same values uncentred reach 55."""
    rng, encoder = np.random.default_rng(0), Pixels()
    picture = rng.integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    found = encoder.tokens(prepare(picture, encoder.pixels), encoder.blocks)
    assert list(found) == ["16x16", "32x32", "16x16 uncentred", "32x32 uncentred"]
    plain = torch.tensor(picture.reshape(1, -1, 3) / 255.0)
    torch.testing.assert_close(found["32x32 uncentred"].patches.double(), plain, atol=1e-6, rtol=0)
    torch.testing.assert_close(found["32x32"].patches.double(), (plain - 0.5) * 4, atol=1e-5, rtol=0)
    halves = plain.reshape(16, 2, 16, 2, 3).mean((1, 3)).reshape(1, -1, 3)
    torch.testing.assert_close(found["16x16 uncentred"].patches.double(), halves, atol=1e-6, rtol=0)
    # Half the light is the same direction to uncentred values, another to centred ones.
    dim = encoder.tokens(prepare(picture // 2, encoder.pixels), encoder.blocks)
    same = {
        name: torch.cosine_similarity(found[name].patches.flatten(), dim[name].patches.flatten(), 0)
        for name in found
    }
    assert same["32x32 uncentred"] > 0.999 > 0.9 > same["32x32"]
