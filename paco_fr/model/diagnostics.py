"""What a trained PaCo-FR makes of pictures: diagnostics of its codebook and belief, and views for the eye."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paco_fr.config import PretrainConfig
from paco_fr.model.masking import draw_hidden
from paco_fr.model.objective import Batch
from paco_fr.model.paco import PaCo
from paco_fr.model.patches import add_colour, everywhere, patchify, take
from paco_fr.model.regions import region_map
from paco_fr.utils.random import generator


def masked_batch(images: Tensor, config: PretrainConfig, anchor: str = "") -> Batch:
    """Return prepared pictures (B, 3, S, S) with masks drawn from what they show, as at the end of a run.

    Args:
        images: prepared pictures.
        config: of the run; masks follow its strategy and ratio.
        anchor: name of the region map; empty for that of the run's template.

    """
    regions = region_map(anchor or config.data.template, config.encoder.grid)
    pictures = images.detach().cpu().numpy()
    keys = [zlib.crc32(np.round(16 * picture).astype(np.int16).tobytes()) for picture in pictures]
    hidden = np.stack(
        [
            draw_hidden(config.masking, config.hidden_cells, regions, generator("diagnostics", key))
            for key in keys
        ]
    )
    visible = np.stack([np.setdiff1d(np.arange(config.encoder.cells), cells) for cells in hidden])
    batch = Batch(
        images=images,
        hidden=torch.from_numpy(hidden),
        visible=torch.from_numpy(visible),
        regions=torch.from_numpy(regions).expand(len(images), -1),
        shown=torch.ones(hidden.shape, dtype=torch.bool) if config.belief.sees == "pixels" else None,
    )
    return batch.to(images.device)


def diagnose(
    model: PaCo, config: PretrainConfig, images: Tensor, masks_of: Tensor | None = None
) -> Mapping[str, Tensor]:
    """Return what codebook and belief make of prepared pictures with hidden patches.

    Args:
        model: in evaluation mode.
        config: of its run.
        images: prepared pictures (B, 3, S, S).
        masks_of: pictures that masks are drawn from; by default the pictures themselves.

    Returns:
        ``hidden`` (B, M) places; ``matter`` (B, N, D) true patches as tokens see them; ``tokens`` (B, M, D)
        what was put in hidden places; ``nearest`` (B, N) and ``believed`` (B, M) tokens, counted through all
        codebooks; ``sizes`` (2,) number of all tokens and of those of one codebook.

    """
    batch = replace(masked_batch(images if masks_of is None else masks_of, config), images=images)
    output = model(batch)
    assert output.assigned is not None and output.believed is not None and output.tokens is not None
    assert output.matter is not None
    places = everywhere(output.matter)
    return {
        "hidden": batch.hidden,
        "matter": output.matter,
        "tokens": output.tokens,
        "nearest": model.codebook.rows(places, output.assigned),
        "believed": model.codebook.rows(batch.hidden, output.believed),
        "sizes": torch.tensor([model.codebook.usage.numel(), config.codebook.tokens]),
    }


@torch.no_grad()
def belief_attention(model: PaCo, batch: Batch) -> Tensor:
    """Return how much each place looks at every other in the trunk's last block, (B, N, N), mean over heads."""
    body: Any = model.decoder  # timm declares no types
    attention = body.blocks[-1].attn
    inputs: list[Tensor] = []
    handle = attention.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    try:
        model(batch)
    finally:
        handle.remove()
    query, key, _ = (
        attention.qkv(inputs[0]).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    )
    products: Tensor = attention.q_norm(query) @ attention.k_norm(key).transpose(-2, -1)
    looked = (products * float(attention.scale)).softmax(-1).mean(1)
    order = batch.places.argsort(1)  # from the order of the blocks to that of the places
    pictures = torch.arange(len(order), device=order.device)[:, None, None]
    return looked[pictures, order[:, :, None], order[:, None]]


@torch.no_grad()
def nearest_tokens(model: PaCo, batch: Batch, cells: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the tokens nearest to the true patches at ``cells`` (B, M), nearest first.

    Returns:
        tokens as patches (B, M, count, D), in the colour of the true patch where codes have none, and their
        mean squared distances (B, M, count) as the codebook measures them.

    """
    patches = patchify(batch.images, model.config.encoder.patch)
    matter, colour = model.matter(patches)
    matter = take(matter, cells)
    tokens = model.codebook.tokens[model.codebook.books(cells)]  # (B, M, K, D)
    distances, order = (tokens - matter[:, :, None]).square().mean(-1).sort(-1)
    best = tokens.gather(2, order[..., :count, None].expand(-1, -1, -1, tokens.shape[-1]))
    if colour is not None:
        own = take(colour, cells)[:, :, None].expand(-1, -1, count, -1)
        best = add_colour(best.flatten(1, 2), own.flatten(1, 2)).view_as(best)
    return best, distances[..., :count]
