"""Which perturbations exist, at which strengths. Data alone: nothing heavy is imported here.

Level 0 is the clean picture, to the byte; levels 1 to 5 are the numbers in ``strengths``. A version is raised
with any change of a picture: it enters cache addresses and the versions of derived tasks, so numbers before
and after never meet in one column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paco_fr.utils.errors import PacoError, unknown_name

Factor = Literal["occlusion", "illumination", "quality"]

LEVELS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Perturbation:
    """One way of changing a picture.

    Attributes:
        name: kind, as rows name it in ``subset``.
        factor: what it is an instance of.
        function: ``module:function`` of this package, called as ``function(picture, strength)``.
        strengths: what levels 1 to 5 mean, in ``unit``.
        unit: of the strengths.
        achieved: what the number says that comes back with each picture.
        needs_face: whether it is anchored to landmarks.
        version: see the module.

    """

    name: str
    factor: Factor
    function: str
    strengths: tuple[float, float, float, float, float]
    unit: str
    achieved: str
    needs_face: bool = False
    version: int = 1

    def strength(self, level: int) -> float:
        """Return the strength of a level from 1 to 5.

        Raises:
            PacoError: there is no such level.

        """
        if level not in LEVELS:
            raise PacoError(f"Perturbation '{self.name}' has levels 1 to 5 (0 is clean), not {level}.")
        return self.strengths[level - 1]


COVERAGE = "share of the face hull that is hidden"
LUMINANCE = "mean linear luminance as a share of the clean picture's"

_SHARES = (0.10, 0.20, 0.30, 0.40, 0.50)
_NATURAL = (0.0, 0.25, 0.5, 0.75, 1.0)

_ALL = (
    Perturbation("boxes", "occlusion", "shapes:boxes", _SHARES, "share of the face hull", COVERAGE, True),
    Perturbation("texture", "occlusion", "shapes:texture", _SHARES, "share of the face hull", COVERAGE, True),
    Perturbation("sunglasses", "occlusion", "worn:sunglasses", _NATURAL, "size", COVERAGE, True),
    Perturbation(
        "surgical_mask", "occlusion", "worn:surgical_mask", _NATURAL, "height of the upper edge", COVERAGE,
        True,
    ),
    Perturbation(
        "scarf", "occlusion", "worn:scarf", (0.2, 0.4, 0.6, 0.8, 1.0), "height of the upper edge", COVERAGE,
        True,
    ),
    Perturbation("hand", "occlusion", "worn:hand", _NATURAL, "nearness to the middle", COVERAGE, True),
    Perturbation("hair", "occlusion", "worn:hair", _NATURAL, "length", COVERAGE, True),
    Perturbation(
        "gamma", "illumination", "exposure:gamma", (0.75, 0.55, 0.38, 0.25, 0.15), "mean luminance",
        LUMINANCE,
    ),
    Perturbation(
        "underexposure", "illumination", "exposure:exposed", (-1, -2, -3, -4, -5), "stops", LUMINANCE,
    ),
    Perturbation(
        "overexposure", "illumination", "exposure:exposed", (0.5, 1, 1.5, 2.25, 3), "stops", LUMINANCE,
    ),
    Perturbation(
        "low_light", "illumination", "exposure:low_light", (-3, -5, -6.5, -8, -9), "stops of light",
        LUMINANCE,
    ),
    Perturbation(
        "colour_temperature", "illumination", "exposure:colour_temperature", (0.2, 0.4, 0.6, 0.8, 1.0),
        "share of the way to 2400 K or 18000 K", "shift of the light in mired, positive is warmer",
    ),
    Perturbation(
        "side_light", "illumination", "shading:side_light", (12, 25, 50, 70, 90), "degrees of azimuth",
        "angle between light and camera axis in degrees", True,
    ),
    Perturbation(
        "top_light", "illumination", "shading:top_light", (12, 25, 45, 65, 80), "degrees of elevation",
        "angle between light and camera axis in degrees", True,
    ),
    Perturbation(
        "cast_shadow", "illumination", "shading:cast_shadow", (0.15, 0.3, 0.45, 0.6, 0.75),
        "share of the face hull", LUMINANCE, True,
    ),
    Perturbation(
        "blur", "quality", "degrade:blur", (0.7, 1.3, 2.2, 3.5, 5.0),
        "standard deviation in pixels of a 112 px canvas", "standard deviation in pixels",
    ),
    Perturbation(
        "jpeg", "quality", "degrade:jpeg", (60, 35, 20, 12, 7), "JPEG quality",
        "bytes of the encoded picture per pixel",
    ),
    Perturbation(
        "downsampling", "quality", "degrade:downsampling", (0.5, 0.35, 0.25, 0.18, 0.12), "share of the side",
        "side in pixels",
    ),
    Perturbation(
        "noise", "quality", "degrade:noise", (6, 12, 22, 36, 56), "standard deviation in grey levels",
        "standard deviation that came out, in grey levels",
    ),
)  # fmt: skip

PERTURBATIONS: dict[str, Perturbation] = {each.name: each for each in _ALL}

FACTORS: tuple[Factor, ...] = ("occlusion", "illumination", "quality")


def perturbation(name: str) -> Perturbation:
    """Return a perturbation by name; an unknown one is an error that suggests the nearest."""
    if name not in PERTURBATIONS:
        raise unknown_name("perturbation", name, PERTURBATIONS)
    return PERTURBATIONS[name]


def kinds_of(factor: Factor) -> tuple[str, ...]:
    """Return the names of a factor's perturbations."""
    return tuple(each.name for each in _ALL if each.factor == factor)
