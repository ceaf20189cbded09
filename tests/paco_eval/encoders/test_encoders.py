from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from paco_eval.cli import main
from paco_eval.encoders import ADAPTERS, load_encoder
from paco_eval.encoders._options import NETWORK, PIXELS, split_options
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError


def images(encoder: Encoder, count: int = 3) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(count, 3, encoder.pixels.size, encoder.pixels.size)


@pytest.mark.parametrize(
    "name",
    [
        "random:tiny",
        "random:tiny@3",
        "pixels",
        "constant",
        "random:vit_tiny_patch16_224@1",
        "random:resnet10t",
    ],
)
def test_every_encoder_keeps_the_protocol(name):
    encoder = load_encoder(name)
    assert isinstance(encoder, Encoder) and encoder.name == name
    batch = images(encoder)
    found = encoder.tokens(batch, encoder.blocks)
    assert set(found) == set(encoder.blocks) and encoder.default_block in encoder.blocks
    for block, tokens in found.items():
        assert tokens.patches.ndim == 3 and len(tokens.patches) == 3
        assert not tokens.patches.requires_grad
        alone = encoder.tokens(batch[1:2], encoder.blocks)[block]
        torch.testing.assert_close(alone.patches[0], tokens.patches[1], rtol=1e-4, atol=1e-4)
        again = encoder.tokens(batch, encoder.blocks)[block]
        assert torch.equal(again.patches, tokens.patches)


def test_seeds_of_random_encoders_differ_and_repeat():
    first, again, other = (
        load_encoder(name).weight_hash for name in ("random:tiny", "random:tiny@0", "random:tiny@1")
    )
    assert first == again != other
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    load_encoder("random:tiny@7")
    assert torch.equal(torch.rand(1), before)  # loading leaves the global generator alone


def test_blocks_are_the_models_own():
    encoder = load_encoder("random:tiny")
    batch = images(encoder)
    last = encoder.tokens(batch, [encoder.default_block])[encoder.default_block].patches
    torch.testing.assert_close(last, encoder.model.forward_features(batch))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pixel", "Did you mean pixels"),
        ("pacco:x", "Did you mean paco"),
        ("timm:vit_base_patch16_22", "Did you mean vit_base_patch16_224"),
        ("random:tinny", "Did you mean"),
        ("random:tiny@x", "whole number"),
        ("paco:nowhere", r"card\.json is missing"),
    ],
)
def test_wrong_names_say_what_is_near(name, message):
    with pytest.raises(PacoError, match=message):
        load_encoder(name)


def test_pretrained_weights_out_of_reach_are_an_error_not_a_traceback(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import timm

    def offline(*_, **__):
        raise OSError("offline")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(PacoError, match="could not be loaded"):
        load_encoder("timm:vit_tiny_patch16_224")


def test_every_adapter_says_how_it_is_written_and_which_pixels_and_crop_it_takes():
    for scheme, adapter in ADAPTERS.items():
        assert adapter.usage.partition(":")[0].partition("[")[0] == scheme
        assert adapter.about and adapter.pixels and adapter.crop


def test_a_shipped_name_stands_for_its_architecture_untrained():
    """`random:paco-tiny` was answered with names of timm's models."""
    trained, untrained = load_encoder("paco-tiny"), load_encoder("random:paco-tiny@3")
    assert untrained.parameters == trained.parameters and untrained.pixels == trained.pixels
    assert untrained.weight_hash != trained.weight_hash


def test_encoders_of_installed_packages_are_listed(monkeypatch):
    """Schemes that other packages add were missing from `list encoders`."""
    from importlib import metadata

    from paco_eval.cli import listing

    entry = metadata.EntryPoint("mine", "package.module:load", "paco_eval.encoders")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry])
    assert any(row["name"] == "mine:..." for row in listing._encoders(None))


def test_the_page_of_encoders_names_every_scheme_and_option():
    page = (Path(__file__).parents[3] / "docs/encoders.md").read_text(encoding="utf-8")
    for name in ADAPTERS:
        assert f"`{name}:" in page or f" {name}:" in page or f"`{name}`" in page, name
    for option in (*PIXELS, *NETWORK, "grid", "weights", "crop"):
        assert f"`{option}=" in page, option
    for line in re.findall(r"^paco-eval (.*)", page, flags=re.M):
        words = shlex.split(line)
        assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0, line
        for word in words:
            scheme, _, rest = word.partition(":")
            if "?" in rest and scheme in ADAPTERS:
                split_options(word, (*PIXELS, *NETWORK, "grid", "weights", "crop"))
