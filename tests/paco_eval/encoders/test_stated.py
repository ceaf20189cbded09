"""What a file of weights cannot tell is stated or asked for, and what does not fit is refused in one line."""

from __future__ import annotations

from functools import partial

import pytest
import timm
import torch
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.resnet import BasicBlock, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

from paco_eval.encoders import load_encoder
from paco_eval.encoders._options import VIT_OPTIONS, over, size_option, split_options
from paco_eval.encoders.timm import fill
from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError
from tests.fixtures import published
from tests.fixtures.published import GRID, PATCH, drawn, farl_forward, farl_state, mae_forward, mae_state

SIZE = PATCH * GRID
IMAGES = drawn(7, 2, 3, SIZE, SIZE) * 10


def saved(tmp_path, state, name="weights.pth"):
    torch.save(state, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("scheme", ["mae", "farl"])
def test_stated_heads_are_used_and_are_another_encoder(scheme, tmp_path, monkeypatch):
    """Heads were guessed as 64 wide and could not be stated: networks of 12 heads loaded with 3."""
    state, forward = (mae_state(), mae_forward) if scheme == "mae" else (farl_state(), farl_forward)
    plain = load_encoder(f"{scheme}:{saved(tmp_path, state)}")
    other = load_encoder(f"{scheme}:{tmp_path / 'weights.pth'}?heads=8")
    assert plain.weight_hash != other.weight_hash and other.facts["stated"] == "heads=8"
    assert "heads 2 (assumed)" in plain.facts["assumed"] and "heads" not in other.facts["assumed"]
    monkeypatch.setattr(published, "HEADS", 8)
    found = other.tokens(IMAGES, [other.default_block])[other.default_block].patches
    torch.testing.assert_close(found, forward(state, IMAGES)[-1][:, 1:], rtol=1e-4, atol=1e-4)


def test_widths_that_were_published_with_several_numbers_of_heads_are_asked_about(tmp_path):
    """A ViT-T of 192 with 12 heads (MAE-Lite) was read with 3, its features had a cosine of 0.3 to the true ones."""
    model = VisionTransformer(img_size=32, embed_dim=192, depth=1, num_heads=12, num_classes=0).eval()
    file = saved(tmp_path, model.state_dict())
    with pytest.raises(PacoError, match=r"192 wide.*3 and with 12 heads.*Add heads=3 or heads=12"):
        load_encoder(f"mae:{file}")
    images = torch.randn(2, 3, 32, 32)
    encoder = load_encoder(f"mae:{file}?heads=12")
    torch.testing.assert_close(
        encoder.tokens(images, ["1"])["1"].patches, model.forward_features(images)[:, 1:]
    )
    with pytest.raises(PacoError, match="5 heads do not divide"):
        load_encoder(f"mae:{file}?heads=5")


def test_activation_and_eps_are_stated(tmp_path):
    """Every tower in CLIP's layout was read with QuickGELU, also those that were trained with GELU."""
    model = VisionTransformer(
        img_size=32, embed_dim=64, depth=2, num_heads=1, num_classes=0, act_layer="relu",
        norm_layer=partial(torch.nn.LayerNorm, eps=0.1),
    ).eval()  # fmt: skip
    file, images = saved(tmp_path, model.state_dict()), torch.randn(2, 3, 32, 32)
    encoder = load_encoder(f"mae:{file}?act=relu&eps=0.1")
    torch.testing.assert_close(
        encoder.tokens(images, ["2"])["2"].patches, model.forward_features(images)[:, 1:]
    )
    assert encoder.weight_hash not in {
        load_encoder(f"mae:{file}").weight_hash,
        load_encoder(f"mae:{file}?eps=0.1").weight_hash,
    }
    file = saved(tmp_path, farl_state())
    quick, plain = load_encoder(f"farl:{file}"), load_encoder(f"farl:{file}?act=gelu")
    assert quick.weight_hash != plain.weight_hash
    assert not torch.allclose(
        quick.tokens(IMAGES, ["4"])["4"].patches, plain.tokens(IMAGES, ["4"])["4"].patches, atol=1e-3
    )
    for options, message in (("act=glu", "Did you mean gelu"), ("eps=no", "eps must be"), ("heads=0", "heads must be"),
                             ("global=maybe", "global is yes or no")):  # fmt: skip
        with pytest.raises(PacoError, match=message):
            load_encoder(f"farl:{file}?{options}")


@pytest.mark.parametrize("scheme", ["mae", "farl", "timm"])
def test_pixels_and_the_global_token_are_stated_for_every_scheme(scheme, tmp_path):
    """timm:, mae: and mcf: took no mean, std, range or channels."""
    name = f"{scheme}:{saved(tmp_path, mae_state() if scheme == 'mae' else farl_state())}?"
    if scheme == "timm":
        model = timm.create_model("test_vit")
        name = f"timm:test_vit?weights={saved(tmp_path, model.state_dict())}&"
    encoder = load_encoder(f"{name}mean=0.1,0.2,0.3&std=0.5,0.5,0.5&channels=BGR&global=yes")
    assert encoder.pixels.mean == (0.1, 0.2, 0.3) and encoder.pixels.channels == "BGR"
    assert "global" in encoder.reductions and encoder.facts["stated"].startswith("global=yes, channels=BGR")
    assert "global" not in load_encoder(f"{name}global=no").reductions
    assert load_encoder(f"{name}range=-1,1").pixels.value_range == (-1.0, 1.0)


def vit_state(**options):
    options = {"img_size": 32, "embed_dim": 64, "depth": 1, "num_heads": 1, "num_classes": 0} | options
    torch.manual_seed(1)
    model = VisionTransformer(**options).eval()
    torch.nn.init.normal_(model.pos_embed)
    return model, model.state_dict()


def held(encoder, model, size, prefix):
    images = torch.randn(2, 3, size, size)
    expected = model.forward_features(images)[:, prefix:]
    torch.testing.assert_close(encoder.tokens(images, ["1"])["1"].patches, expected, rtol=1e-4, atol=1e-4)


def test_kernels_that_are_not_square_and_tokens_that_are_not_there_load_right(tmp_path):
    """A 16 x 8 kernel was read as a square one, and files without a class token ended in tracebacks."""
    model, state = vit_state(patch_size=(16, 8), img_size=64)
    encoder = load_encoder(f"mae:{saved(tmp_path, state)}")
    assert encoder.pixels.size == 64 and encoder.reductions == ("mean",)
    held(encoder, model, 64, 1)
    model, state = vit_state(class_token=False, global_pool="avg", fc_norm=False)
    held(load_encoder(f"mae:{saved(tmp_path, state)}"), model, 32, 0)
    with pytest.raises(PacoError, match="no class token"):
        load_encoder(f"mae:{tmp_path / 'weights.pth'}?global=yes")
    model, state = vit_state(no_embed_class=True)
    held(load_encoder(f"mae:{saved(tmp_path, state)}"), model, 32, 1)


def test_grids_of_pictures_that_were_no_squares_are_asked_about(tmp_path):
    """Grids of 8 x 2 and 28 x 7 were read as 4 x 4 and 14 x 14, others ended in tracebacks."""
    for shape in ((7, 6), (14, 7), (16, 8)):
        _, state = vit_state(img_size=(16 * shape[0], 16 * shape[1]))
        with pytest.raises(PacoError, match=r"no grid of a square picture.*grid=ROWSxCOLUMNS"):
            load_encoder(f"mae:{saved(tmp_path, state)}")
    rows, columns = torch.meshgrid(torch.linspace(0, 28, 28), torch.linspace(0, 7, 7), indexing="ij")
    waves = [(at / 2**power).sin() for at in (rows, columns) for power in range(32)]
    _, state = vit_state(img_size=224)
    state["pos_embed"] = torch.cat([torch.zeros(1, 1, 64), torch.stack(waves, -1).reshape(1, 196, 64)], 1)
    with pytest.raises(PacoError, match=r"28 x 7 patches, not over 14 x 14.*grid=28x7 and size="):
        load_encoder(f"mae:{saved(tmp_path, state)}")
    with pytest.raises(PacoError, match="pictures of 448 x 112"):
        load_encoder(f"mae:{saved(tmp_path, state)}?grid=28x7")
    encoder = load_encoder(f"mae:{saved(tmp_path, state)}?grid=28x7&size=112")
    plain = state["pos_embed"][0, 1:].T.reshape(1, 64, 28, 7)
    resized = torch.nn.functional.interpolate(plain, (7, 7), mode="bicubic").flatten(2)[0].T
    torch.testing.assert_close(encoder.model.pos_embed[0, 1:], resized)
    with pytest.raises(PacoError, match="no grid of 5 x 5"):
        load_encoder(f"mae:{saved(tmp_path, state)}?grid=5x5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("pos_embed"), r"lacks 'pos_embed'"),
        (lambda state: state.update({"patch_embed.proj.weight": torch.ones(64, 3, 2, 16, 16)}), "of shape"),
        (lambda state: state.update({"reg_token": torch.ones(1, 4, 64)}), "distillation or register tokens"),
        (lambda state: state.update({"dist_token": torch.ones(1, 1, 64)}), "distillation or register tokens"),
        (lambda state: state.update({"pos_embed": torch.ones(64)}), "of shape"),
        (lambda state: state.pop("blocks.0.mlp.fc1.weight"), "lacks"),
        (lambda state: state.update({"patch_embed.proj.weight": torch.ones(64, 1, 16, 16)}), "1 channels"),
    ],
)
def test_other_transformers_are_refused_in_a_line(change, message, tmp_path):
    """No position embedding, kernels of five dimensions, registers and distilled tokens were tracebacks."""
    _, state = vit_state()
    change(state)
    with pytest.raises(PacoError, match=message) as caught:
        load_encoder(f"mae:{saved(tmp_path, state)}")
    assert "\n" not in str(caught.value)


VIT = {"img_size": 32, "embed_dim": 64, "depth": 1, "num_heads": 2}
SMALL = {
    "vit": (VisionTransformer, VIT),
    "swin": (SwinTransformer, {"img_size": 32, "patch_size": 4, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4),
                               "window_size": 4}),
    "beit": (Beit, VIT | {"use_abs_pos_emb": False, "use_rel_pos_bias": True}),
    "eva": (Eva, VIT),
    "convnext": (ConvNeXt, {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)}),
    "resnet": (ResNet, {"block": BasicBlock, "layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16)}),
}  # fmt: skip
CLASSIFIERS = {
    "vit": "head",
    "swin": "head.fc",
    "beit": "head",
    "eva": "head",
    "convnext": "head.fc",
    "resnet": "fc",
}


def small(kind, **options):
    build, own = SMALL[kind]
    model = build(**(own | options)).eval()
    torch.manual_seed(2)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.1, 1.0)
    model.pretrained_cfg = {"classifier": CLASSIFIERS[kind]}
    return model


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("prefix", ["", "module.", "model.module."])
@pytest.mark.parametrize("outputs", [0, 7])
def test_files_of_every_family_load_with_and_without_classifier(kind, prefix, outputs, tmp_path):
    """Swin, BEiT and EVA files that timm loads were refused."""
    state = small(kind, num_classes=outputs).state_dict()
    model = small(kind, num_classes=0)
    for tensor in model.state_dict().values():
        tensor.zero_()
    fill(
        model,
        saved(tmp_path, {"model": {prefix + name: value for name, value in state.items()}}),
        kind,
        None,
        False,
    )
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_the_published_layout_of_swin_is_renamed_by_timms_filter(tmp_path):
    model = small("swin", num_classes=0)
    state = {}
    for name, tensor in small("swin", num_classes=7).state_dict().items():
        name = name.replace("layers.1.downsample", "layers.0.downsample").replace("head.fc", "head")
        state[name] = tensor
    state["layers.0.blocks.1.attn_mask"] = torch.ones(4, 16, 16)
    state["layers.0.blocks.0.attn.relative_position_index"] = torch.ones(16, 16, dtype=torch.long)
    expected = small("swin", num_classes=0).state_dict()
    fill(model, saved(tmp_path, {"model": state}), "swin", None, False)
    assert [
        name for name, tensor in model.state_dict().items() if not torch.equal(tensor, expected[name])
    ] == []


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("vit", {"patch_size": 8}, "patches of 8 x 8, the model of 16 x 16|another size"),
        ("vit", {"patch_size": 32}, "patches of 32 x 32, the model of 16 x 16|another size"),
        ("vit", {"img_size": 64}, "add size="),
        ("vit", {"reg_tokens": 4}, r"reg_token|pos_embed"),
        ("vit", {"embed_dim": 32}, "shape"),
        ("vit", {"depth": 2}, r"blocks\.1"),
        ("swin", {"num_heads": (1, 2)}, r"1 heads there, the model 2"),
        ("swin", {"window_size": 2}, "another size or window"),
        ("swin", {"patch_size": 2}, "patches of 2 x 2"),
        ("beit", {"num_heads": 4}, "4 heads there, the model 2"),
        ("beit", {"patch_size": 8}, "patches of 8 x 8|another size"),
        ("eva", {"patch_size": 8}, "patches of 8 x 8|another size"),
        ("convnext", {"dims": (8, 8, 16, 32)}, "shape"),
        ("resnet", {"layers": (1, 2, 1, 1)}, r"layer2\.1"),
    ],
)
def test_files_of_another_network_are_refused_before_timm_resizes_them(kind, options, message, tmp_path):
    """Files of patches 8, 14 and 32 loaded into a network of patches of 16, resized without a word."""
    file = saved(tmp_path, small(kind, num_classes=0, **options).state_dict())
    with pytest.raises(PacoError, match=message) as caught:
        fill(small(kind, num_classes=0), file, kind, None, False)
    assert "\n" not in str(caught.value)


def test_a_file_whose_mean_is_not_known_is_asked_about_and_its_class_token_is_not_believed(
    tmp_path, monkeypatch
):
    """The mean was that of the architecture's tag, and the class token of a masked autoencoder a global token."""
    create = timm.create_model
    narrow = {"embed_dim": 64, "depth": 1, "num_heads": 1, "img_size": 32}
    monkeypatch.setattr(timm, "create_model", lambda name, **options: create(name, **(narrow | options)))
    file = saved(tmp_path, vit_state()[1])
    with pytest.raises(PacoError, match=r"several means.*mean=0\.485.*std=0\.229.*mean=0\.5,0\.5,0\.5"):
        load_encoder(f"timm:vit_base_patch16_224?weights={file}")
    stated = load_encoder(f"timm:vit_base_patch16_224?weights={file}&mean=0.5,0.5,0.5&std=0.5,0.5,0.5")
    assert "global" not in stated.reductions
    assert "global" in load_encoder(f"timm:vit_base_patch16_224.dino?weights={file}").reductions
    assert load_encoder(f"timm:vit_base_patch16_224.mae?weights={file}").reductions == ("mean", "grid4")
    tuned = saved(tmp_path, vit_state(num_classes=5)[1], "tuned.pth")
    assert "global" in load_encoder(f"timm:vit_small_patch16_224?weights={tuned}&range=-1,1").reductions


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("size=²", "at most 4096"),
        ("size=99999999", "at most 4096"),
        ("size=0", "at most 4096"),
        ("mean=nan,0,0", "is not 3 numbers"),
        ("std=1,1,inf", "is not 3 numbers"),
        ("std=1,1", "is not 3 numbers"),
        ("std=0,1,1", "std must be positive"),
        ("range=1,0", "the range rising"),
        ("range=0,255&range=0,1", "'range' stands there twice"),
        ("channels=GRB", "channels is RGB or BGR"),
        ("heads=", "'heads' needs a value"),
        ("hads=3", "Did you mean heads"),
    ],
)
def test_values_that_mean_nothing_are_refused_in_a_line(query, message):
    name = f"mae:a.pth?{query}"
    with pytest.raises(PacoError, match=message) as caught:
        over(name, split_options(name, VIT_OPTIONS)[1], PixelContract(224))
        size_option(name, split_options(name, VIT_OPTIONS)[1])
    assert "\n" not in str(caught.value)
