"""Where tissue lies on the glass of a whole slide."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging import stains
from annohooks.imaging.analyzers.base import Analyzer, ClassMap, ObjectClass, Parameters, analyzer
from annohooks.imaging.decode import Picture
from annohooks.imaging.histograms import histogram, otsu_threshold
from annohooks.imaging.morphology import disc
from annohooks.imaging.outlines.contours import Mask

_LEVELS = 1000  # to a unit of optical density
_LEAST_CONTRAST = 15.0  # levels between the means of tissue and glass
_FAINTEST, _DARKEST = 10.0, 14.0  # a threshold between these: above noise, and below pale tissue beside dark
_USUAL_GLASS = 240
_DARKEST_GLASS, _MOST_TINT = 200, 16  # grey values: glass is brighter than the one, its colours apart by less
_GREY = 0.1  # what is nearly grey differs by this part of what it takes
_SMOOTH_UM = 8.0
_CLOSING_UM = 96.0  # diameters
_OPENING_UM = 48.0
_INK_RIM_UM = 40.0  # how far the edge of a stroke fades out


class TissueParameters(Parameters, frozen=True, kw_only=True):
    """What a user may choose for tissue."""

    sensitivity: Annotated[float, msgspec.Meta(title="sensitivity, above 1 finds paler tissue", ge=0.2, le=5)] = 1.0
    ink: Annotated[Literal["left out", "kept"], msgspec.Meta(title="pen ink, blue, green or black")] = "left out"
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 50_000.0


class Glass(NamedTuple):
    """Optical density of empty glass in blue, green and red, and the level of colour above which there is tissue."""

    density: NDArray[np.float32]
    limit: float


@analyzer
class Tissue(Analyzer[TissueParameters, Glass]):
    """Where more light is taken from one colour than from another, compared with the glass, and not as ink does.

    Stains are coloured; dust, black ink, the cover slip's edge, air bubbles and shadows take as much from each colour.
    Source: Otsu 1979; colour as the range of optical densities, after Ruifrok and Johnston 2001.
    """

    name = "tissue"
    title = "Tissue"
    classes = (ObjectClass("pieces of tissue", "#00A0A0"),)
    shows = ("outlines",)
    parameters = TissueParameters
    mpp = 8.0
    coarsest_mpp = float("inf")
    smallest_hole_um2 = 20_000.0
    halo_um = 3 * _SMOOTH_UM + _CLOSING_UM + _OPENING_UM + _INK_RIM_UM + 20

    def calibrate(self, sample: Picture, mpp: float, parameters: TissueParameters) -> Glass:
        """The glass of the slide, and Otsu's threshold of colour; inf when nothing stands out."""
        density = _glass(sample)
        color, ink = _color_and_ink(sample, density, mpp)
        counted = np.ones_like(color) if parameters.ink == "kept" else 1 - ink
        limit = otsu_threshold(histogram(color, counted), _LEAST_CONTRAST)
        if limit is None:
            return Glass(density, float("inf"))
        return Glass(density, float(np.clip(limit, _FAINTEST, _DARKEST)) / parameters.sensitivity)

    def class_map(self, picture: Picture, mpp: float, parameters: TissueParameters, calibration: Glass) -> ClassMap:
        color, ink = _color_and_ink(picture, calibration.density, mpp)
        tissue = (color > calibration.limit).astype(np.uint8)
        if parameters.ink == "left out":
            tissue &= 1 - ink
        closed = cv2.morphologyEx(tissue, cv2.MORPH_CLOSE, disc(_CLOSING_UM, mpp))
        return cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(_OPENING_UM, mpp)).astype(np.uint8, copy=False)


def _glass(sample: Picture) -> NDArray[np.float32]:
    """Optical density of empty glass, float32 [3]: what is brightest and all but grey.

    Pure white and black are what a scanner writes where it did not look. Without glass in the sample, the usual one's.
    """
    channels = cv2.split(sample)
    brightest, darkest = (each(each(*channels[:2]), channels[2]) for each in (cv2.max, cv2.min))
    is_grey = (darkest >= _DARKEST_GLASS) & (darkest < 255) & (cv2.subtract(brightest, darkest) < _MOST_TINT)
    color = np.full(3, _USUAL_GLASS, np.uint8)
    if is_grey.mean() > 0.002:
        for index, channel in enumerate(channels):
            up_to = np.cumsum(histogram(np.asarray(channel, np.uint8), is_grey.astype(np.uint8)))
            color[index] = np.searchsorted(up_to, 0.9 * up_to[-1])
    return stains.densities(color.reshape(1, 1, 3)).reshape(3)


def _color_and_ink(picture: Picture, glass: NDArray[np.float32], mpp: float) -> tuple[Mask, Mask]:
    """How much more is taken from one colour than from another, uint8 [h, w] in _LEVELS; and where ink is, 0 or 1.

    Blue and green ink take much more from red than from green, and black ink much from all, as no usual stain does.
    """
    density = cv2.GaussianBlur(stains.densities(picture), (0, 0), max(_SMOOTH_UM / mpp, 0.3)) - glass
    blue, green, red = cv2.split(np.maximum(density, 0))
    most, least = (each(each(blue, green), red) for each in (np.maximum, np.minimum))
    ink = (red - green > 0.15) | ((red > 0.08) & (green < 0.67 * red)) | ((least > 0.4) & (least > 0.7 * most))
    rim = cv2.dilate(ink.astype(np.uint8), disc(2 * _INK_RIM_UM, mpp)).astype(np.uint8, copy=False)
    color = np.clip((most - least - _GREY * most) * _LEVELS, 0, 255).astype(np.uint8)
    return color, rim
