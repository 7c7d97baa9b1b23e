"""Masks of nuclei from the amount of their stain: a threshold for the stain, and cuts between touching nuclei."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from annohooks.imaging.histograms import histogram, otsu_threshold
from annohooks.imaging.morphology import disc
from annohooks.imaging.outlines import BoolArray, contours
from annohooks.imaging.outlines.contours import Mask

SPECK_UM2 = 8.0
"""Smaller objects are not nuclei, and smaller holes are filled."""
HALO_UM = 64.0
"""The distance up to which other pixels decide whether a pixel is nucleus."""
# If every step reached as far as it can, all in one direction, the distance would be 79: smoothing 2, surroundings 24,
# opening 2, depth 8 and its smoothing 2, the deepest point 3.5, the length of a core 24, the reach of the next core 13;
# and more with a long, thin hole. In practice they do not: the farthest was 55 in 700,000 cuts through sheets of stain
# with slits, which were drawn to reach far. Each additional um is read and computed twice in every tile.

_MIN_CONTRAST = 12.0  # of 255 levels per unit of optical density; JPEG noise on empty glass stays below 5
_SMOOTH_UM = 0.6  # below the width of the thinnest nucleus, above scanner noise
_SURROUNDINGS_UM = 8.0  # around a nucleus; a nucleus is darker than its surroundings
_OPENING_UM = 1.5
_NUCLEUS_UM = 7.0  # diameter in which the deepest point of a nucleus is looked for
_MIN_DEPTH_UM = 0.7
_MAX_DEPTH_UM = 8.0  # nuclei are not deeper; deeper points count as this deep
_REACH_UM = 12.0  # there are no cuts farther than this from a core
_LONGEST_CORE_UM = 24.0  # longer cores are not nuclei, and are not separated
_WIDEST_UM = 25.0  # a square of this side does not fit into a nucleus
_LIMIT = 50  # the level of the threshold; a stain saturates at five times the threshold
_ROUNDS = 6  # each round excludes glass, or one kind of mark


def stain_threshold(amount: NDArray[np.float32], mpp: float) -> float:
    """The amount of a stain above which a pixel is nucleus, inf if there is no contrast.

    amount: float32 [h, w], optical density. mpp: micrometres per pixel, here and below.
    """
    level = _otsu_level(_smoothed(amount, 255, mpp), mpp)
    return math.inf if level is None else max(level, 1) / 255


def nucleus_mask(
    amounts: Sequence[NDArray[np.float32]], thresholds: Sequence[float], mpp: float, separation: float
) -> Mask:
    """Pixels where a stain is above its threshold and above its surroundings, uint8 [h, w], 0 or 1.

    No two nuclei touch. amounts: float32 [h, w] each, optical density. thresholds: one for each of the amounts.
    separation: 0 to 1, see `_split`. Every step looks at a bounded neighbourhood and breaks ties by position, so two
    pictures that overlap by HALO_UM agree.
    """
    stained = _smoothed(amounts[0], _LIMIT / thresholds[0], mpp)
    for amount, threshold in zip(amounts[1:], thresholds[1:], strict=True):
        stained = np.maximum(stained, _smoothed(amount, _LIMIT / threshold, mpp))
    dark = cv2.bitwise_and(
        cv2.compare(stained, _surroundings(stained, mpp), cv2.CMP_GE),
        cv2.threshold(stained, _LIMIT, 255, cv2.THRESH_BINARY)[1],
    )
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, disc(_OPENING_UM, mpp)).astype(np.uint8, copy=False)
    speck_px = SPECK_UM2 / mpp**2
    return _split(contours.sized(opened, speck_px, np.inf, speck_px), mpp, separation)


def longest_sides(mask: Mask, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """The longer side of the box around each object of a mask, in pixels, int64 [highest label + 1].

    labels: int32 [h, w], the label of each object, from 1.
    """
    longest = np.zeros(int(labels.max()) + 1, np.int64)
    rings, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    if rings:
        xy = np.concatenate(rings)[:, 0]
        starts = np.cumsum([0] + [len(ring) for ring in rings[:-1]])
        sides = np.maximum.reduceat(xy, starts) - np.minimum.reduceat(xy, starts) + 1
        np.maximum.at(longest, labels[xy[starts, 1], xy[starts, 0]], sides.max(axis=1))
    return longest


def _smoothed(amount: NDArray[np.float32], per_unit: float, mpp: float) -> Mask:
    """An amount of stain in levels from 0 to 255, smoothed. per_unit: levels per unit of optical density."""
    levels = cv2.convertScaleAbs(np.maximum(amount, 0), alpha=per_unit)
    return cv2.GaussianBlur(levels, (0, 0), _SMOOTH_UM / mpp).astype(np.uint8, copy=False)


def _otsu_level(stained: Mask, mpp: float) -> int | None:
    """Otsu's threshold between nuclei and the rest, in levels, None if there is no contrast.

    Two cases would mislead Otsu's method. Pen, ink and pigment absorb more than nuclei, so they alone would be the
    upper class. Beside bare glass, all tissue would be the upper class. Both are above the threshold and wider than a
    nucleus. A wide object without contrast inside is a mark: its pixels are excluded. A wide object with contrast
    inside is tissue: if most pixels above the threshold are tissue, the threshold is computed within it.
    """
    counted = np.full(stained.shape, 255, np.uint8)
    too_wide = np.ones(2 * [round(_WIDEST_UM / mpp)], np.uint8)
    margin = np.ones(2 * [2 * math.ceil(3 * _SMOOTH_UM / mpp) + 1], np.uint8)
    level = otsu_threshold(histogram(stained), _MIN_CONTRAST)
    for _ in range(_ROUNDS):
        if level is None:
            break
        above = ((stained > level) & (counted > 0)).astype(np.uint8)
        marks, tissue = _marks_and_tissue(stained, cv2.morphologyEx(above, cv2.MORPH_OPEN, too_wide), margin)
        if marks.any():
            rounded = cv2.bitwise_and(cv2.dilate(marks, too_wide), above)  # with the corners that the opening removed
            counted[cv2.dilate(rounded, margin) > 0] = 0
        elif cv2.countNonZero(tissue) > 0.5 * cv2.countNonZero(above):
            counted[tissue == 0] = 0
        else:
            break
        level = otsu_threshold(histogram(stained, counted), _MIN_CONTRAST)
    return level


def _surroundings(stained: Mask, mpp: float) -> MatLike:
    """The mean around each pixel, by three box filters.

    They approximate a Gaussian in a tenth of its time; their variances add up to the Gaussian's. Source: Wells 1986.
    """
    side = round(math.sqrt(4 * (_SURROUNDINGS_UM / mpp) ** 2 + 1)) | 1
    mean: MatLike = stained
    for _ in range(3):
        mean = cv2.blur(mean, (side, side))
    return mean


def _marks_and_tissue(stained: Mask, wide: MatLike, margin: Mask) -> tuple[Mask, Mask]:
    """The wide objects without contrast inside, and those with contrast inside, uint8 [h, w], 0 or 1.

    margin: structuring element that removes the edges, which the smoothing has carried inwards.
    """
    marks, tissue = np.zeros_like(stained), np.zeros_like(stained)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(wide, connectivity=8, ltype=cv2.CV_32S)
    for label, (left, top, width, height, _) in enumerate(stats[1:].tolist(), 1):
        box = slice(top, top + height), slice(left, left + width)
        wide_object = (labels[box] == label).astype(np.uint8)
        within = cv2.erode(wide_object, margin, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(
            np.uint8, copy=False
        )
        has_contrast = otsu_threshold(histogram(np.ascontiguousarray(stained[box]), within), _MIN_CONTRAST) is not None
        (tissue if has_contrast else marks)[box] |= wide_object
    return marks, tissue


def _split(mask: Mask, mpp: float, separation: float) -> Mask:
    """The objects of a mask, cut at their necks. The cuts are one pixel wide. mask: 0 or 255; the result is 0 or 1.

    The depth of a pixel is its distance to the background. A core is where an object is at least `separation` times as
    deep as its deepest point nearby. Each pixel belongs to the nearest core within reach. Where pixels of two cores
    meet, the upper or left pixel is cleared. Depth, reach and length of a core are bounded; without bounds, tiles would
    cut sheets of stain that are larger than the halo in different places.
    Source: necks by distance transform, Borgefors 1986.
    """
    levels = cv2.convertScaleAbs(cv2.distanceTransform(mask, cv2.DIST_L2, 5), alpha=255 * mpp / _MAX_DEPTH_UM)
    depth = cv2.GaussianBlur(levels, (0, 0), 0.5 / mpp)
    deepest_nearby = cv2.dilate(depth, disc(_NUCLEUS_UM, mpp))
    min_depth = np.maximum(np.ceil(separation * np.arange(256)), 1 + 255 * _MIN_DEPTH_UM // _MAX_DEPTH_UM)
    deep = cv2.compare(depth, cv2.LUT(deepest_nearby, min_depth.astype(np.uint8)), cv2.CMP_GE)
    core = cv2.bitwise_and(deep, mask).astype(np.uint8, copy=False)
    not_core = cv2.bitwise_not(core)
    from_core, nearest = cv2.distanceTransformWithLabels(not_core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    reached = (from_core <= np.float32(_REACH_UM / mpp)) & (mask > 0)
    labels = nearest.astype(np.int32, copy=False)
    too_long = longest_sides(core, labels) * mpp > _LONGEST_CORE_UM
    separable = np.where(too_long, 0, np.arange(len(too_long), dtype=np.int32))
    cut = reached & _meets_another(separable[labels], reached)
    return ((mask > 0) & ~cut).astype(np.uint8)


def _meets_another(labels: NDArray[np.int32], inside: BoolArray) -> BoolArray:
    """Pixels with another label to the right, below or diagonally below, on a pixel that is inside."""
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
