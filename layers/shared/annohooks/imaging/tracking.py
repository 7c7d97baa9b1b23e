"""Detections of one picture after the other, joined over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.detections import Detections, overlaps
from annohooks.imaging.outlines import FloatArray

_SAME_OBJECT_IOU = (
    0.2  # what a box has in common with that in the sample before, at least; less of it than of its place
)
_MOST_CLOSE = 100  # detections that a track may go on as; more are never looked at, as when all boxes are the same
_MOST_MISSED = 1  # samples in a row in which a detector may miss an object that is there


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """An object that stays where it is for a time.

    start_ms, stop_ms: half open. xy: float64 [k, 2], its ring when it was first seen there. score: its highest in that
    time, NaN if never known. track: a number that appearances share which are one object in several places.
    """

    start_ms: int
    stop_ms: int
    xy: FloatArray
    label: str
    score: float
    track: int


class _Track:
    """An object as it was seen last, and the place it is in."""

    def __init__(self, number: int, label: str) -> None:
        self.number, self.label = number, label
        self.box: FloatArray
        self.place: FloatArray
        self.xy: FloatArray
        self.start_ms = self.seen_ms = 0
        self.score = float("nan")

    def arrive(self, at_ms: int, xy: FloatArray, box: FloatArray, score: float) -> None:
        """It is in a new place."""
        self.place, self.xy, self.start_ms, self.score = box, xy, at_ms, score
        self.stay(at_ms, box, score)

    def stay(self, at_ms: int, box: FloatArray, score: float) -> None:
        self.box, self.seen_ms = box, at_ms
        self.score = float(np.fmax(self.score, score))


class _Near:
    """Boxes of one label in order of one side, so that those which may overlap another are found at once."""

    def __init__(self, numbers: NDArray[np.int64], boxes: FloatArray) -> None:
        self._axis = int(np.argmax(np.ptp(boxes[numbers, :2], axis=0)))
        self._numbers = numbers[np.argsort(boxes[numbers, self._axis], kind="stable")]
        own = boxes[self._numbers]
        self._starts = own[:, self._axis]
        self._longest = float((own[:, self._axis + 2] - self._starts).max())

    def to(self, box: FloatArray) -> NDArray[np.int64]:
        """The numbers of those that lie beside no side of a box on the axis they are in order of; others may, too."""
        first = np.searchsorted(self._starts, box[self._axis] - self._longest)
        last = np.searchsorted(self._starts, box[self._axis + 2], side="right")
        return self._numbers[first:last]


def _by_label(labels: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
    """The numbers of the detections of each label."""
    numbers: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        numbers.setdefault(label, []).append(number)
    return {label: np.array(own, np.int64) for label, own in numbers.items()}


class Tracker:
    """Joins the detections of samples that are step_ms apart.

    An object is one of the same label that its box in the sample before overlaps most. It appears in one place as long
    as its box overlaps that in which it was first seen there by at least iou, so that this ring is right for the whole
    time; then it appears in another place, in the same track. One sample in which it is missed does not end either.
    """

    def __init__(self, step_ms: int, iou: float = 0.5) -> None:
        """step_ms: between samples; an appearance lasts so long after the last sample it is seen in."""
        self._step_ms, self._iou = step_ms, iou
        self._same_iou = min(iou, _SAME_OBJECT_IOU)
        self._tracks: list[_Track] = []
        self._numbers = 0
        self._done: list[Appearance] = []

    def add(self, at_ms: int, detections: Detections) -> None:
        """What was found in the sample at at_ms, which is later than those before."""
        oldest_ms = at_ms - (1 + _MOST_MISSED) * self._step_ms
        for track in self._tracks:
            if track.seen_ms < oldest_ms:
                self._leave(track)
        self._tracks = [track for track in self._tracks if track.seen_ms >= oldest_ms]
        boxes = detections.boxes()
        going_on = self._matched(detections, boxes)
        for index, label in enumerate(detections.labels):
            box, score = boxes[index], float(detections.scores[index])
            seen = going_on.get(index)
            if seen is not None and overlaps(seen.place, box[None])[0] >= self._iou:
                seen.stay(at_ms, box, score)
                continue
            if seen is not None:
                self._leave(seen)
            else:
                seen = _Track(self._numbers, label)
                self._numbers += 1
                self._tracks.append(seen)
            seen.arrive(at_ms, detections.ring(index), box, score)

    def finish(self) -> list[Appearance]:
        """All appearances, by start and track; the tracker is then empty."""
        for track in self._tracks:
            self._leave(track)
        done, self._done, self._tracks = self._done, [], []
        return sorted(done, key=lambda each: (each.start_ms, each.track))

    def _matched(self, detections: Detections, boxes: FloatArray) -> dict[int, _Track]:
        """The tracks of detections that go on, by the number of the detection; the closest pair first."""
        pairs: list[tuple[float, int, int]] = []
        near = {label: _Near(numbers, boxes) for label, numbers in _by_label(detections.labels).items()}
        for order, track in enumerate(self._tracks):
            if track.label not in near:
                continue
            numbers = near[track.label].to(track.box)
            common = overlaps(track.box, boxes[numbers])
            closest = np.flatnonzero(common >= self._same_iou)
            if len(closest) > _MOST_CLOSE:
                closest = closest[np.argsort(-common[closest], kind="stable")[:_MOST_CLOSE]]
            pairs += [
                (-overlap, order, index)
                for overlap, index in zip(common[closest].tolist(), numbers[closest].tolist(), strict=True)
            ]
        found: dict[int, _Track] = {}
        taken: set[int] = set()
        for _, order, index in sorted(pairs):
            if order not in taken and index not in found:
                found[index] = self._tracks[order]
                taken.add(order)
        return found

    def _leave(self, track: _Track) -> None:
        """It is no longer where it was."""
        self._done.append(
            Appearance(track.start_ms, track.seen_ms + self._step_ms, track.xy, track.label, track.score, track.number)
        )
