"""The encoder protocol: prepared pictures in, patch tokens and perhaps a global token out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from paco_fr.contracts import CropContract, PixelContract

Diagnostics: TypeAlias = Callable[..., Mapping[str, Tensor]]
"""What an encoder may offer as ``diagnostics``: of prepared pictures (B, 3, size, size), what
:func:`paco_fr.model.diagnostics.diagnose` says of a codebook and the belief in it. A second argument, where given, holds
the pictures that masks are drawn from, so that a changed picture is looked at under the mask of the clean one."""


@dataclass(frozen=True)
class Tokens:
    """What an encoder says about a batch of B pictures at one block.

    Attributes:
        patches: (B, N, D) patch tokens in row-major grid order.
        pooled: (B, D) global token, or None where no loss trained one.

    """

    patches: Tensor
    pooled: Tensor | None = None


@runtime_checkable
class Encoder(Protocol):
    """A frozen face (or any image) encoder. Adapters only load weights and rename outputs.

    Attributes:
        name: as the user wrote it, e.g. ``paco:runs/a/checkpoint``.
        pixels: the pixel contract of the weights.
        weight_hash: sixteen hex digits of the weights; two encoders with equal hashes are equal.
        blocks: names of the blocks whose tokens can be had, first to last.
        default_block: the block to use where no validation split can choose.
        reductions: ways in which the tokens of a picture may be summarised, see paco_eval.features.extract.
        required_crop: crop that the weights cannot do without, or None.
        adapter_version: raised when the same weights would give other tokens.

    """

    name: str
    pixels: PixelContract
    weight_hash: str
    blocks: Sequence[str]
    default_block: str
    reductions: Sequence[str]
    required_crop: CropContract | None
    adapter_version: int
    parameters: int

    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return the tokens of the asked blocks for prepared images (B, 3, size, size)."""
        ...


@dataclass
class EncoderCard:
    """What is told about an encoder beside its numbers."""

    name: str
    objective: str
    pretrain_seed: int | None = None
    pretraining_crops: dict[str, float] = field(default_factory=dict)
    data_fingerprint: str | None = None
    licence: str = "unknown"
