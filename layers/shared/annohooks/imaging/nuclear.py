"""Nuclei by the amount of their stain: how much of it makes a nucleus, and where one ends and the next begins."""

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
"""What is smaller is no nucleus, and no hole in one."""
HALO_UM = 64.0
"""How far from a pixel others may lie that decide whether it is nucleus."""
# Were every step to reach as far as it can, all in one direction, it would be 79: smoothing 2, surroundings 24, opening
# 2, depth 8 and its smoothing 2, the deepest point 3.5, the length of a core 24, the reach of the next 13; and more
# with a hole as long as it is thin. They do not: 55 is the farthest seen in 700,000 cuts through sheets of stain with
# slits, made to reach far. Each um more is read and computed twice in every tile.

_LEAST_CONTRAST = 12.0  # of 255 per unit of optical density; JPEG noise on empty glass stays below 5
_SMOOTH_UM = 0.6  # below the width of the thinnest nucleus, above scanner noise
_SURROUNDINGS_UM = 8.0  # about a nucleus: a nucleus is darker than what surrounds it
_OPENING_UM = 1.5
_NUCLEUS_UM = 7.0  # within this the deepest point of a nucleus is looked for
_LEAST_DEPTH_UM = 0.7
_MOST_DEPTH_UM = 8.0  # a nucleus is no deeper; what lies deeper counts as this deep
_REACH_UM = 12.0  # farther than this from a core nothing is cut
_LONGEST_CORE_UM = 24.0  # cores longer than this are not of nuclei, and not told apart
_WIDEST_UM = 25.0  # no nucleus holds a square of this
_LIMIT = 50  # level of the limit, so that a stain saturates at five times that
_ROUNDS = 6  # each leaves out glass, or a kind of mark


def limit(amount: NDArray[np.float32], mpp: float) -> float:
    """The amount of a stain above which a pixel is nucleus, inf when nothing stands out.

    amount: float32 [h, w], optical density. mpp: micrometres per pixel, here and below.
    """
    found = _threshold(_smoothed(amount, 255, mpp), mpp)
    return math.inf if found is None else max(found, 1) / 255


def nuclei(amounts: Sequence[NDArray[np.float32]], limits: Sequence[float], mpp: float, separation: float) -> Mask:
    """Where one of the stains is above its limit, and above its surroundings: uint8 [h, w], 0 or 1, no two touching.

    amounts: float32 [h, w] each, optical density. limits: as many. separation: 0 to 1, see _split. Every step looks at
    a bounded neighbourhood and breaks ties by position, so pictures that overlap by HALO_UM agree.
    """
    stained = _smoothed(amounts[0], _LIMIT / limits[0], mpp)
    for amount, each in zip(amounts[1:], limits[1:], strict=True):
        stained = np.maximum(stained, _smoothed(amount, _LIMIT / each, mpp))
    dark = cv2.bitwise_and(
        cv2.compare(stained, _surroundings(stained, mpp), cv2.CMP_GE),
        cv2.threshold(stained, _LIMIT, 255, cv2.THRESH_BINARY)[1],
    )
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, disc(_OPENING_UM, mpp)).astype(np.uint8, copy=False)
    speck_px = SPECK_UM2 / mpp**2
    return _split(contours.sized(opened, speck_px, np.inf, speck_px), mpp, separation)


def lengths(mask: Mask, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """The longer side of the box around each object of a mask, pixels, int64 [highest label + 1].

    labels: int32 [h, w], one for each object, above 0.
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
    """An amount of stain in whole levels, per_unit to a unit of optical density, from 0 up to 255; smoothed."""
    whole = cv2.convertScaleAbs(np.maximum(amount, 0), alpha=per_unit)
    return cv2.GaussianBlur(whole, (0, 0), _SMOOTH_UM / mpp).astype(np.uint8, copy=False)


def _threshold(stained: Mask, mpp: float) -> int | None:
    """Otsu's threshold between nuclei and the rest, in levels, None when nothing stands out.

    Two things would mislead it. Pen, ink and pigment absorb more than nuclei and would be the upper class alone; beside
    bare glass, all tissue would. Either is above the threshold and too wide to be a nucleus. Where nothing stands out
    within, it is a mark, which is not counted; where something does, and it is most of what is above the threshold, it
    is tissue, and the threshold is the one within.
    """
    counted = np.full(stained.shape, 255, np.uint8)
    too_wide = np.ones(2 * [round(_WIDEST_UM / mpp)], np.uint8)
    margin = np.ones(2 * [2 * math.ceil(3 * _SMOOTH_UM / mpp) + 1], np.uint8)
    between = otsu_threshold(histogram(stained), _LEAST_CONTRAST)
    for _ in range(_ROUNDS):
        if between is None:
            break
        above = ((stained > between) & (counted > 0)).astype(np.uint8)
        marks, tissue = _marks_and_tissue(stained, cv2.morphologyEx(above, cv2.MORPH_OPEN, too_wide), margin)
        if marks.any():
            rounded = cv2.bitwise_and(cv2.dilate(marks, too_wide), above)  # with the corners that no square reaches
            counted[cv2.dilate(rounded, margin) > 0] = 0
        elif cv2.countNonZero(tissue) > 0.5 * cv2.countNonZero(above):
            counted[tissue == 0] = 0
        else:
            break
        between = otsu_threshold(histogram(stained, counted), _LEAST_CONTRAST)
    return between


def _surroundings(stained: Mask, mpp: float) -> MatLike:
    """The mean about each pixel, by three box filters, which are all but a Gaussian at a tenth of its time.

    Their variances add up to the Gaussian's. Source: Wells 1986.
    """
    side = round(math.sqrt(4 * (_SURROUNDINGS_UM / mpp) ** 2 + 1)) | 1
    mean: MatLike = stained
    for _ in range(3):
        mean = cv2.blur(mean, (side, side))
    return mean


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


def _split(mask: Mask, mpp: float, separation: float) -> Mask:
    """Objects cut at their necks, one pixel wide. mask: 0 or 255; the result is 0 or 1.

    Where an object is at least `separation` times as deep as its deepest point nearby lies a core; each pixel belongs
    to the nearest core within reach, and where two cores' pixels meet the upper or left one is cleared. Depth, reach
    and length of a core are bounded, or sheets of stain larger than the halo would be cut otherwise in each tile.
    Source: necks by distance transform, Borgefors 1986.
    """
    levels = cv2.convertScaleAbs(cv2.distanceTransform(mask, cv2.DIST_L2, 5), alpha=255 * mpp / _MOST_DEPTH_UM)
    depth = cv2.GaussianBlur(levels, (0, 0), 0.5 / mpp)
    deepest = cv2.dilate(depth, disc(_NUCLEUS_UM, mpp))
    least = np.maximum(np.ceil(separation * np.arange(256)), 1 + 255 * _LEAST_DEPTH_UM // _MOST_DEPTH_UM)
    deep = cv2.compare(depth, cv2.LUT(deepest, least.astype(np.uint8)), cv2.CMP_GE)
    core = cv2.bitwise_and(deep, mask).astype(np.uint8, copy=False)
    not_core = cv2.bitwise_not(core)
    from_core, nearest = cv2.distanceTransformWithLabels(not_core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    reached = (from_core <= np.float32(_REACH_UM / mpp)) & (mask > 0)
    labels = nearest.astype(np.int32, copy=False)
    too_long = lengths(core, labels) * mpp > _LONGEST_CORE_UM
    told_apart = np.where(too_long, 0, np.arange(len(too_long), dtype=np.int32))
    cut = reached & _meets_another(told_apart[labels], reached)
    return ((mask > 0) & ~cut).astype(np.uint8)


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
