from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from pydantic import BaseModel, ConfigDict

from paco_fr.data import sources
from paco_fr.data.sources import load_source
from paco_fr.faces import records
from paco_fr.faces.decode import ImageError, encode_png, read_image
from paco_fr.utils.errors import MissingDataError, PacoError

PNG = encode_png(np.zeros((4, 4, 3), np.uint8))


class FaceSpec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    identities: int
    images_per_identity: int
    seed: int
    level: str = "normal"


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the renderer: blank faces whose ids tell what was asked for."""

    def render(spec: FaceSpec) -> Dataset:
        ids = [
            f"{spec.seed}-{p}-{k}" for p in range(spec.identities) for k in range(spec.images_per_identity)
        ]
        columns = {"image": [{"bytes": PNG, "path": None}] * len(ids), "image_id": ids, "group": ids}
        return Dataset.from_dict(columns, features=records.features(columns))

    module = ModuleType("paco_fr.synthetic")
    module.FaceSpec, module.records = FaceSpec, render
    monkeypatch.setitem(sys.modules, "paco_fr.synthetic", module)
    import paco_fr

    monkeypatch.setattr(paco_fr, "synthetic", module, raising=False)


@pytest.mark.usefixtures("renderer")
def test_synthetic_options() -> None:
    assert len(load_source("synthetic")) == 1000
    found = load_source("synthetic:n=5,seed=3,images_per_identity=2")
    assert found["image_id"][:] == ["3-0-0", "3-0-1", "3-1-0", "3-1-1", "3-2-0"]
    assert len(load_source("synthetic:identities=3,images_per_identity=2")) == 6
    for wrong in ("n=x", "n", "n=3,n=4", "=3", "n=-2", "n=3,identities=2", "n=3,sead=2", "n=0", "seed=1",
                  "n=3,images_per_identity=0"):  # fmt: skip
        with pytest.raises(PacoError, match="Source 'synthetic:"):
            load_source(f"synthetic:{wrong}")


def test_folder_is_read_recursively_in_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.JPG", "a.png", "b/c/1.webp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.jpg").write_bytes(b"")
    found = load_source(str(tmp_path))
    assert found["image_id"][:] == ["a.png", "b/10.JPG", "b/2.png", "b/c/1.webp", "broken.jpg"]
    assert found["group"][:] == found["image_id"][:]
    assert read_image(found[0]["image"]).shape == (4, 4, 3)
    with pytest.raises(ImageError, match="0 bytes"):  # kept as a record, counted when it is read
        read_image(found[4]["image"])


def test_folder_without_images_names_folder_and_suffixes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(PacoError, match=r"no images. Looked below it for \.jpg, \.jpeg") as caught:
        load_source(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_must_stay_inside(tmp_path: Path, what: str) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "face.png").write_bytes(PNG)
    (inside / "same.png").symlink_to(inside / "face.png")
    assert len(load_source(str(inside))) == 2
    (inside / "link.png").symlink_to(outside / "face.png" if what == "file" else outside)
    with pytest.raises(PacoError, match=r"link\.png links out of"):
        load_source(str(inside))


def test_saved_dataset_and_parquet(tmp_path: Path) -> None:
    cells = [{"bytes": PNG, "path": None}] * 3
    found = Dataset.from_dict(
        {"image": cells, "identity": [7, 7, 8], "label": [0, 1, 2]},
        features=Features({"image": Image(), "identity": Value("int64"), "label": Value("int64")}),
    )
    found.save_to_disk(tmp_path / "saved")
    found.to_parquet(tmp_path / "one.parquet")
    (tmp_path / "parts").mkdir()
    found.select([0, 1]).to_parquet(tmp_path / "parts/0.parquet")
    found.select([2]).to_parquet(tmp_path / "parts/1.parquet")
    for source in ("saved", "one.parquet", "parts", "parts/*.parquet"):
        got = load_source(str(tmp_path / source))
        assert set(got.column_names) == {"image", "image_id", "identity", "group"}
        assert got["group"][:] == ["7", "7", "8"]
        assert read_image(got[2]["image"]).shape == (4, 4, 3)


def test_wrong_tables_are_explained(tmp_path: Path) -> None:
    Dataset.from_dict({"picture": [1]}).to_parquet(tmp_path / "column.parquet")
    with pytest.raises(PacoError, match="no column 'image' among picture"):
        load_source(str(tmp_path / "column.parquet"))
    Dataset.from_dict({"image": [{"bytes": PNG, "path": None}], "box": ["left"]}).to_parquet(
        tmp_path / "box.parquet"
    )
    with pytest.raises(PacoError, match="column 'box'"):
        load_source(str(tmp_path / "box.parquet"))
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(PacoError, match="not readable as parquet"):
        load_source(str(tmp_path / "text.parquet"))


def test_absent_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (str(tmp_path / "absent"), str(tmp_path / "absent.parquet"), "sinthetic:n=3"):
        with pytest.raises(MissingDataError, match="does not exist"):
            load_source(source)
    with pytest.raises(PacoError, match="OWNER/NAME"):
        load_source("hf:faces")

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("hub unreachable")

    monkeypatch.setattr(sources, "load_dataset", offline)
    with pytest.raises(MissingDataError, match=r"hub unreachable.*offline, name a folder"):
        load_source("hf:owner/faces@test")


def test_hub_passes_name_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hub(name: str, split: str) -> Dataset:
        asked.append((name, split))
        return Dataset.from_dict({"image": [PNG]})

    monkeypatch.setattr(sources, "load_dataset", hub)
    assert load_source("hf:owner/faces")["group"][:] == ["00000000"]
    load_source("hf:owner/faces@test")
    assert asked == [("owner/faces", "train"), ("owner/faces", "test")]
