"""Detections of one picture after the other, joined to appearances: what stayed in one place for how long."""

from __future__ import annotations

from dataclasses import dataclass

from annohooks.imaging.detections import Detections
from annohooks.imaging.outlines import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """An object that stayed where it is.

    start_ms, stop_ms: half open. xy: float64 [k, 2], its ring when its score was highest. track: the same number for
    appearances of the same object, which moved.
    """

    start_ms: int
    stop_ms: int
    xy: FloatArray
    label: str
    score: float
    track: int


class Tracker:
    """Joins the detections of samples that are step_ms apart."""

    def __init__(self, step_ms: int, iou: float = 0.5) -> None: ...

    def add(self, at_ms: int, detections: Detections) -> None: ...

    def finish(self) -> list[Appearance]: ...
