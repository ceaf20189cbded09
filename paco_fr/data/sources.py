"""SOURCE strings: one way to name faces wherever they live, and face records out of each.

==========================  ===========================================================================
SOURCE                      what it means
==========================  ===========================================================================
``synthetic[:n=N,seed=S]``  N rendered pictures (1000), other keys are fields of ``FaceSpec``
``FOLDER``                  all images below a folder, in order of their paths; or, if
                            ``datasets.Dataset.save_to_disk`` wrote it, that dataset
``FILE.parquet``            a parquet file, a pattern such as ``faces/*.parquet``, or a folder of them
``hf:OWNER/NAME[@SPLIT]``   a dataset of the Hugging Face hub; the split is ``train`` unless named
==========================  ===========================================================================

What is an image of a folder, :mod:`paco_fr.faces.listing` says. A name with ``[ ]``, ``*`` or ``?`` that is there is
meant letter by letter. Images stay encoded. A file that does not decode remains a record: whoever reads it counts the failure.
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any, TypeAlias

from datasets import Dataset, IterableDataset, load_dataset, load_from_disk

from paco_fr.faces import records
from paco_fr.faces.listing import as_text, is_hidden, list_files, suffixes
from paco_fr.synthetic.spec import FaceSpec
from paco_fr.utils.errors import MissingDataError, PacoError, one_line

Origin: TypeAlias = Dataset | IterableDataset | FaceSpec
"""What the faces of a source are made from: records, a stream of rows, or what to draw."""

FORMS = "synthetic[:n=N,seed=S], a folder, a .parquet file or pattern, or hf:OWNER/NAME[@SPLIT]"


def load_source(source: str) -> Dataset:
    """Return the face records that a SOURCE string names.

    Raises:
        MissingDataError: nothing is there, or the hub cannot be reached.
        PacoError: it is there but holds no face records; the message says what was looked for.

    """
    kind, _, rest = source.partition(":")
    if kind == "synthetic":
        return _synthetic(rest or "n=1000")
    if kind == "hf":
        return _hub(rest)
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path)
    files = []
    if path.suffix == ".parquet":
        files = [str(path)] if path.is_file() else sorted(map(str, path.parent.glob(path.name)))
    if files:
        return _parquet(files, source)
    raise MissingDataError(f"Source '{as_text(source)}' does not exist. A source is {FORMS}.")


def origin_of(source: str) -> tuple[Origin, int]:
    """Return what the faces of a SOURCE are made from, and how many they are.

    Nothing is drawn and nothing but the beginning of a hub data set is fetched: synthetic faces come as their
    spec, a hub data set as a stream whose length is not known, 0.

    Raises:
        MissingDataError: nothing is there, or the hub cannot be reached.
        PacoError: it is there but holds no face records.

    """
    if source.startswith("hf:"):
        return stream_hub(source.removeprefix("hf:")), 0
    synthetic = synthetic_spec(source)
    if synthetic is not None:
        return synthetic
    records = load_source(source)
    return records, len(records)


def same_place(one: str, other: str) -> bool:
    """Say whether two sources are one, by whatever path they are written."""
    return one == other or Path(one).expanduser().resolve() == Path(other).expanduser().resolve()


def find_images(folder: Path) -> list[Path]:
    """Return every image file below ``folder``, in order of the relative path, and say what was passed over.

    Raises:
        PacoError: there is none, or a link leads out of the folder.

    """
    found = list_files(folder)
    if not found.paths:
        passed = f" Passed over: {found.passed_over()}." if found.passed else ""
        raise PacoError(f"{as_text(folder)}: no images. Looked below it for {', '.join(suffixes())}.{passed}")
    found.say()
    return found.paths


def folder_records(folder: Path) -> Dataset:
    """Return one record for every image below ``folder``; its id is the relative path."""
    paths = [as_text(path) for path in find_images(folder)]
    above = "" if folder == Path() else f"{as_text(folder).rstrip('/')}/"
    ids = [
        path.removeprefix(above) for path in paths
    ]  # relative_to of Path takes longer than all else together
    columns = {"image": paths, "image_id": ids, "group": ids}
    return records.check(Dataset.from_dict(columns, features=records.features(columns)), as_text(folder))


def as_records(found: Dataset, source: str) -> Dataset:
    """Return a foreign dataset as face records: known columns cast, others dropped, ids added.

    A missing ``image_id`` becomes the row number, a missing ``group`` the identity or else the image id.
    """
    if "image" not in found.column_names:
        raise _no_image(source, found.column_names)
    known = found.select_columns(records.known(found.column_names))
    for name, type_ in records.features(known.column_names).items():
        if known.features[name] == type_:
            continue
        try:
            known = known.cast_column(name, type_)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise PacoError(
                f"{source}: column '{name}' is {known.features[name]}, a face record needs {type_}. "
                "Rename or convert it and save the dataset again."
            ) from error
    if "image_id" not in known.column_names:
        known = _add(known, "image_id", [f"{row:08d}" for row in range(len(known))])
    if "group" not in known.column_names:
        known = _add(known, "group", known["identity" if "identity" in known.column_names else "image_id"][:])
    return records.check(known, source)


def _add(found: Dataset, name: str, values: list[str]) -> Dataset:
    return found.add_column(name, values, feature=records.COLUMNS[name])


def synthetic_spec(source: str) -> tuple[FaceSpec, int] | None:
    """Return the spec of a ``synthetic`` source and how many of its pictures count, None for any other.

    ``FaceSpec`` itself judges the names and values of all options but ``n``.
    """
    kind, _, rest = source.partition(":")
    return _spec(rest or "n=1000") if kind == "synthetic" else None


def _synthetic(options: str) -> Dataset:
    from paco_fr.synthetic import records as rendered  # the renderer is heavy and needed by this source alone

    spec, count = _spec(options)
    return records.check(rendered(spec).select(range(count)), f"synthetic:{options}")


def _spec(options: str) -> tuple[FaceSpec, int]:
    given = {"seed": "0", "images_per_identity": "1"} | _options(options)
    if ("n" in given) == ("identities" in given):
        raise PacoError(f"Source 'synthetic:{options}': give n (pictures) or identities, and not both.")
    try:
        count = int(given.pop("n")) if "n" in given else None
        if count is not None and count < 1:
            raise ValueError(f"n={count} asks for no faces")
        if count is not None:
            given["identities"] = str(-(-count // int(given["images_per_identity"])))
        spec = FaceSpec.model_validate(given)
    except (ValueError, ZeroDivisionError) as error:  # pydantic's errors are ValueErrors
        known = ", ".join(["n", *FaceSpec.model_fields])
        raise PacoError(f"Source 'synthetic:{options}': {error}. Options: {known}.") from error
    return spec, spec.identities * spec.images_per_identity if count is None else count


def _options(text: str) -> dict[str, str]:
    """Parse ``key=value,key=value``."""
    options: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name or name in options:
            raise PacoError(f"Source 'synthetic:{text}': '{part}' is not one key=value. A source is {FORMS}.")
        options[name] = value
    return options


def _folder(path: Path) -> Dataset:
    if (path / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in path.iterdir() if (child / "state.json").is_file())
        raise PacoError(f"{path} holds several splits. Name one: {', '.join(str(path / s) for s in splits)}.")
    if (path / "state.json").is_file() and (path / "dataset_info.json").is_file():
        try:
            saved = load_from_disk(str(path))
        except (OSError, ValueError, KeyError) as error:
            raise PacoError(
                f"{path}: a saved dataset that cannot be opened ({error}). Save it again."
            ) from error
        return as_records(saved, str(path))
    parquet = parquet_files(path)
    return _parquet(parquet, as_text(path)) if parquet else folder_records(path)


def parquet_files(folder: Path) -> list[str]:
    """Return the parquet files in a folder, none if it holds pictures.

    A table among photographs, e.g. of their features, is not what is meant.
    """
    tables = [
        file for file in folder.glob("*.parquet") if not is_hidden(file.name) and file.name != records.BESIDE
    ]
    found = sorted(str(file) for file in tables)
    return [] if found and list_files(folder).paths else found


def _parquet(files: list[str], source: str) -> Dataset:
    try:
        found = Dataset.from_parquet([glob.escape(file) for file in files])
    except Exception as error:  # the builder wraps what it meets in errors of its own
        cause = error.__cause__ or error
        raise PacoError(
            f"{source}: not readable as parquet ({one_line(cause)}). Write the file again."
        ) from error
    return as_records(found, source)


def stream_hub(name: str) -> IterableDataset:
    """Return the rows of a hub data set ``OWNER/NAME[@SPLIT]`` one after the other, pictures undecoded.

    Raises:
        MissingDataError: the hub cannot be reached or knows no such set.
        PacoError: it has no column ``image``.

    """
    found: IterableDataset = _from_hub(name, streaming=True)
    columns = found.column_names or list(next(iter(found), {}))
    if "image" not in columns:
        raise _no_image(f"hf:{name}", columns)
    return found.select_columns(records.known(columns)).cast_column("image", records.COLUMNS["image"])


def _hub(name: str) -> Dataset:
    return as_records(_from_hub(name), f"hf:{name}")


def _from_hub(name: str, **options: bool) -> Any:
    repository, _, split = name.partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise PacoError(
            f"Source 'hf:{name}' does not name OWNER/NAME. Write hf:OWNER/NAME or hf:OWNER/NAME@SPLIT."
        )
    try:
        return load_dataset(repository, split=split or "train", **options)
    except Exception as error:  # the hub client raises errors of half a dozen libraries
        raise MissingDataError(
            f"hf:{name} could not be loaded ({type(error).__name__}: {error}). Check the name, the split and "
            "the connection; offline, name a folder or parquet file that you already have."
        ) from error


def _no_image(source: str, columns: list[str]) -> PacoError:
    return PacoError(
        f"{source}: no column 'image' among {', '.join(columns)}. Rename the one that holds "
        "the pictures to 'image' and save the dataset again."
    )
