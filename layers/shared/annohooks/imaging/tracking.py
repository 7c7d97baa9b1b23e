"""Joins the detections of successive pictures into appearances of objects over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.detections import Detections, overlaps
from annohooks.imaging.outlines import FloatArray

_SAME_OBJECT_IOU = 0.2  # least overlap of an object's boxes in successive samples; lower than that with its place
_MAX_CLOSE = 100  # detections compared with one track, which matters if very many boxes overlap
_MAX_MISSED = 1  # successive samples in which a detector may miss an object


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """An object that stays in one place for a time.

    start_ms, stop_ms: the time, half open. xy: float64 [k, 2], its ring when it was first seen there. score: its
    highest score in that time, NaN if unknown. track: a number; appearances of one object in several places share it.
    """

    start_ms: int
    stop_ms: int
    xy: FloatArray
    label: str
    score: float
    track: int


class _Track:
    """An object: the box where it was last seen, and the box of the place it is in."""

    def __init__(self, number: int, label: str) -> None:
        self.number, self.label = number, label
        self.box: FloatArray
        self.place: FloatArray
        self.xy: FloatArray
        self.start_ms = self.seen_ms = 0
        self.score = float("nan")

    def arrive(self, at_ms: int, xy: FloatArray, box: FloatArray, score: float) -> None:
        """Records that the object is in a new place."""
        self.place, self.xy, self.start_ms, self.score = box, xy, at_ms, score
        self.stay(at_ms, box, score)

    def stay(self, at_ms: int, box: FloatArray, score: float) -> None:
        """Records that the object was seen in its place."""
        self.box, self.seen_ms = box, at_ms
        self.score = float(np.fmax(self.score, score))


class _Neighbours:
    """Boxes of one label, sorted along one axis, so that the boxes that may overlap another are found quickly."""

    def __init__(self, numbers: NDArray[np.int64], boxes: FloatArray) -> None:
        self._axis = int(np.argmax(np.ptp(boxes[numbers, :2], axis=0)))
        self._numbers = numbers[np.argsort(boxes[numbers, self._axis], kind="stable")]
        sorted_boxes = boxes[self._numbers]
        self._starts = sorted_boxes[:, self._axis]
        self._longest = float((sorted_boxes[:, self._axis + 2] - self._starts).max())

    def of(self, box: FloatArray) -> NDArray[np.int64]:
        """The numbers of all boxes that overlap a box along the axis, and possibly of some that do not."""
        first = np.searchsorted(self._starts, box[self._axis] - self._longest)
        last = np.searchsorted(self._starts, box[self._axis + 2], side="right")
        return self._numbers[first:last]


def _by_label(labels: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
    """The numbers of the detections with each label."""
    numbers: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        numbers.setdefault(label, []).append(number)
    return {label: np.array(of_label, np.int64) for label, of_label in numbers.items()}


class Tracker:
    """Joins the detections of samples that are step_ms apart.

    Detections of one label in successive samples are the same object if their boxes overlap most. The object stays in
    one place as long as its box overlaps the first box of this place by at least iou, so that the first ring is right
    for the whole time. After that it appears in another place, in the same track. If the detector misses the object in
    one sample, neither the place nor the track ends.
    """

    def __init__(self, step_ms: int, iou: float = 0.5) -> None:
        """step_ms: the time between samples, and the time that an appearance lasts after its last sample."""
        self._step_ms, self._iou = step_ms, iou
        self._same_iou = min(iou, _SAME_OBJECT_IOU)
        self._tracks: list[_Track] = []
        self._numbers = 0
        self._done: list[Appearance] = []

    def add(self, at_ms: int, detections: Detections) -> None:
        """Adds the detections of the sample at at_ms, which is later than the samples before."""
        oldest_ms = at_ms - (1 + _MAX_MISSED) * self._step_ms
        for track in self._tracks:
            if track.seen_ms < oldest_ms:
                self._leave(track)
        self._tracks = [track for track in self._tracks if track.seen_ms >= oldest_ms]
        boxes = detections.boxes()
        matches = self._matched(detections, boxes)
        for index, label in enumerate(detections.labels):
            box, score = boxes[index], float(detections.scores[index])
            match = matches.get(index)
            if match is not None and overlaps(match.place, box[None])[0] >= self._iou:
                match.stay(at_ms, box, score)
                continue
            if match is not None:
                self._leave(match)
            else:
                match = _Track(self._numbers, label)
                self._numbers += 1
                self._tracks.append(match)
            match.arrive(at_ms, detections.ring(index), box, score)

    def finish(self) -> list[Appearance]:
        """All appearances, sorted by start and track. The tracker is empty afterwards."""
        for track in self._tracks:
            self._leave(track)
        done, self._done, self._tracks = self._done, [], []
        return sorted(done, key=lambda appearance: (appearance.start_ms, appearance.track))

    def _matched(self, detections: Detections, boxes: FloatArray) -> dict[int, _Track]:
        """The track that each detection continues, by the number of the detection. Pairs that overlap most go first."""
        pairs: list[tuple[float, int, int]] = []
        neighbours = {label: _Neighbours(numbers, boxes) for label, numbers in _by_label(detections.labels).items()}
        for order, track in enumerate(self._tracks):
            if track.label not in neighbours:
                continue
            numbers = neighbours[track.label].of(track.box)
            common = overlaps(track.box, boxes[numbers])
            closest = np.flatnonzero(common >= self._same_iou)
            if len(closest) > _MAX_CLOSE:
                closest = closest[np.argsort(-common[closest], kind="stable")[:_MAX_CLOSE]]
            pairs += [
                (-overlap, order, index)
                for overlap, index in zip(common[closest].tolist(), numbers[closest].tolist(), strict=True)
            ]
        matches: dict[int, _Track] = {}
        matched_tracks: set[int] = set()
        for _, order, index in sorted(pairs):
            if order not in matched_tracks and index not in matches:
                matches[index] = self._tracks[order]
                matched_tracks.add(order)
        return matches

    def _leave(self, track: _Track) -> None:
        """Ends the appearance of an object in its place."""
        self._done.append(
            Appearance(track.start_ms, track.seen_ms + self._step_ms, track.xy, track.label, track.score, track.number)
        )
