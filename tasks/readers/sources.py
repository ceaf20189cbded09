"""Where real data comes from and under which terms, for declarations that share a data set."""

from typing import Any

LONDON: dict[str, Any] = {
    "licence": "CC BY 4.0",
    "obtain": "Download the Face Research Lab London Set (doi 10.6084/m9.figshare.5047666) into <data root>/london_set.",
    "citation": "DeBruine & Jones 2017, Face Research Lab London Set, doi 10.6084/m9.figshare.5047666.v5",
}
