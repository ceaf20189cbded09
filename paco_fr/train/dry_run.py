"""What a run would be: everything built, two steps taken, memory and work worked out."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from paco_fr.config import PretrainConfig
from paco_fr.data.open import Faces, FacesInMemory, packed_faces
from paco_fr.train.batches import Views, prepared
from paco_fr.train.pretrain import fresh_model, take_step
from paco_fr.train.schedule import build_optimiser, describe_schedule, learning_rate, step_count
from paco_fr.utils.errors import MissingDataError
from paco_fr.utils.random import generator

STEPS = 2


def plan(config: PretrainConfig) -> str:
    """Take two steps and evaluate the objective once, and say what a run would be; write nothing.

    Packed faces are opened and shown. Of other sources, which may take long to cut, a few faces are cut, so that what a
    run would refuse is refused here; a source that is not there yet is said. Pictures of the right shape stand in for
    the two steps. What is measured is this machine, one process.
    """
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision="bf16" if config.optimiser.precision == "bf16" else "no")
    device = accelerator.device
    faces, sampled = packed_faces(config), ""
    if faces is None:
        from paco_fr.data.crops import sample_source  # what cuts and draws is heavy

        faces = stand_in(config)
        try:
            sampled = sample_source(config)
        except MissingDataError as error:  # a recipe is planned before its data is there
            sampled = f"a run would end: {str(error).rstrip('.')}"
    views = Views(faces, config)
    model = fresh_model(config, views, device)
    parameters, encoder = (sum(p.numel() for p in part.parameters()) for part in (model, model.encoder))
    optimiser = build_optimiser(config, model, device)
    learner, optimiser = accelerator.prepare(model.train(), optimiser)
    batch_size, steps = config.optimiser.batch, step_count(config)
    for step in range(STEPS):
        started = time.monotonic()
        batch = prepared(views.raw(range(step * batch_size, (step + 1) * batch_size))[0].to(device), config)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step, steps)
        output, _ = take_step(accelerator, learner, optimiser, batch, config)
        model.after_step(batch, output, float(step), generator("revive", config.seed, step))
        loss = output.loss.item()
    seconds = time.monotonic() - started
    with torch.no_grad():
        judged = learner.eval()(batch.parts(config.optimiser.accumulate)[0])
    terms = ", ".join(f"{name} {value.item():.3f}" for name, value in judged.terms.items())
    rate = batch_size / seconds
    gigabytes = 16 * parameters / 1e9
    work = flops_per_picture(config) / 1e9
    return "\n".join(
        [
            f"{config.objective} with recipe {config.name}, seed {config.seed}",
            f"encoder: {config.encoder.size} px, patch {config.encoder.patch}, {config.encoder.depth} blocks of "
            f"{config.encoder.dim}, {encoder / 1e6:.2f} M parameters ({parameters / 1e6:.2f} M with what is thrown away)",
            f"data: {config.data.source}; crops {config.data.crops}; "
            + (
                f"{sampled}; noise stands in for them here"
                if faces.fingerprint == "noise"
                else f"{len(faces.images):,} pictures packed"
            ),
            f"masking: {config.masking.strategy}, {config.hidden_cells} of {config.encoder.cells} patches hidden",
            describe_schedule(config),
            f"weights, gradients and AdamW's two moments: {gigabytes:.2f} GB a process (16 bytes a parameter), "
            f"a saved state {12 * parameters / 1e9:.2f} GB; activations come on top",
            f"about {work:.2f} GFLOP a picture, forward and backward of encoder blocks and decoder",
            f"two steps went through (loss {loss:.3f}), then an evaluation ({terms})",
            f"the second took {rate:.0f} images/s on this machine's {device.type}: "
            f"about {config.optimiser.presentations / rate / 60:,.0f} minutes for {config.optimiser.presentations:,} pictures",
        ]
    )


def flops_per_picture(config: PretrainConfig) -> float:
    """Return the multiplications and additions of one picture's forward and backward pass, roughly.

    A block of width C on T tokens costs 24 T C² (four C x C projections and a four-fold MLP, two operations a
    weight and token) and 4 T² C (attention); the backward pass costs twice the forward.
    """
    encoder, decoder, values = config.encoder, config.decoder, 3 * config.encoder.patch**2
    whole, hidden = encoder.cells, config.hidden_cells
    tokens = whole if config.objective == "simmim" else whole - hidden
    learned: float = encoder.depth * _block(tokens, encoder.dim) + decoder.depth * _block(whole, decoder.dim)
    learned += 2 * values * ((whole - hidden) * encoder.dim + hidden * decoder.dim)  # into and out of patches
    taught = 0.0  # what has no backward pass
    if config.objective == "data2vec":
        taught += encoder.depth * _block(whole, encoder.dim)
    if config.objective == "paco":
        book, dim = config.codebook.tokens, decoder.dim
        learned += (
            2 * 2 * whole * book * dim
        )  # likeness of states to the tokens of their place, and the mixture of these
        learned += 2 * whole * book * values * dim / config.optimiser.batch  # the tokens, embedded
        if config.belief.place == "two-pass":
            learned += encoder.depth * _block(whole, encoder.dim) + decoder.depth * _block(whole, dim)
        taught += 2 * whole * book * values  # nearest tokens
        if config.loss.spatial and config.loss.spatial_on == "features":
            taught += encoder.depth * _block(whole, encoder.dim)
    return 3.0 * learned + taught


def _block(tokens: int, width: int) -> int:
    return 24 * tokens * width**2 + 4 * tokens**2 * width


def stand_in(config: PretrainConfig) -> Faces:
    """Return noise in the shape of crops, for what must not wait until faces are cut."""
    count, size = max(config.optimiser.batch, config.codebook.tokens), config.encoder.size
    noise: npt.NDArray[np.uint8] = generator("noise", 0).integers(
        0, 256, (count, size, size, 3), dtype=np.uint8
    )
    return FacesInMemory(noise, (config.data.template,) * count, "noise", ())
