"""Cell nuclei by their stain, touching ones told apart."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from annohooks.imaging import contours, stains
from annohooks.imaging.analyzers.base import Analyzer, Parameters, histogram, otsu_threshold
from annohooks.imaging.contours import Mask
from annohooks.imaging.decode import Picture
from annohooks.imaging.outlines import BoolArray

_LEAST_CONTRAST = 12.0  # of 255 per unit of optical density; JPEG noise on empty glass stays below 5
_SMOOTH_UM = 0.6  # below the width of the thinnest nucleus, above scanner noise
_SURROUNDINGS_UM = 8.0  # about a nucleus: a nucleus is darker than what surrounds it
_OPENING_UM = 1.5
_NUCLEUS_UM = 7.0  # within this the deepest point of a nucleus is looked for
_LEAST_DEPTH_UM = 0.7
_MOST_DEPTH_UM = 8.0  # a nucleus is no deeper; what lies deeper counts as this deep
_REACH_UM = 12.0  # farther than this from a core nothing is cut
_LONGEST_CORE_UM = 24.0  # cores longer than this are not of nuclei, and not told apart
_SPECK_UM2 = 8.0
_WIDEST_UM = 25.0  # no nucleus holds a square of this
_ROUNDS = 6  # each leaves out glass, or a kind of mark


class NucleiParameters(Parameters, frozen=True, kw_only=True):
    """What a user may choose for nuclei. The marker counts in H-DAB only."""

    stain: Annotated[stains.Stain, msgspec.Meta(title="stain")] = "H&E"
    marker: Annotated[Literal["hematoxylin", "DAB", "either"], msgspec.Meta(title="nuclei stained by (H-DAB)")] = (
        "hematoxylin"
    )
    sensitivity: Annotated[float, msgspec.Meta(title="sensitivity, above 1 finds fainter nuclei", ge=0.2, le=5)] = 1.0
    separation: Annotated[
        float, msgspec.Meta(title="separation, towards 1 splits touching nuclei more", ge=0.3, le=0.98)
    ] = 0.75
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 8.0
    largest_um2: Annotated[float, msgspec.Meta(title="largest area in um2, 0 for any", ge=0, le=1e12)] = 1000.0


class Nuclei(Analyzer[NucleiParameters, float]):
    """Stain separation, a threshold against region and surroundings, then a split at the necks.

    Every step looks at a bounded neighbourhood and breaks ties by position, so tiles with a halo join exactly.
    Source: Ruifrok and Johnston 2001 (stains); Otsu 1979; necks by distance transform, Borgefors 1986.
    """

    name = "nuclei"
    title = "Nuclei"
    color = "#00C800"
    parameters = NucleiParameters
    mpp = 0.5
    coarsest_mpp = 1.0
    smallest_hole_um2 = _SPECK_UM2
    halo_um = 48.0

    def calibrate(self, sample: Picture, mpp: float, parameters: NucleiParameters) -> float:
        """The amount of stain (255 per unit of optical density) above which a pixel is nucleus; inf if none is."""
        limit = _nuclear_threshold(_stained(sample, mpp, parameters), mpp)
        return float("inf") if limit is None else limit / parameters.sensitivity

    def mask(self, picture: Picture, mpp: float, parameters: NucleiParameters, calibration: float) -> Mask:
        stained = _stained(picture, mpp, parameters)
        surroundings = cv2.GaussianBlur(stained, (0, 0), _SURROUNDINGS_UM / mpp)
        nuclear = ((stained > calibration) & (stained >= surroundings)).astype(np.uint8) * np.uint8(255)
        opened = cv2.morphologyEx(nuclear, cv2.MORPH_OPEN, _disc(_OPENING_UM, mpp)).astype(np.uint8, copy=False)
        speck_px = _SPECK_UM2 / mpp**2
        return _split(contours.sized(opened, speck_px, np.inf, speck_px), mpp, parameters.separation)


def _nuclear_threshold(stained: Mask, mpp: float) -> int | None:
    """Otsu's threshold between nuclei and the rest, None when nothing stands out.

    Two things would mislead it. Pen, ink and pigment absorb more than nuclei and would be the upper class alone; beside
    bare glass, all tissue would. Either is above the threshold and too wide to be a nucleus. Where nothing stands out
    within, it is a mark, which is not counted; where something does, and it is most of what is above the threshold, it
    is tissue, and the threshold is the one within.
    """
    counted = np.full(stained.shape, 255, np.uint8)
    too_wide = np.ones(2 * [round(_WIDEST_UM / mpp)], np.uint8)
    margin = np.ones(2 * [2 * math.ceil(3 * _SMOOTH_UM / mpp) + 1], np.uint8)
    limit = otsu_threshold(histogram(stained), _LEAST_CONTRAST)
    for _ in range(_ROUNDS):
        if limit is None:
            break
        above = ((stained > limit) & (counted > 0)).astype(np.uint8)
        marks, tissue = _marks_and_tissue(stained, cv2.morphologyEx(above, cv2.MORPH_OPEN, too_wide), margin)
        if marks.any():
            rounded = cv2.bitwise_and(cv2.dilate(marks, too_wide), above)  # with the corners that no square reaches
            counted[cv2.dilate(rounded, margin) > 0] = 0
        elif cv2.countNonZero(tissue) > 0.5 * cv2.countNonZero(above):
            counted[tissue == 0] = 0
        else:
            break
        limit = otsu_threshold(histogram(stained, counted), _LEAST_CONTRAST)
    return limit


def _marks_and_tissue(stained: Mask, wide: MatLike, margin: Mask) -> tuple[Mask, Mask]:
    """The wide objects in which nothing stands out, and those in which something does, uint8 [h, w], 0 or 1.

    margin: how far the smoothing carries their edges inwards.
    """
    marks, tissue = np.zeros_like(stained), np.zeros_like(stained)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(wide, connectivity=8, ltype=cv2.CV_32S)
    for label, (left, top, width, height, _) in enumerate(stats[1:].tolist(), 1):
        box = slice(top, top + height), slice(left, left + width)
        one = (labels[box] == label).astype(np.uint8)
        within = cv2.erode(one, margin, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(np.uint8, copy=False)
        stands_out = otsu_threshold(histogram(np.ascontiguousarray(stained[box]), within), _LEAST_CONTRAST) is not None
        (tissue if stands_out else marks)[box] |= one
    return marks, tissue


def _stained(picture: Picture, mpp: float, parameters: NucleiParameters) -> Mask:
    """Amount of the stain that marks nuclei, smoothed; uint8, 255 per unit of optical density, saturating."""
    amounts = stains.concentrations(picture, parameters.stain)
    if parameters.stain == "H&E" or parameters.marker == "hematoxylin":
        amount = amounts[..., 0]
    elif parameters.marker == "DAB":
        amount = amounts[..., 1]
    else:
        amount = np.maximum(amounts[..., 0], amounts[..., 1])
    levels = np.clip(amount * 255, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(levels, (0, 0), _SMOOTH_UM / mpp).astype(np.uint8, copy=False)


def _split(mask: Mask, mpp: float, separation: float) -> Mask:
    """Objects cut at their necks, one pixel wide.

    Where an object is at least `separation` times as deep as its deepest point nearby lies a core; each pixel belongs
    to the nearest core within reach, and where two cores' pixels meet the upper or left one is cleared. Depth, reach
    and length of a core are bounded, or sheets of stain larger than the halo would be cut otherwise in each tile.
    """
    inside = mask > 0
    from_edge = np.minimum(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32(_MOST_DEPTH_UM / mpp))
    depth = cv2.GaussianBlur(from_edge, (0, 0), 0.5 / mpp)
    core = inside & (depth >= separation * cv2.dilate(depth, _disc(_NUCLEUS_UM, mpp))) & (depth * mpp > _LEAST_DEPTH_UM)
    if not core.any():
        return mask
    not_core = (~core).astype(np.uint8)
    from_core, nearest = cv2.distanceTransformWithLabels(not_core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    _, cores, stats, _ = cv2.connectedComponentsWithStats(1 - not_core, connectivity=8, ltype=cv2.CV_32S)
    longest = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    told_apart = np.zeros(int(nearest.max()) + 1, np.int32)
    told_apart[nearest[core]] = np.where(longest * mpp <= _LONGEST_CORE_UM, np.arange(len(stats)), 0)[cores[core]]
    reached = inside & (from_core * mpp <= _REACH_UM)
    cut = reached & _meets_another(told_apart[nearest], reached)
    return np.where(inside & ~cut, np.uint8(255), np.uint8(0))


def _meets_another(labels: NDArray[np.int32], inside: BoolArray) -> BoolArray:
    """Pixels whose neighbour to the right, below, or diagonally below is inside and has another label."""
    meets = np.zeros(labels.shape, np.bool_)
    everything, first, last = slice(None), slice(None, -1), slice(1, None)
    for here, there in (
        ((everything, first), (everything, last)),
        ((first, everything), (last, everything)),
        ((first, first), (last, last)),
        ((first, last), (last, first)),
    ):
        meets[here] |= (labels[here] != labels[there]) & inside[there]
    return meets


def _disc(diameter_um: float, mpp: float) -> Mask:
    """A disc as structuring element, an odd number of pixels wide, at least three."""
    size = max(3, round(diameter_um / mpp) | 1)
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.uint8, copy=False)
