"""The terms of the loss: reconstruction and belief, functions of patches, and spatial consistency with its teacher."""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from paco_fr.config import LossConfig
from paco_fr.model.objective import Batch
from paco_fr.model.patches import everywhere, normalise_patches, pick, put, take
from paco_fr.model.vit import encode


def target_patches(patches: Tensor, kind: str) -> Tensor:
    """Return what the decoder should predict: the pixels, or each patch's own normalised pixels."""
    return normalise_patches(patches) if kind == "normalised" else patches


def belief_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of logits (B, M, K) against the nearest token (B, M) of the true patch.

    Our choice. It stays on for the whole run: without it the codebook collapses to one token a place while
    the reconstruction looks as good as ever.
    """
    return F.cross_entropy(logits.flatten(0, 1), truth.flatten())


def spatial_loss(predicted: Tensor, target: Tensor, regions: Tensor) -> Tensor:
    """Squared difference of the region-pair relations of two pictures (paper: geometric relations of facial
    components are kept consistent; the formula is our choice).

    Args:
        predicted: (B, N, D) patches of the completed picture.
        target: (B, N, D) patches of the original.
        regions: (B, N) region of each cell.

    """
    return F.mse_loss(region_relations(predicted, regions), region_relations(target, regions))


def region_relations(patches: Tensor, regions: Tensor) -> Tensor:
    """Return the cosine similarities (B, R, R) of centred, region-pooled patches (B, N, D).

    Absent regions pool to zero and relate to nothing.
    """
    member = F.one_hot(regions, int(regions.max()) + 1).to(patches.dtype)
    counts = member.sum(1)
    pooled = torch.einsum("bnr,bnd->brd", member, patches) / counts.clamp_min(1)[..., None]
    present = (counts > 0).to(patches.dtype)[..., None]
    mean = (pooled * present).sum(1, keepdim=True) / present.sum(1, keepdim=True)
    centred = F.normalize((pooled - mean) * present, dim=-1, eps=1e-6)
    return centred @ centred.transpose(1, 2)


@torch.no_grad()
def relation_spread(patches: Tensor, regions: Tensor) -> Tensor:
    """Return the standard deviation of the relations between different regions that are present.

    Near zero, all regions relate alike and the spatial term has nothing left to teach: collapse.
    """
    relations = region_relations(patches, regions)
    known = relations.diagonal(dim1=1, dim2=2) > 0.5
    pairs = (
        known[:, :, None] & known[:, None] & ~torch.eye(known.shape[1], dtype=torch.bool, device=known.device)
    )
    count = pairs.sum().clamp_min(1)
    mean = torch.where(pairs, relations, 0.0).sum() / count
    return (torch.where(pairs, (relations - mean).square(), 0.0).sum() / count).sqrt()


class Spatial(nn.Module):
    """Spatial consistency: how the parts of the face relate must survive the hiding (paper; the formula is ours).

    On pixels, the repaired picture is held against the true one; this cannot collapse, because the truth does
    not move. On features, the encoder's tokens of the corrupted picture are held against those that a slow
    teacher, a moving average of the encoder, gives to the whole picture (our choice, after iBOT, arXiv
    2111.07832, and data2vec, arXiv 2202.03555). No gradient reaches the teacher and relations are centred;
    ``spatial_spread`` tells when all relations become alike nevertheless.
    """

    def __init__(self, config: LossConfig, encoder: VisionTransformer) -> None:
        super().__init__()
        self.config = config
        if config.spatial_on == "features" and config.spatial > 0:
            self.teacher = deepcopy(encoder).requires_grad_(False)

    def forward(
        self, batch: Batch, patches: Tensor, predicted: Tensor, features: Tensor, cells: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss ``spatial`` and, where it is watched, the spread of the relations that it is held to.

        Args:
            batch: its hidden places and regions.
            patches: (B, N, D) true patches.
            predicted: (B, M, D) the decoder's hidden patches, as the target has them.
            features: (B, V, C) the encoder's tokens of what it saw.
            cells: (B, V) places of these tokens; the teacher, too, is read there only.

        """
        if self.config.spatial == 0:
            return {}
        if self.config.spatial_on == "pixels":
            taught, regions = target_patches(patches, self.config.target), batch.regions
            held = put(taught, batch.hidden, predicted)
        else:
            with torch.no_grad():
                taught = take(encode(self.teacher, patches, everywhere(patches)), cells)
            held, regions = features, pick(batch.regions, cells)
        terms = {"spatial": spatial_loss(held, taught, regions)}
        return terms | ({"spatial_spread": relation_spread(taught, regions)} if batch.watched else {})

    def follow(self, encoder: nn.Module) -> None:
        """Move the teacher a little towards the encoder, if there is one."""
        if hasattr(self, "teacher"):
            follow(self.teacher, encoder, self.config.teacher_rate)


@torch.no_grad()
def follow(teacher: nn.Module, encoder: nn.Module, rate: float) -> None:
    """Move a teacher's parameters towards an encoder's, by a moving average of ``rate``."""
    torch._foreach_lerp_(list(teacher.parameters()), list(encoder.parameters()), rate)
