"""What a row is: what was measured, on what, how, and how sure. The only source of a published number.

KEY, a row's name, hashes the fields in :data:`IDENTIFYING`: two runs that should give the same number have
the same key. ``digest`` hashes the whole content, ``items_sha256`` the items file, so an edit by hand is
noticed. Where rows lie is for :mod:`paco_eval.rows.store` and :mod:`paco_eval.rows.archive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from paco_fr.contracts import content_hash

SCHEMA = 5
"""Number of the row format that this version writes."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda fields: {**fields, "schema": 2},  # 2 adds ``retrain``, which may be empty
    # 3 adds ``beside``, counts of items and warnings, all of which may be absent; items lie under their hash
    2: lambda fields: {**fields, "schema": 3},
    3: lambda fields: {
        **fields,
        "schema": 4,
    },  # 4 adds ``definition``, ``alias`` and ``settings``, which may be empty
    # 5 adds ``network`` and ``probe``, which may be empty; before, ``weight_hash`` was what is stated
    4: lambda fields: {**fields, "schema": 5},
}
"""For each older format a function that turns its fields into those of the next one."""

IDENTIFYING = (
    "task", "task_version", "encoder", "weight_hash", "pixel_hash", "crop_hash", "protocol", "split",
    "subset", "level", "data_fingerprint", "pretrain_seed", "probe_seed", "split_seed",
)  # fmt: skip
"""Fields that say which measurement a row is. The encoder's name is among them beside its weights, so
that what a user asked for under one name is never answered by a row under another."""

Unit = Literal["%", "deg", ""]
"""Of a metric: a share or an error in percent of a length; degrees; empty, a number from 0 to 1."""


def possible(unit: Unit, higher_is_better: bool) -> tuple[float, float]:
    """Return the least and the largest value that a metric can have."""
    if unit == "%":  # an error in percent of a length, as NME, may exceed 100; a share may not
        return 0.0, 100.0 if higher_is_better else math.inf
    return 0.0, {"deg": 180.0, "": 1.0}[unit]


MOST_FAILED = 0.05
"""Largest share of failures with which a number stands; above, it is shown struck through."""

NOTES = ("random", "constant")
"""What ``chosen`` may say of an encoder's features: that they depend on chance or on the batch, or on no picture."""

_SLACK = 1e-9  # rounding of the last digit in a sum is no broken invariant


class Metric(BaseModel):
    """One number with its interval; ``None`` where it is undefined, which is not the same as zero."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float | None = Field(description="the estimate on all items; null if undefined")
    low: float | None = Field(default=None, description="lower end of the interval; null if there is none")
    high: float | None = Field(default=None, description="upper end of the interval")
    higher_is_better: bool = Field(description="direction")
    unit: Unit = Field(description="empty: a plain number from 0 to 1")
    warning: str = Field(default="", description="why the value is too weakly founded for an interval")

    @model_validator(mode="after")
    def _possible(self) -> Metric:
        if (self.low is None) != (self.high is None) or (self.value is None and self.low is not None):
            raise ValueError("an interval needs both ends and a value")
        if self.value is None:
            return self
        least, most = possible(self.unit, self.higher_is_better)
        if not least - _SLACK <= self.value <= most + _SLACK:
            raise ValueError(f"{self.value} is outside {least:g}..{most:g}, the range of '{self.unit}'")
        if self.low is not None and self.high is not None:
            # Where each replicate chooses anew (a threshold, the nearest face), a percentile interval may
            # miss the estimate by a little; by more than its own width it belongs to another number.
            slack = self.high - self.low + _SLACK
            if self.high < self.low or not self.low - slack <= self.value <= self.high + slack:
                raise ValueError(f"{self.value} does not belong to its interval {self.low}..{self.high}")
        return self


class Interval(BaseModel):
    """How the intervals of a row were made; captions state it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = Field(description="e.g. 'bootstrap percentile', with what was chosen anew in a replicate")
    unit: str = Field(description="what was resampled: identity, template, subject, image")
    n_units: int = Field(ge=0, description="how many of them")
    replicates: int = Field(ge=0, description="bootstrap replicates")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="share of replicates inside")


class Definition(BaseModel):
    """What the metrics of a row are computed by: a kind of task and its options, as its declaration had them.

    With them metrics of a task that nobody declares any more come out of the items again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str = Field(description="module of tasks.kinds")
    options: dict[str, Any] = Field(
        default_factory=dict, description="of the task, as far as they are text, numbers and lists of these"
    )


class Row(BaseModel):
    """One measurement. Leave out ``key``, ``items_sha256`` and ``digest``: they are filled in.

    Beyond the fields of the architecture it carries: ``interval``, without which no caption could say
    what an interval means; ``method``, which groups the seeds of one recipe; ``cost`` and ``licences``,
    because a row travels without its encoder and data; ``command``, ``repro`` and ``retrain``, to make it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    # ``schema`` is a name of pydantic's own, so the attribute has another.
    schema_version: int = Field(default=SCHEMA, alias="schema", ge=1, description="format of this file")
    key: str = Field(pattern=r"^[0-9a-f]{16}$", description="hash of the identifying fields")
    task: str = Field(description="family/dataset")
    task_version: int = Field(ge=1, description="raised with any change of the task's scores")
    family: str = Field(description="the task's name before the dataset; tables hold one family each")
    encoder: str = Field(description="as the user wrote it")
    alias: str = Field(default="", description="what tables call the encoder, where the user said")
    method: str = Field(description="objective and recipe without the seed, e.g. paco/tiny")
    weight_hash: str = Field(description="of what the encoder computes: its tensors, structure and probe")
    pixel_hash: str = Field(description="of the pixel contract: size, colours, interpolation")
    crop_hash: str = Field(description="of the face crop contract")
    protocol: str = Field(description="frozen, few-shot or fine-tune, with what distinguishes it")
    split: str = Field(default="test", description="the split that was scored")
    subset: str = Field(default="all", description="part of the split, e.g. occlusion")
    level: int | None = Field(default=None, description="severity of a perturbation; null if clean")
    data_fingerprint: str = Field(description="hash of the images and lists that were used")
    data_kind: Literal["official", "partial", "mimic", "synthetic", "user"] = Field(
        description="partial: an official set of which something is missing; mimic: a miniature in the official "
        "layout, never shown among real numbers"
    )
    pretrain_seed: int | None = Field(default=None, description="null if unknown or not pretrained")
    probe_seed: int | None = Field(default=None, description="null if fitting has no randomness")
    split_seed: int | None = Field(default=None, description="null if the split is fixed")
    chosen: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="layer, pooling, regularisation as chosen on validation"
    )
    val_score: float | None = Field(default=None, description="main metric on validation at that choice")
    metrics: dict[str, Metric] = Field(min_length=1, description="every number of this measurement")
    main_metric: str = Field(description="the metric that stands for the task")
    definition: Definition | None = Field(
        default=None, description="what the metrics are computed by; null in rows of earlier versions"
    )
    interval: Interval | None = Field(default=None, description="null if no metric has an interval")
    n_expected: int = Field(ge=0, description="pictures that the protocol has")
    n_scored: int = Field(ge=0, description="pictures that were not failures")
    item: str = Field(default="", description="what is scored: picture, pair, template, search")
    n_items: int = Field(default=0, ge=0, description="how many of them; 0 if unknown")
    n_items_failed: int = Field(default=0, ge=0, description="how many were scored as failures")
    cost: dict[str, float] = Field(
        default_factory=dict, description="parameters, flops of one picture, images_per_s, as known"
    )
    timings: dict[str, float] = Field(
        default_factory=dict, description="seconds by phase; 'pretrain' where the card of the weights says"
    )
    licences: dict[str, str] = Field(default_factory=dict, description="terms of 'data' and 'weights'")
    versions: dict[str, str] = Field(default_factory=dict, description="of packages and adapter")
    commit: str = Field(default="unknown", description="of this package's source")
    hardware: dict[str, str] = Field(default_factory=dict, description="machine by part")
    command: str = Field(default="", description="makes this row again")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="of the call that measured it, as a file for --config holds them"
    )
    repro: Literal["evaluate", "retrain"] = Field(
        default="evaluate", description="whether the weights are at hand or must be trained again"
    )
    retrain: str = Field(
        default="", description="trains the weights again; empty if they are at hand or nobody knows"
    )
    items_sha256: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="of the items",
    )
    beside: dict[str, str] = Field(
        default_factory=dict, description="sha256 of other files of this row, by kind: KEY.HASH.KIND"
    )
    network: dict[str, str] = Field(
        default_factory=dict,
        description="hashes that its weight_hash is of: 'stated' (its tensors or file), 'structure'",
    )
    probe: dict[str, list[float]] = Field(
        default_factory=dict, description="numbers of each output on the probe, by its name with shape"
    )
    digest: str = Field(default="", pattern=r"^([0-9a-f]{16})?$", description="hash of all other fields")

    @model_validator(mode="before")
    @classmethod
    def _fill_key(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "key" in data:
            return data
        defaults = {"split": "test", "subset": "all"}
        return {**data, "key": row_key({**defaults, **data})}

    @model_validator(mode="after")
    def _consistent(self) -> Row:
        if self.key != row_key(self.model_dump(include=set(IDENTIFYING))):
            raise ValueError("key does not fit the identifying fields; was the file edited?")
        if self.family != self.task.rpartition("/")[0]:
            raise ValueError(f"family '{self.family}' is not that of task '{self.task}'")
        if self.main_metric not in self.metrics:
            raise ValueError(f"main_metric '{self.main_metric}' is not among the metrics")
        if self.n_scored > self.n_expected:
            raise ValueError(f"n_scored {self.n_scored} exceeds n_expected {self.n_expected}")
        if self.n_items_failed > self.n_items:
            raise ValueError(f"n_items_failed {self.n_items_failed} exceeds n_items {self.n_items}")
        if self.interval is None and any(m.low is not None for m in self.metrics.values()):
            raise ValueError("a metric has an interval but 'interval' does not say how it was made")
        return self

    @property
    def stated_hash(self) -> str:
        """Hash of the encoder's tensors or file; rows of earlier versions know no other."""
        return self.network.get("stated", self.weight_hash)

    @property
    def failed(self) -> tuple[int, int, str]:
        """How many failed, of how many, of what: items or pictures, whichever lost the larger share."""
        pictures = (self.n_expected - self.n_scored, self.n_expected, "picture")
        items = (self.n_items_failed, self.n_items, self.item)
        return max(items, pictures, key=lambda found: found[0] / max(found[1], 1))

    @property
    def failures(self) -> str:
        """What failed, with count and share, in words; empty where nothing did."""
        lost, of, what = self.failed
        return f"{lost} of {of} {what}s ({100 * lost / of:.3g} %) failed" if lost else ""

    @property
    def void(self) -> bool:
        """Whether so much failed that the number says little of the encoder."""
        lost, of, _ = self.failed
        return lost > MOST_FAILED * of

    @property
    def main(self) -> Metric:
        """The metric that stands for the task."""
        return self.metrics[self.main_metric]


def ways_of(rows: Iterable[Row]) -> dict[str, str]:
    """Return how faces were cut and scored, by the hash of the crop: in words, whatever the canvas.

    Rows of earlier versions have no words; a crop that no row has words for is known by its hash.
    """
    found: dict[str, str] = {}
    for row in rows:
        if row.chosen.get("way") or row.crop_hash not in found:
            found[row.crop_hash] = str(row.chosen.get("way") or row.crop_hash)
    return found


def row_key(fields: Mapping[str, Any]) -> str:
    """Return the key of a measurement from its identifying fields; absent ones count as None."""
    return content_hash({name: fields.get(name) for name in IDENTIFYING})


def upgraded(content: Mapping[str, Any]) -> Row:
    """Return the row of stored fields, of this format or an older one; raises pydantic's ``ValidationError``."""
    fields = dict(content)
    for number in range(int(fields["schema"]), SCHEMA):
        fields = UPGRADES[number](fields)
    return Row.model_validate(fields)


def row_schema() -> dict[str, Any]:
    """Return the JSON schema of a row file, as committed in ``paco_eval/rows/row.schema.json``."""
    schema = Row.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "paco-eval row"}
