"""The tissue on the glass of a whole slide."""

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

_LEVELS = 1000  # per unit of optical density
_MIN_CONTRAST = 15.0  # levels between the means of tissue and glass
_FAINTEST, _DARKEST = (
    10.0,
    14.0,
)  # bounds of the threshold: above noise, and below pale tissue that lies beside dark tissue
_USUAL_GLASS = 240
_DARKEST_GLASS, _MAX_TINT = 200, 16  # grey values: glass is at least as bright, and its colours differ by less
_GREY = 0.1  # a difference of colours up to this part of the optical density counts as grey
_SMOOTH_UM = 8.0
_CLOSING_UM = 96.0  # diameters
_OPENING_UM = 48.0
_INK_RIM_UM = 40.0  # the width of the faint edge of a stroke


class TissueParameters(Parameters, frozen=True, kw_only=True):
    """The parameters of tissue."""

    sensitivity: Annotated[float, msgspec.Meta(title="sensitivity, above 1 finds paler tissue", ge=0.2, le=5)] = 1.0
    ink: Annotated[Literal["left out", "kept"], msgspec.Meta(title="pen ink, blue, green or black")] = "left out"
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 50_000.0


class Glass(NamedTuple):
    """Optical density of empty glass in blue, green and red, and the level of colour above which there is tissue."""

    density: NDArray[np.float32]
    threshold: float


@analyzer
class Tissue(Analyzer[TissueParameters, Glass]):
    """Pixels that absorb more of one colour than of another, compared with the glass, except for ink.

    Stains are coloured. Dust, black ink, the edge of the cover slip, air bubbles and shadows absorb all colours alike.
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
        """The glass of the slide, and Otsu's threshold of colour, which is inf without contrast."""
        density = _glass(sample)
        color, ink = _color_and_ink(sample, density, mpp)
        counted = np.ones_like(color) if parameters.ink == "kept" else 1 - ink
        level = otsu_threshold(histogram(color, counted), _MIN_CONTRAST)
        if level is None:
            return Glass(density, float("inf"))
        return Glass(density, float(np.clip(level, _FAINTEST, _DARKEST)) / parameters.sensitivity)

    def class_map(self, picture: Picture, mpp: float, parameters: TissueParameters, calibration: Glass) -> ClassMap:
        """See `Analyzer.class_map`."""
        color, ink = _color_and_ink(picture, calibration.density, mpp)
        tissue = (color > calibration.threshold).astype(np.uint8)
        if parameters.ink == "left out":
            tissue &= 1 - ink
        closed = cv2.morphologyEx(tissue, cv2.MORPH_CLOSE, disc(_CLOSING_UM, mpp))
        return cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(_OPENING_UM, mpp)).astype(np.uint8, copy=False)


def _glass(sample: Picture) -> NDArray[np.float32]:
    """The optical density of empty glass, float32 [3], from the brightest nearly grey pixels.

    Pure white and black are ignored: scanners write them where they did not scan. If the sample shows no glass, the
    density is that of usual glass.
    """
    channels = cv2.split(sample)
    brightest, darkest = (extreme(extreme(*channels[:2]), channels[2]) for extreme in (cv2.max, cv2.min))
    is_grey = (darkest >= _DARKEST_GLASS) & (darkest < 255) & (cv2.subtract(brightest, darkest) < _MAX_TINT)
    color = np.full(3, _USUAL_GLASS, np.uint8)
    if is_grey.mean() > 0.002:
        for index, channel in enumerate(channels):
            up_to = np.cumsum(histogram(np.asarray(channel, np.uint8), is_grey.astype(np.uint8)))
            color[index] = np.searchsorted(up_to, 0.9 * up_to[-1])
    return stains.densities(color.reshape(1, 1, 3)).reshape(3)


def _color_and_ink(picture: Picture, glass: NDArray[np.float32], mpp: float) -> tuple[Mask, Mask]:
    """The difference between the most and the least absorbed colour, uint8 [h, w] in _LEVELS; and ink, 0 or 1.

    Blue and green ink absorb much more red than green, and black ink absorbs much of all colours; no usual stain does.
    """
    density = cv2.GaussianBlur(stains.densities(picture), (0, 0), max(_SMOOTH_UM / mpp, 0.3)) - glass
    blue, green, red = cv2.split(np.maximum(density, 0))
    most, least = (extreme(extreme(blue, green), red) for extreme in (np.maximum, np.minimum))
    ink = (red - green > 0.15) | ((red > 0.08) & (green < 0.67 * red)) | ((least > 0.4) & (least > 0.7 * most))
    ink_and_rim = cv2.dilate(ink.astype(np.uint8), disc(2 * _INK_RIM_UM, mpp)).astype(np.uint8, copy=False)
    color = np.clip((most - least - _GREY * most) * _LEVELS, 0, 255).astype(np.uint8)
    return color, ink_and_rim
