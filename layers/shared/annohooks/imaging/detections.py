"""The objects that a detector found in a picture, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from annohooks.imaging.outlines import FloatArray, Outlines


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """M objects in one picture, each a closed ring without holes, with N vertices in total.

    xy: float64 [N, 2], x then y, in pixels of the picture: its left edge is at 0 and its right edge at its width.
    offsets: int64 [M + 1]; ring m is xy[offsets[m]:offsets[m + 1]], its first vertex not repeated at the end.
    labels: M texts. scores: float64 [M], from 0 to 1, NaN where the detector gives none.
    """

    xy: FloatArray
    offsets: NDArray[np.int64]
    labels: tuple[str, ...]
    scores: FloatArray

    @classmethod
    def empty(cls) -> Detections:
        """No objects."""
        return cls(np.empty((0, 2)), np.zeros(1, np.int64), (), np.empty(0))

    @classmethod
    def from_boxes(cls, boxes: ArrayLike, labels: Sequence[str], scores: ArrayLike | None = None) -> Detections:
        """boxes: [M, 4], x0, y0, x1, y1. scores: [M], or None if they are unknown.

        A ring has the corners top left, top right, bottom right, bottom left.
        """
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        xy = corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
        known = np.full(len(corners), np.nan) if scores is None else np.asarray(scores, np.float64)
        return cls(xy, np.arange(0, len(xy) + 1, 4, dtype=np.int64), tuple(labels), known)

    @classmethod
    def from_outlines(cls, outlines: Outlines, labels: Sequence[str]) -> Detections:
        """The outer rings, without scores. labels: one for each ring of the outlines; those of holes are ignored."""
        order = np.flatnonzero(outlines.is_outer)
        outer = outlines.pick(order)
        names = tuple(labels[index] for index in order.tolist())
        return cls(outer.xy.astype(np.float64), outer.offsets, names, np.full(len(outer), np.nan))

    def __len__(self) -> int:
        return len(self.labels)

    def ring(self, index: int) -> FloatArray:
        """Ring number `index`, a view [k, 2]."""
        return self.xy[self.offsets[index] : self.offsets[index + 1]]

    def boxes(self) -> FloatArray:
        """The bounding box of each ring, float64 [M, 4]: x0, y0, x1, y1."""
        if not len(self):
            return np.empty((0, 4))
        starts = self.offsets[:-1]
        return np.hstack([np.minimum.reduceat(self.xy, starts), np.maximum.reduceat(self.xy, starts)])


def overlaps(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Intersection over union of a box, [4], with each of others, [M, 4]: float64 [M].

    Boxes are x0, y0, x1, y1. The result is 0 for two boxes without area.
    """
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = sides.clip(0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - common
    overlap: FloatArray = np.divide(common, union, out=np.zeros(len(boxes)), where=union > 0)
    return overlap


def distinct(
    boxes: FloatArray, scores: FloatArray, max_iou: float, classes: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The indices of the boxes that overlap no box with a higher score by more than max_iou, highest score first.

    boxes: [M, 4], x0, y0, x1, y1. scores: [M], above 0. classes: [M]; only boxes of the same class are compared.
    Source: greedy non-maximum suppression, Neubeck and Van Gool 2006 (cv2.dnn.NMSBoxes).
    """
    if not len(boxes):
        return np.empty(0, np.int64)
    # cv2 accepts arrays, but its type hints do not say so.
    sized: Any = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    score_array: Any = scores
    if classes is None:
        return np.asarray(cv2.dnn.NMSBoxes(sized, score_array, 0.0, max_iou), np.int64)
    class_array: Any = classes
    return np.asarray(cv2.dnn.NMSBoxesBatched(sized, score_array, class_array, 0.0, max_iou), np.int64)
