"""Writes the site from rows: all that stands on it is the one table's, see :mod:`paco_eval.report.leaderboard.layout`.

Every page is a file that needs nothing from outside and runs one script, named by its hash; what comes from rows is escaped.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

from paco_eval.analysis.names import metric_title
from paco_eval.report.charts.panels import slug
from paco_eval.report.leaderboard.board import Entry, Head, Leaderboard, Score
from paco_eval.report.leaderboard.writers import to_csv, to_json
from paco_eval.report.page.frame import environment_of, text_of
from paco_eval.report.page.record import provenance
from paco_eval.report.page.theme import variables
from paco_eval.report.tables.published import EVIDENCE, METRICS, load_published, measured_as
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr import __version__
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import write_text, writing
from tasks.task import Task

SIZES = ((1e6, "below 1 M"), (30e6, "1 to 30 M"), (100e6, "30 to 100 M"), (float("inf"), "above 100 M"))
"""Classes of encoders by parameters: up to, and in words."""

UNKNOWN = "unknown"

PARTS = {
    "": "as they are",
    "occlusion": "occluders",
    "illumination": "bad light",
    "quality": "bad quality",
    "perturbed-occlusion": "occluders painted over",
    "perturbed-illumination": "bad light painted over",
    "codebook": "diagnostics of codebooks",
}
"""Parts of the first page, see :class:`paco_eval.report.leaderboard.board.Leaderboard`, in words."""

BREAKS = re.compile(r"(?<=[/=_,.\-])(?=\w)")


@dataclass(frozen=True)
class _Number:
    """A score as it is shown."""

    text: str
    interval: str
    rank: str
    ahead: bool
    struck: bool
    notes: tuple[str, ...]
    rows: tuple[Stored, ...]


def build_site(
    boards: Sequence[Leaderboard],
    out: str | Path,
    *,
    tasks: Mapping[str, Task],
    published: bool = True,
    title: str = "Leaderboard",
    problems: Sequence[str] = (),
) -> list[Path]:
    """Write the site and return its files, ``index.html`` first.

    Args:
        boards: with a column for each task, best with definitions, see
            :func:`paco_eval.report.leaderboard.layout.leaderboards`.
        out: folder, made if need be; files of an earlier site that are not written again stay.
        tasks: declarations by name, for what a task is and how to obtain it.
        published: whether pages of tasks show numbers of the literature, apart.
        title: of the site.
        problems: what could not be used, said on the first page.

    Raises:
        PacoError: nothing was measured, or the folder cannot be written.

    """
    if not boards:
        raise PacoError(
            "No rows to make a leaderboard of. Give the --out folder of an evaluation, or an archive."
        )
    out = Path(out)
    literature = _published() if published else {}
    pages = _Pages(boards, [name for name in literature if name in tasks])
    environment = _environment(title)
    texts = {
        "index.html": environment.get_template("index.html").render(
            root="", boards=[pages.board(board) for board in boards], families=pages.families, problems=problems,
            sizes=pages.sizes, licences=pages.licences, parts=pages.parts, protocols=pages.protocols,
            printed=[(name, pages.tasks[name], _family(name), len(literature[name])) for name in pages.printed],
        ),
        "submit.html": environment.get_template("submit.html").render(root=""),
        "table.json": to_json(boards),
        "table.csv": to_csv(boards),
    }  # fmt: skip
    for name, address in pages.encoders.items():
        texts[address] = environment.get_template("encoder.html").render(root="../", **pages.encoder(name))
    for name, address in pages.tasks.items():
        texts[address] = environment.get_template("task.html").render(
            root="../", **pages.task(name, tasks.get(name)), literature=literature.get(name, [])
        )
    with writing(f"the leaderboard to {out}", "Choose another --out."):
        return [write_text(out / name, text) for name, text in texts.items()]


def _environment(title: str) -> Environment:
    style = variables() + "}\n" + text_of("site", "site.css")
    environment = environment_of("site")
    environment.filters["breaks"] = lambda name: Markup("<wbr>").join(map(escape, BREAKS.split(name)))
    environment.globals.update(site=title, version=__version__, style=Markup(":root {" + style))
    return environment


class _Pages:
    """The boards by encoder and by task, with an address for each."""

    def __init__(self, boards: Sequence[Leaderboard], literature: Sequence[str]) -> None:
        self.boards = boards
        measured = {head.key: None for board in boards for head in board.heads}
        self.printed = sorted(set(literature) - set(measured))
        names = dict.fromkeys(entry.name for board in boards for entry in board.entries)
        self.encoders = _addresses("encoders", names)
        self.tasks = _addresses("tasks", measured | dict.fromkeys(self.printed))
        self.families = sorted({_family(name) for name in self.tasks})
        held_parts = {board.part for board in boards}
        self.protocols = list(dict.fromkeys(map(_way, boards)))
        self.parts = [words for part, words in PARTS.items() if part in held_parts]
        facts = [_facts(entry) for board in boards for entry in board.entries]
        self.licences = sorted({fact["licence"] for fact in facts})
        held = {fact["size"] for fact in facts}
        self.sizes = [words for words in (*(words for _, words in SIZES), UNKNOWN) if words in held]

    def board(self, board: Leaderboard) -> dict[str, Any]:
        """Return what the first page shows of a table."""
        return {
            "way": _way(board),
            "part": PARTS[board.part],
            "heading": _heading(board),
            "mimic": board.mimic,
            "heads": [
                {"title": head.title.removeprefix(f"{board.part}/"), "metric": head.metric, "arrow": head.arrow,
                 "family": _family(head.key),
                 "up": head.higher_is_better, "page": self.tasks[head.key]}
                for head in board.heads
            ],
            "entries": [
                {
                    "name": entry.name, "page": self.encoders[entry.name], "seeds": entry.seeds, **_facts(entry),
                    "rank": "–" if entry.rank is None else f"{entry.rank:.1f}",
                    "scores": [
                        (score and score.value, _number(head, score), _family(head.key))
                        for head, score in zip(board.heads, entry.scores, strict=True)
                    ],
                }
                for entry in board.entries
            ],
            "claims": [claim.sentence for claim in board.claims],
            "definitions": board.definitions,
            "notes": board.notes,
        }  # fmt: skip

    def encoder(self, name: str) -> dict[str, Any]:
        """Return what the page of an encoder shows: its scores under every protocol, and what they rest on."""
        parts = []
        rows: dict[str, Row] = {}
        facts: dict[str, Any] = {}
        for board in self.boards:
            for entry in (entry for entry in board.entries if entry.name == name):
                facts = {
                    **_facts(entry),
                    "called": entry.encoder,
                    "method": entry.method,
                    "seeds": entry.seeds,
                }
                lines = [
                    (head, self.tasks[head.key], number)
                    for head, score in zip(board.heads, entry.scores, strict=True)
                    if (number := _number(head, score)) is not None
                ]
                parts.append((_heading(board), lines))
                rows |= {stored.row.key: stored.row for _, _, number in lines for stored in number.rows}
        return {
            "name": name,
            "facts": facts,
            "parts": parts,
            "sources_list": [_source(row) for row in rows.values()],
        }

    def task(self, name: str, declared: Task | None) -> dict[str, Any]:
        """Return what the page of a task shows: who stands where under every protocol."""
        parts = []
        rows: dict[str, Row] = {}
        heads: list[Head] = []
        for board in self.boards:
            for place, head in enumerate(board.heads):
                if head.key != name:
                    continue
                heads.append(head)
                found = [(entry, entry.scores[place]) for entry in board.entries]
                scored = [(entry, score) for entry, score in found if score is not None]
                scored.sort(key=lambda pair: _order(head, pair[1]))
                lines = [
                    (entry.name, self.encoders[entry.name], _number(head, score)) for entry, score in scored
                ]
                parts.append(
                    (board.protocol, lines, [c.sentence for c in board.claims if c.task == head.title])
                )
                rows |= {stored.row.key: stored.row for _, score in scored for stored in score.rows}
        return {
            "name": name, "head": next(iter(heads), None), "parts": parts, "declared": declared,
            "sources_list": [_source(row) for row in rows.values()],
        }  # fmt: skip


def _addresses(folder: str, names: Mapping[str, object] | dict[str, None]) -> dict[str, str]:
    """Return an address for each name; two names that read alike get a mark of their own."""
    taken: dict[str, list[str]] = defaultdict(list)
    for name in names:
        taken[slug(name) or "encoder"].append(name)
    return {
        name: f"{folder}/{plain if len(alike) == 1 else f'{plain}-{content_hash(name)[:8]}'}.html"
        for plain, alike in taken.items()
        for name in alike
    }


def _way(board: Leaderboard) -> str:
    """Return what the filter of protocols calls a table."""
    return board.protocol + (" (miniatures)" if board.mimic else "")


def _family(task: str) -> str:
    return task.rpartition("/")[0].rpartition("/")[2] or task


def _heading(board: Leaderboard) -> str:
    return f"{board.protocol}, {PARTS[board.part]}" if board.part else board.protocol


def _order(head: Head, score: Score) -> float:
    if score.value is None:
        return float("inf")
    return -score.value if head.higher_is_better else score.value


def _facts(entry: Entry) -> dict[str, Any]:
    rows = [stored.row for score in entry.scores if score is not None for stored in score.rows]
    licence = ", ".join(sorted({row.licences.get("weights") or UNKNOWN for row in rows})) or UNKNOWN
    size = UNKNOWN
    if entry.parameters is not None:
        size = next(words for most, words in SIZES if entry.parameters < most)
    parameters = "–" if entry.parameters is None else f"{entry.parameters / 1e6:.3g} M"
    return {"licence": licence, "size": size, "parameters": parameters}


def _number(head: Head, score: Score | None) -> _Number | None:
    if score is None:
        return None
    interval = "" if score.low is None else f"{head.number(score.low)} to {head.number(score.high)}"
    rank = "" if score.rank is None else f"{score.rank:g}"
    return _Number(
        head.number(score.value), interval, rank, score.ahead, score.struck, score.notes, score.rows
    )


def _source(row: Row) -> dict[str, Any]:
    """Return everything that is on record of a number."""
    _, facts = provenance(row)
    packages = ", ".join(f"{name} {value}" for name, value in sorted(row.versions.items()))
    licences = "; ".join(f"{of}: {terms}" for of, terms in sorted(row.licences.items()))
    more = [
        ("versions", packages),
        ("terms", licences),
        ("digest", row.digest),
        ("items, sha256", row.items_sha256),
    ]
    plain = [(name, text) for name, text, _ in facts] + [fact for fact in more if fact[1]]
    return {
        "key": row.key, "task": row.task, "encoder": row.encoder, "seed": row.pretrain_seed, "facts": plain,
        "command": row.command, "retrain": row.retrain,
    }  # fmt: skip


def _published() -> dict[str, list[dict[str, str]]]:
    """Return numbers of the literature by the task or variant that they were measured by, as they were printed.

    Those that no variant here measured are on no page: beside a task they would look comparable.
    """
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    frame = load_published()
    for entry in frame.assign(task=measured_as(frame)).to_dict("records"):
        line = {str(name): str(value) for name, value in entry.items()}
        line["title"] = metric_title(line["metric"], METRICS[line["metric"]][0])
        line["seen"] = EVIDENCE[line["evidence"]]
        found[line["task"]].append(line)
    return found
