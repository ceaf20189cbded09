"""Published layouts: what is read equals a plain re-computation, what is not read is known, all else is refused."""

from __future__ import annotations

import argparse

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from paco_eval.encoders import load_encoder
from paco_fr.utils.errors import PacoError
from tests.fixtures.published import (
    DEPTH,
    GRID,
    PATCH,
    drawn,
    farl_forward,
    farl_state,
    linear,
    mae_forward,
    mae_state,
    mcf_state,
    norm,
    text_state,
)

SIZE = PATCH * GRID
IMAGES = drawn(7, 2, 3, SIZE, SIZE) * 10


def written(tmp_path, found, name="weights.pth") -> str:
    torch.save(found, tmp_path / name)
    return str(tmp_path / name)


def held_against(encoder, expected, *, has_global):
    assert encoder.pixels.size == SIZE and encoder.blocks[-1] == str(DEPTH)
    found = encoder.tokens(IMAGES, encoder.blocks)
    for block, tokens in found.items():
        plain = expected[int(block) - 1]
        torch.testing.assert_close(tokens.patches, plain[:, 1:], rtol=1e-4, atol=1e-4)
        if has_global:
            torch.testing.assert_close(tokens.pooled, plain[:, 0], rtol=1e-4, atol=1e-4)
        else:
            assert tokens.pooled is None
    assert ("global" in encoder.reductions) == has_global


def test_farl_equals_a_plain_clip_tower(tmp_path):
    state = farl_state()
    encoder = load_encoder(f"farl:{written(tmp_path, {'state_dict': state})}")
    held_against(encoder, farl_forward(state, IMAGES), has_global=True)
    assert encoder.pixels.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    read = encoder.model.state_dict()
    tower = [
        name
        for name in state
        if name.startswith("visual.") and not name.startswith(("visual.lm_", "visual.ln_lm"))
    ]
    assert len(read) == len(tower) - 2  # all but the projection and the mask token


def test_farl_in_half_precision_and_under_another_prefix_reads_the_same(tmp_path):
    state = farl_state()
    plain = load_encoder(f"farl:{written(tmp_path, state, 'plain.pth')}")
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    again = load_encoder(f"farl:{written(tmp_path, {'state_dict': prefixed}, 'prefixed.pth')}")
    assert plain.weight_hash == again.weight_hash
    half = load_encoder(f"farl:{written(tmp_path, {k: v.half() for k, v in state.items()}, 'half.pth')}")
    held_against(half, farl_forward({k: v.half().float() for k, v in state.items()}, IMAGES), has_global=True)


def test_another_size_resizes_the_position_embedding_bicubically(tmp_path):
    state = farl_state()
    encoder = load_encoder(f"farl:{written(tmp_path, state)}?size={2 * SIZE}")
    assert encoder.pixels.size == 2 * SIZE
    own = state["visual.positional_embedding"]
    grid = own[1:].T.reshape(1, -1, GRID, GRID)
    resized = F.interpolate(grid, size=2 * GRID, mode="bicubic", align_corners=False).flatten(2)[0].T
    images = drawn(8, 1, 3, 2 * SIZE, 2 * SIZE)
    plain = farl_forward(state, images, torch.cat([own[:1], resized]))[-1]
    found = encoder.tokens(images, [encoder.default_block])[encoder.default_block]
    torch.testing.assert_close(found.patches, plain[:, 1:], rtol=1e-4, atol=1e-4)
    with pytest.raises(PacoError, match="multiple of 16"):
        load_encoder(f"farl:{tmp_path / 'weights.pth'}?size=100")


@pytest.mark.parametrize("decoder", [False, True])
def test_mae_equals_a_plain_transformer(decoder, tmp_path):
    state = mae_state(decoder=decoder)
    found = {"model": state, "args": argparse.Namespace(lr=1e-3), "epoch": 3, "scaler": {"scale": 1.0}}
    encoder = load_encoder(f"mae:{written(tmp_path, found)}")
    held_against(encoder, mae_forward(state, IMAGES), has_global=False)
    save_file(state, tmp_path / "same.safetensors")
    assert load_encoder(f"mae:{tmp_path / 'same.safetensors'}").weight_hash == encoder.weight_hash


def test_mcf_takes_the_online_encoder_of_the_pretraining_checkpoint(tmp_path):
    whole = load_encoder(f"mcf:{written(tmp_path, {'model': mcf_state()})}")
    held_against(whole, mae_forward(mae_state(), IMAGES), has_global=True)
    alone = load_encoder(f"mcf:{written(tmp_path, mae_state(), 'alone.pth')}")
    assert alone.weight_hash == whole.weight_hash and whole.pixels.interpolation == "bilinear"


def parser_state():
    backbone = {
        f"backbone.{name}": tensor for name, tensor in farl_state().items() if name.startswith("visual.")
    }
    return backbone | linear("decode_head.conv_seg", 11, 64)


@pytest.mark.parametrize(
    ("name", "state", "message"),
    [
        ("farl", parser_state, "fine-tuned parser or landmark network"),
        ("farl", text_state, "text tower without an image tower"),
        ("farl", lambda: {"ClassHead.0.conv1x1.weight": drawn(1, 4, 4)}, "a face detector"),
        ("farl", mae_state, "layout of MAE or timm"),
        ("farl", lambda: {"visual.layer1.0.conv1.weight": drawn(1, 4, 4)}, "ResNet image tower"),
        ("mae", farl_state, r"image tower \(farl:\)"),
        ("mae", mcf_state, r"checkpoint of MCF \(mcf:\)"),
        (
            "mae",
            lambda: mae_state() | linear("head", 1000, 128) | norm("fc_norm"),
            "fine-tuned classifier.*1000",
        ),
        (
            "mae",
            lambda: {"conv1.weight": drawn(1, 4, 3), "layer1.0.conv1.weight": drawn(1, 4)},
            "residual layers",
        ),
        ("mcf", farl_state, r"image tower \(farl:\)"),
        ("mcf", lambda: {"something.weight": drawn(1, 4)}, r"unknown layout .*something\.weight"),
    ],
)
def test_wrong_files_are_named_for_what_they_are(name, state, message, tmp_path):
    with pytest.raises(PacoError, match=message):
        load_encoder(f"{name}:{written(tmp_path, state())}")


def test_missing_extra_and_misshapen_keys_are_told(tmp_path):
    state = mae_state()
    del state["blocks.2.norm1.bias"]
    with pytest.raises(PacoError, match=r"lacks blocks\.2\.norm1\.bias"):
        load_encoder(f"mae:{written(tmp_path, state)}")
    state = mae_state() | {"blocks.1.attn.relative": drawn(1, 4)}
    with pytest.raises(PacoError, match=r"holds blocks\.1\.attn\.relative that the model does not know"):
        load_encoder(f"mae:{written(tmp_path, state)}")
    state = mae_state() | {"norm.weight": drawn(1, 7)}
    with pytest.raises(PacoError, match=r"'norm\.weight' of shape \(7,\), the model needs \(128,\)"):
        load_encoder(f"mae:{written(tmp_path, state)}")


class Evil:
    def __reduce__(self):
        return (print, ("code from the file ran",))


def test_files_that_would_run_code_or_are_damaged_are_refused(tmp_path, capsys):
    with pytest.raises(PacoError, match="is not unpickled"):
        load_encoder(f"mae:{written(tmp_path, {'model': mae_state(), 'args': Evil()})}")
    assert "code from the file ran" not in capsys.readouterr().out
    (tmp_path / "torn.pth").write_bytes((tmp_path / "weights.pth").read_bytes()[:5000])
    with pytest.raises(PacoError, match=r"torn\.pth"):
        load_encoder(f"mae:{tmp_path / 'torn.pth'}")
    with pytest.raises(PacoError, match="No weight file"):
        load_encoder("farl:nowhere.pth")
    with pytest.raises(PacoError, match="no tensors by name"):
        load_encoder(f"mae:{written(tmp_path, {'epoch': 3})}")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(PacoError, match="TorchScript program"):
        load_encoder(f"mae:{tmp_path / 'script.pt'}")
