"""To the hub and back, against a stand-in that speaks its HTTP API on loopback; and what is said without a network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from paco_eval.cli import main
from paco_eval.encoders import _hub, load_encoder
from paco_eval.encoders._hub import Public, weight_file
from paco_eval.rows.store import load_rows, write_row
from paco_fr.checkpoint import SHIPPED, raw_card
from paco_fr.utils.errors import PacoError
from tests.fixtures.hub import Hub, hub_on_loopback
from tests.fixtures.made_rows import TASKS, make_row, write_run
from tests.fixtures.published import mae_state


@pytest.fixture(scope="module")
def server():
    with hub_on_loopback() as found:
        yield found


@pytest.fixture
def hub(server: Hub, monkeypatch, tmp_path) -> Hub:
    """Return the stand-in, empty, as the hub of this process."""
    from huggingface_hub import constants

    server.repositories.clear()
    server.files.clear()
    server.asked.clear()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    # What the library read when it was loaded, and some versions believe rather than what they are told.
    address = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    _hub.hub_checkpoint.cache_clear()
    return server


def call(*words: object):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def pushed(hub: Hub, tmp_path, monkeypatch):
    """Put a shipped checkpoint on the stand-in as a timm model with a score of its weights; return its card."""
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    own, stated = load_encoder("mae-tiny"), raw_card(SHIPPED / "mae-tiny")["encoder_hash"]
    row, items = make_row("mae-tiny", TASKS[2], network={"stated": stated}, pixel_hash=own.pixels.hash)
    write_row(tmp_path / "scores" / "rows", row, items)
    done = call("export", SHIPPED / "mae-tiny", "--to", "timm", "--out", tmp_path / "out",
                "--scores", tmp_path / "scores", "--push", "me/tiny")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"On the hub: {hub.url}/me/tiny" in done.stdout
    return row


def test_the_card_on_the_hub_says_library_licence_data_and_scores(hub, pushed):
    text = hub.repositories["models", "me/tiny"]["README.md"].decode()
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["library_name"], front["license"]) == ("timm", "apache-2.0")
    assert front["training_data"].startswith("synthetic:") and {"face", "mae"} <= set(front["tags"])
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    (metric,) = result["metrics"]
    assert result["dataset"]["name"] == pushed.task and metric["type"] == pushed.main_metric
    assert metric["value"] == pytest.approx(pushed.main.value) and metric["args"]["row"] == pushed.key
    assert "## Limits of use" in text


def test_what_was_pushed_loads_again_from_the_hub_with_the_same_weights(hub, pushed):
    assert load_encoder("paco:hf:me/tiny").weight_hash == load_encoder("mae-tiny").weight_hash
    files = set(hub.repositories["models", "me/tiny"])
    assert {"config.json", "model.safetensors", "paco/card.json", "paco/model.safetensors"} <= files


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody/none", "is not there, or not for you"),
        ("three/parts/here", "A repository is OWNER/NAME"),
        ("alone", "'alone' is no repository of the hub"),
        ("me/", "A repository is OWNER/NAME"),
        ("me/other", "holds no checkpoint of this package. A model of timm's: timm:hf-hub:me/other"),
    ],
)
def test_a_repository_that_is_not_there_or_holds_something_else_is_a_line(hub, name, said):
    hub.repositories["models", "me/other"] = {"config.json": b"{}"}
    with pytest.raises(PacoError, match=said) as caught:
        load_encoder(f"paco:hf:{name}")
    assert "\n" not in str(caught.value)


def test_without_a_network_there_is_one_clear_line(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PacoError, match=r"127.0.0.1:9/me/tiny cannot be reached") as caught:
        load_encoder("paco:hf:me/tiny")
    assert "\n" not in str(caught.value)
    done = call("results", "push", write_run(tmp_path / "run", ("pixels",), TASKS[2:3]), "me/rows")
    assert done.exit_code == 2 and "cannot be reached" in done.stderr
    assert "Traceback" not in done.output


def test_rows_go_to_a_data_set_and_come_back_the_same(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    run = write_run(tmp_path / "run", ("pixels", "mae-tiny"), TASKS[2:4])
    (run / "errors.log").write_text("a secret")
    done = call("results", "push", run, "me/rows")
    assert done.exit_code == 0, done.output
    files = hub.repositories["datasets", "me/rows"]
    assert "errors.log" not in files and "4 rows of paco-eval" in files["README.md"].decode()
    done = call("results", "pull", "me/rows", "--out", tmp_path / "back")
    assert done.exit_code == 0 and "4 rows" in done.stdout, done.output
    there, back = (load_rows(folder).rows for folder in (run, tmp_path / "back"))
    assert [s.row for s in there] == [s.row for s in back]
    assert all(a.items().equals(b.items()) for a, b in zip(there, back, strict=True))


def test_rows_that_were_changed_on_the_hub_are_refused(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    call("results", "push", write_run(tmp_path / "run", ("pixels",), TASKS[2:3]), "me/rows")
    files = hub.repositories["datasets", "me/rows"]
    (name,) = (name for name in files if name.endswith(".json"))
    files[name] = json.dumps({**json.loads(files[name]), "method": "better"}).encode()
    done = call("results", "pull", "me/rows", "--out", tmp_path / "back")
    assert done.exit_code == 2 and "does not fit its digest" in done.stderr


@pytest.fixture
def public(hub, monkeypatch, tmp_path) -> bytes:
    """Return published weights that lie at a known address, with the checksum that their authors print."""
    torch.save({"model": mae_state()}, tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    hub.files["/w.pth"] = data
    known = Public(f"{hub.url}/w.pth", "CC BY-NC 4.0", hashlib.md5(data).hexdigest()[:6])
    monkeypatch.setitem(_hub.PUBLIC, "mae", {"base": known})
    return data


def test_terms_and_checksum_are_told_before_known_weights_are_fetched_and_once(hub, public, monkeypatch):
    said = []
    monkeypatch.setattr(_hub.progress, "say", lambda text: said.append((text, len(hub.asked))))
    path = weight_file("mae", "base")
    first, asked = said[0]
    assert asked == 0 and hub.url in first and "CC BY-NC 4.0" in first and "md5" in first
    assert Path(path).read_bytes() == public
    assert weight_file("mae", "base") == path and len(hub.asked) == 1
    assert load_encoder("mae:base").weight_hash == load_encoder(f"mae:{path}").weight_hash


def test_weights_that_are_not_what_their_authors_printed_are_not_kept(hub, public):
    hub.files["/w.pth"] = public[:-1] + b"x"
    with pytest.raises(PacoError, match="Nothing was kept"):
        weight_file("mae", "base")
    assert not list((_hub.cache_folder("weights")).glob("*.pth"))


def test_kept_weights_that_were_damaged_are_fetched_again(hub, public):
    path = weight_file("mae", "base")
    with Path(path).open("r+b") as file:
        file.write(b"xx")
    assert Path(weight_file("mae", "base")).read_bytes() == public and len(hub.asked) == 2


def test_weights_behind_a_page_are_told_in_a_line_with_what_to_do(monkeypatch, tmp_path):
    """``mcf:`` knew no name at all, so that its weights were an unknown file."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("nothing is fetched"))
    with pytest.raises(PacoError, match=r"drive\.google\.com.*none stated, no checksum.*mcf:FILE") as refused:
        load_encoder("mcf:ep16")
    assert "\n" not in str(refused.value) and not list(tmp_path.rglob("*.pth"))


def test_a_name_that_nobody_knows_is_told_with_those_that_are():
    with pytest.raises(PacoError, match="Did you mean ep64"):
        weight_file("farl", "ep63")
    assert weight_file("farl", "some/file.pth") == "some/file.pth"
