"""Weights and rows from elsewhere and to elsewhere: the hub, and weights at known public addresses.

Nothing is fetched before its address, terms and checksum were shown; what is kept carries a checksum that is held against
it whenever it is used. ``HF_ENDPOINT`` names another hub, ``HF_TOKEN`` (or ``hf auth login``) who is asking.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from paco_fr.utils import progress
from paco_fr.utils.errors import PacoError, one_line, unknown_name
from paco_fr.utils.files import atomic_file, cache_folder, file_checksum, write_text
from paco_fr.utils.untrusted import read_json

BLOCK = 1 << 20
"""Bytes that are read at a time."""


@dataclass(frozen=True)
class Public:
    """Weights at an address of their authors.

    Attributes:
        url: where.
        licence: their terms.
        md5: how their checksum begins, as far as the authors print it; empty where they print none.
        by_hand: whether the address leads to a page that asks something of people, so that nothing is fetched.

    """

    url: str
    licence: str
    md5: str = ""
    by_hand: bool = False


_FARL = "https://github.com/FacePerceiver/FaRL/releases/download/pretrained_weights/FaRL-Base-Patch16-LAIONFace20M"
_MAE = "https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit"

PUBLIC: dict[str, dict[str, Public]] = {
    "farl": {name: Public(f"{_FARL}-{name}.pth", "MIT") for name in ("ep16", "ep64")},
    "mae": {
        name: Public(f"{_MAE}_{name}.pth", "CC BY-NC 4.0", md5)
        for name, md5 in (("base", "8cad7c"), ("large", "b8b06e"), ("huge", "9bdbb0"))
    },
    "mcf": {
        "ep16": Public(
            "https://drive.google.com/file/d/1hZqMKUfc2J6zGMDLPB4m32fIzi0TSecU/view",
            "none stated",
            by_hand=True,
        )
    },
}
"""By scheme and name, from the pages of their authors. FaRL's and MCF's print no checksums."""


def weight_file(scheme: str, file: str) -> str:
    """Return the file that ``farl:``, ``mcf:`` or ``mae:`` is followed by; a known name is fetched once, into the cache.

    Raises:
        PacoError: neither a file nor a known name; known ones that people have to fetch by hand; or what was fetched is
            not what it should be.

    """
    known = PUBLIC[scheme]
    if Path(file).exists() or Path(file).suffix or "/" in file:
        return file
    if file not in known:
        raise unknown_name(f"file or name behind {scheme}:", file, known)
    if known[file].by_hand:
        raise PacoError(
            f"{scheme}:{file} is not fetched: its authors keep it behind a page, {known[file].url} (licence "
            f"{known[file].licence}, no checksum). Save it from there in a browser and give the file, {scheme}:FILE."
        )
    return str(_fetched(f"{scheme}-{file}", known[file]))


def _fetched(name: str, public: Public) -> Path:
    path = cache_folder("weights") / f"{name}.pth"
    note = path.with_suffix(".json")
    if path.is_file() and note.is_file():
        said = read_json(note, "Delete it, and the weights are fetched again.")
        if said.get("checksum") == file_checksum(path):
            return path
        progress.say(f"Note: {path} is damaged; it is fetched again.")
    import urllib.request  # here: names of weights are completed without it

    sure = f"md5 {public.md5}..." if public.md5 else "no checksum printed by its authors"
    progress.say(f"Fetching {public.url}\n  licence {public.licence}; {sure}; kept in {path}")
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with atomic_file(path) as temporary:
        try:
            with urllib.request.urlopen(public.url, timeout=60) as answer, temporary.open("wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    md5.update(block)
                    sha256.update(block)
                wanted = int(answer.headers.get("Content-Length") or file.tell())
                got = file.tell()
        except OSError as error:  # urllib's errors are OSErrors
            raise PacoError(
                f"{public.url} cannot be fetched ({one_line(error)}). Fetch it elsewhere and give the file."
            ) from error
        if got != wanted or not md5.hexdigest().startswith(public.md5):
            raise PacoError(
                f"{public.url}: {got:,} of {wanted:,} bytes, md5 {md5.hexdigest()}, expected {public.md5 or 'any'}... "
                "Nothing was kept. Try again."
            )
    content = {"url": public.url, "licence": public.licence, "sha256": sha256.hexdigest()}
    write_text(note, json.dumps({**content, "checksum": file_checksum(path)}, indent=1) + "\n")
    progress.say(f"  sha256 {sha256.hexdigest()}")
    return path


def endpoint() -> str:
    """Return the address of the hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@cache
def hub_checkpoint(place: str) -> Path:
    """Return the folder of the checkpoint in a repository ``OWNER/NAME[@REVISION]``, fetched into the hub's cache.

    Raises:
        PacoError: it cannot be reached, is not there, or holds no checkpoint of this package.

    """
    repository, _, revision = place.partition("@")
    progress.say(f"Fetching {endpoint()}/{repository}; its terms stand in its card")
    names = ["card.json", "model.safetensors", "README.md"]
    folder = pulled(repository, [*names, *(f"paco/{name}" for name in names)], revision=revision)
    found = next((path for path in (folder / "paco", folder) if (path / "card.json").is_file()), None)
    if found is None:
        raise PacoError(
            f"{repository} holds no checkpoint of this package. A model of timm's: timm:hf-hub:{repository}"
        )
    licence = read_json(found / "card.json", "It is not a checkpoint card.").get("licence", "unknown")
    progress.say(f"  licence of the weights: {licence}")
    return found


def pulled(
    repository: str,
    patterns: Sequence[str],
    *,
    kind: str = "model",
    revision: str = "",
    out: Path | None = None,
) -> Path:
    """Fetch files of a repository and return their folder.

    Args:
        repository: ``OWNER/NAME``.
        patterns: of the files.
        kind: ``model`` or ``dataset``.
        revision: branch, tag or commit; by default the main branch.
        out: where to; by default the hub's cache.

    """
    from huggingface_hub import snapshot_download

    with _speaking(repository):
        return Path(
            snapshot_download(
                repository, repo_type=kind, revision=revision or None, allow_patterns=list(patterns),
                local_dir=out, endpoint=endpoint(), max_workers=4,
            )
        )  # fmt: skip


def pushed(
    folder: Path, repository: str, *, kind: str = "model", message: str, patterns: Sequence[str] | None = None
) -> str:
    """Put files of a folder into a repository, made if need be, and return its address."""
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint())
    with _speaking(repository):
        hub.create_repo(repository, repo_type=kind, exist_ok=True)
        hub.upload_folder(
            repo_id=repository, folder_path=folder, repo_type=kind, commit_message=message,
            allow_patterns=None if patterns is None else list(patterns),
        )  # fmt: skip
    return f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repository}"


UNREACHABLE = "cannot be reached and is not in the cache. Check the network, HF_ENDPOINT and HF_HUB_OFFLINE."

UNREACHED = (
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "ReadTimeout",
    "TimeoutException",
    "ProxyError",
)
"""Errors of the libraries below the hub's, of which versions use different ones."""


@contextmanager
def _speaking(repository: str) -> Iterator[None]:
    """Say in a line what went wrong between here and the hub."""
    from huggingface_hub import errors

    if not all(repository.partition("/")):  # to the hub, a name of its oldest models
        raise PacoError(f"'{repository}' is no repository of the hub. A repository is OWNER/NAME.")
    where = f"{endpoint()}/{repository}"
    try:
        yield
    except errors.LocalEntryNotFoundError as error:  # a kind of HTTP error to some versions
        raise PacoError(f"{where} {UNREACHABLE}") from error
    except errors.RevisionNotFoundError as error:
        raise PacoError(f"{where} has no such revision.") from error
    except errors.RepositoryNotFoundError as error:
        raise PacoError(
            f"{where} is not there, or not for you. Check the name; `hf auth login` or HF_TOKEN says who you are."
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        remedy = (
            "`hf auth login` or HF_TOKEN says who you are." if status in (401, 403) else "Try again later."
        )
        raise PacoError(f"{where} answered {status}. {remedy}") from error
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        reached = not names & {*UNREACHED, "OfflineModeIsEnabled"} and not isinstance(
            error, ConnectionError | TimeoutError
        )
        if reached and isinstance(error, ValueError):  # a name that cannot be one
            raise PacoError(f"{repository}: {one_line(error)} A repository is OWNER/NAME.") from error
        if reached:
            raise
        raise PacoError(f"{where} {UNREACHABLE}") from error
