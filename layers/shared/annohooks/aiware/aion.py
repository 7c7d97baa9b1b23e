"""Detections as AION documents, Veritone's format for engine output.

They are valid under its schemas v1.2 (npm package veritone-json-schemas 1.2.0) and v2.0
(https://get.aiware.com/schemas/v2/master.json).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.core.errors import TooLarge
from annohooks.imaging.detections import Detections
from annohooks.imaging.detectors.base import Kind
from annohooks.imaging.tracking import Appearance

MAX_BYTES = 5_000_000
"""Of an encoded document. Quoted in the JSON of Lambda's answer, at most 6,291,456 bytes, it grows by a sixth."""

_TOLERANCES_PX = (0.0, 0.5, 1.0, 2.0)
_MIN_POINT_BYTES = 24
_STEPS_PER_PX = 10
_HALF_PX = 0.5


def of_picture(
    detections: Detections,
    kind: Kind,
    size: tuple[int, int],
    times_ms: tuple[int, int] | None = None,
    more_keys: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The objects of a picture: under `object`, or as a series when the picture has times.

    kind: the AION type of the objects. size: width and height of the picture, pixels. times_ms: when the picture starts
    and stops being shown, from the start of the asset. more_keys: further keys of the document. Raises TooLarge for a
    document over MAX_BYTES.

    Coordinates are fractions of the picture's width and height, rounded to a tenth of a pixel or finer. Polygons are
    clockwise and clipped to the picture. A line or a point becomes a box one pixel wide. Objects outside the picture
    and objects with coordinates that are not finite are left out. Polygons are simplified only when the document would
    be too large otherwise.
    """
    remedy = "Please send a smaller picture, or ask for larger objects only."
    if times_ms is None:
        return _document(detections, kind, size, None, None, more_keys, remedy)
    times = np.tile(np.array(times_ms, np.int64), (len(detections), 1))
    return _document(detections, kind, size, times, None, more_keys, remedy)


def of_appearances(
    appearances: Sequence[Appearance], kind: Kind, size: tuple[int, int], offset_ms: int = 0
) -> dict[str, Any]:
    """The objects of a video, as a series ordered by start. Items of the same object have the same `vendor.track`.

    size: width and height of the frames, pixels. offset_ms: added to all times. Otherwise as `of_picture`.
    """
    rings = [appearance.xy for appearance in appearances]
    detections = Detections(
        np.concatenate([np.empty((0, 2)), *rings]),
        np.cumsum([0, *map(len, rings)], dtype=np.int64),
        tuple(appearance.label for appearance in appearances),
        np.array([appearance.score for appearance in appearances], np.float64),
    )
    spans = [(appearance.start_ms, appearance.stop_ms) for appearance in appearances]
    times = np.array(spans, np.int64).reshape(-1, 2) + offset_ms
    tracks = [appearance.track for appearance in appearances]
    remedy = "Please ask for shorter segments (`segmentMs`), or for fewer samples (a larger `sampleMs`)."
    return _document(detections, kind, size, times, tracks, None, remedy)


def _document(
    detections: Detections,
    kind: Kind,
    size: tuple[int, int],
    times_ms: NDArray[np.int64] | None,
    tracks: Sequence[int] | None,
    more_keys: Mapping[str, Any] | None,
    remedy: str,
) -> dict[str, Any]:
    head: dict[str, Any] = {"generatedDateUTC": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if kind == "object":  # the other types have no contract
        head["validationContracts"] = ["object"]
    head |= more_keys or {}
    rings = _within(detections, size)
    for tolerance_px in _TOLERANCES_PX:
        polygons = _polygons(_simplified(rings, tolerance_px), size)
        if len(polygons.xy) * _MIN_POINT_BYTES > MAX_BYTES:
            continue
        objects = _objects(polygons, detections, kind, size, tracks)
        if times_ms is None:
            document = head | {"object": objects}
        else:
            document = head | {"series": _series(objects, times_ms[polygons.number])}
        if len(msgspec.json.encode(document)) <= MAX_BYTES:
            return document
    raise TooLarge(
        f"{len(rings.number):,} objects were found, which take more than the {MAX_BYTES // 1_000_000} MB that a "
        f"result may have. {remedy}"
    )


class _Rings(NamedTuple):
    """M rings of N vertices in all.

    xy: [N, 2], float64 in pixels, or int64 in steps (see `_steps`). offsets: int64 [M + 1], as in Detections. number:
    int64 [M], the index of each ring's detection.
    """

    xy: NDArray[Any]
    offsets: NDArray[np.int64]
    number: NDArray[np.int64]

    def doubled_areas(self) -> NDArray[Any]:
        """Twice the area of each ring, [M], negative for a counterclockwise ring; y points down."""
        (x, y), (next_x, next_y) = self.xy.T, self.following().T
        return np.add.reduceat(x * next_y - next_x * y, self.offsets[:-1])

    def following(self) -> NDArray[Any]:
        """The next vertex in the ring, for each vertex, [N, 2]."""
        after = np.empty_like(self.xy)
        after[:-1] = self.xy[1:]
        after[self.offsets[1:] - 1] = self.xy[self.offsets[:-1]]
        return after

    def picked(self, rings: NDArray[np.int64], turned: NDArray[np.bool_] | None = None) -> _Rings:
        """The rings of these indices, in this order. turned: bool, as many, true to reverse the vertices."""
        counts = np.diff(self.offsets)[rings]
        offsets = np.append(0, np.cumsum(counts))
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        if turned is not None:
            place = np.where(np.repeat(turned, counts), np.repeat(counts - 1, counts) - place, place)
        return _Rings(self.xy[np.repeat(self.offsets[rings], counts) + place], offsets, self.number[rings])

    def joined(self, other: _Rings) -> _Rings:
        """The rings of both, in the order of their detections."""
        offsets = np.append(self.offsets, self.offsets[-1] + other.offsets[1:])
        number = np.append(self.number, other.number)
        return _Rings(np.concatenate([self.xy, other.xy]), offsets, number).picked(np.argsort(number, kind="stable"))


def _within(detections: Detections, size: tuple[int, int]) -> _Rings:
    """The detections with finite coordinates, clipped to the picture. One without area becomes a box around it."""
    rings = _Rings(detections.xy, detections.offsets, np.arange(len(detections)))
    if len(detections):
        rings = rings.picked(
            np.flatnonzero(np.logical_and.reduceat(np.isfinite(detections.xy).all(1), detections.offsets[:-1]))
        )
    if len(rings.number):
        with np.errstate(over="ignore", invalid="ignore"):  # far outside
            is_flat = rings.doubled_areas() == 0
        flat = rings.number[is_flat]
        around = detections.boxes()[flat] + (-_HALF_PX, -_HALF_PX, _HALF_PX, _HALF_PX)
        boxes = Detections.from_boxes(around, [""] * len(around))
        rings = rings.picked(np.flatnonzero(~is_flat)).joined(_Rings(boxes.xy, boxes.offsets, flat))
    return rings._replace(xy=np.clip(rings.xy, 0, size))


def _simplified(rings: _Rings, tolerance_px: float) -> _Rings:
    """Rings simplified by Douglas and Peucker 1973 (cv2.approxPolyDP). One that would lose its area stays as it is."""
    if not tolerance_px or not len(rings.number):
        return rings
    xy = rings.xy.astype(np.float32)
    parts = []
    for start, stop in pairwise(rings.offsets.tolist()):
        simplified = cv2.approxPolyDP(xy[start:stop], tolerance_px, True)
        parts.append(simplified[:, 0] if cv2.contourArea(simplified) else xy[start:stop])
    return _Rings(np.concatenate(parts), np.cumsum([0, *map(len, parts)], dtype=np.int64), rings.number)


def _steps(size: tuple[int, int]) -> int:
    """The steps of a coordinate from 0 to 1: the power of ten at which a step is a tenth of a pixel or less."""
    return int(10 ** len(str(_STEPS_PER_PX * max(size) - 1)))


def _polygons(rings: _Rings, size: tuple[int, int]) -> _Rings:
    """Rings in steps, clockwise, without repeated vertices. Rings without area are left out."""
    if not len(rings.number):
        return rings
    rings = rings._replace(xy=np.rint(rings.xy * (_steps(size) / np.array(size))).astype(np.int64))
    differs = (rings.xy != rings.following()).any(axis=1)
    counts = np.add.reduceat(differs, rings.offsets[:-1], dtype=np.int64)
    differs &= np.repeat(counts > 0, np.diff(rings.offsets))
    offsets = np.append(0, np.cumsum(counts[counts > 0]))
    rings = _Rings(rings.xy[differs], offsets, rings.number[counts > 0])
    if not len(rings.number):
        return rings
    areas = rings.doubled_areas()
    solid = np.flatnonzero(areas)
    return rings.picked(solid, areas[solid] < 0)


def _objects(
    polygons: _Rings, detections: Detections, kind: Kind, size: tuple[int, int], tracks: Sequence[int] | None
) -> list[dict[str, Any]]:
    points = [{"x": x, "y": y} for x, y in (polygons.xy / _steps(size)).tolist()]
    scores = detections.scores[polygons.number]
    known = np.isfinite(scores).tolist()
    confidences = np.round(np.clip(scores, 0, 1), 4).tolist()
    numbers = polygons.number.tolist()
    objects = []
    for index, (start, stop) in enumerate(pairwise(polygons.offsets.tolist())):
        detection = numbers[index]
        aion_object: dict[str, Any] = {"type": kind}
        if label := detections.labels[detection].encode("utf-8", "replace").decode():  # without lone surrogates
            aion_object["label"] = label
        if known[index]:
            aion_object["confidence"] = confidences[index]
        aion_object["boundingPoly"] = points[start:stop]
        if tracks is not None:
            aion_object["vendor"] = {"track": tracks[detection]}
        objects.append(aion_object)
    return objects


def _series(objects: list[dict[str, Any]], times_ms: NDArray[np.int64]) -> list[dict[str, Any]]:
    order = np.lexsort((times_ms[:, 1], times_ms[:, 0])).tolist()
    times = times_ms.tolist()
    return [{"startTimeMs": times[at][0], "stopTimeMs": times[at][1], "object": objects[at]} for at in order]
