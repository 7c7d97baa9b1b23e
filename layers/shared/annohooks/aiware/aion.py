"""What was found, as AION, Veritone's notation: valid under its schemas v1.2 and v2.0."""

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

MOST_BYTES = 5_000_000
"""Of an encoded document: quoted in the JSON of Lambda's answer it grows by a sixth, and 6,291,456 are the most."""

_TOLERANCES_PX = (0.0, 0.5, 1.0, 2.0)
_LEAST_POINT_BYTES = 24
_PARTS_OF_A_PX = 10  # that coordinates tell apart
_HALF_PX = 0.5


def of_picture(
    found: Detections,
    kind: Kind,
    size: tuple[int, int],
    times_ms: tuple[int, int] | None = None,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The objects of a picture: under `object`, or as a series when the picture is of a time.

    kind: AION's type of all of them. size: width and height of the picture, pixels. times_ms: when it starts and stops
    being shown, from the start of the asset. about: further keys of the document. Raises TooLarge if it were over
    MOST_BYTES.

    Polygons are in parts of the picture, rounded to a tenth of a pixel or finer, clockwise, within it; a line or point
    becomes a box a pixel wide. Objects outside the picture, and those with coordinates that are no numbers, are left
    out. Polygons are simplified only when the document is too large otherwise. Source: protocol reference, section 2.
    """
    remedy = "Please send a smaller picture, or ask for larger objects only."
    if times_ms is None:
        return _document(found, kind, size, None, None, about, remedy)
    times = np.tile(np.array(times_ms, np.int64), (len(found), 1))
    return _document(found, kind, size, times, None, about, remedy)


def of_appearances(
    appearances: Sequence[Appearance], kind: Kind, size: tuple[int, int], offset_ms: int = 0
) -> dict[str, Any]:
    """What appeared in a video, as a series in the order of its start; each object's vendor.track says which are one.

    size: width and height of the frames, pixels. offset_ms: added to all times. Else as `of_picture`.
    """
    rings = [each.xy for each in appearances]
    found = Detections(
        np.concatenate([np.empty((0, 2)), *rings]),
        np.cumsum([0, *map(len, rings)], dtype=np.int64),
        tuple(each.label for each in appearances),
        np.array([each.score for each in appearances], np.float64),
    )
    times = np.array([(each.start_ms, each.stop_ms) for each in appearances], np.int64).reshape(-1, 2) + offset_ms
    remedy = "Please ask for shorter segments (`segmentMs`), or for fewer samples (a larger `sampleMs`)."
    return _document(found, kind, size, times, [each.track for each in appearances], None, remedy)


def _document(
    found: Detections,
    kind: Kind,
    size: tuple[int, int],
    times_ms: NDArray[np.int64] | None,
    tracks: Sequence[int] | None,
    about: Mapping[str, Any] | None,
    remedy: str,
) -> dict[str, Any]:
    head: dict[str, Any] = {"generatedDateUTC": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if kind == "object":  # no contract is about the others
        head["validationContracts"] = ["object"]
    head |= about or {}
    rings = _within(found, size)
    for tolerance_px in _TOLERANCES_PX:
        polygons = _polygons(_simplified(rings, tolerance_px), size)
        if len(polygons.xy) * _LEAST_POINT_BYTES > MOST_BYTES:
            continue
        objects = _objects(polygons, found, kind, size, tracks)
        if times_ms is None:
            document = head | {"object": objects}
        else:
            document = head | {"series": _series(objects, times_ms[polygons.number])}
        if len(msgspec.json.encode(document)) <= MOST_BYTES:
            return document
    raise TooLarge(
        f"{len(rings.number):,} objects were found, which take more than the {MOST_BYTES // 1_000_000} MB that a "
        f"result may have. {remedy}"
    )


class _Rings(NamedTuple):
    """M rings of N vertices in all.

    xy: [N, 2], float64 in pixels, or int64 in the steps that `_steps` says. offsets: int64 [M + 1], as of Detections.
    number: int64 [M], which detection each ring is of.
    """

    xy: NDArray[Any]
    offsets: NDArray[np.int64]
    number: NDArray[np.int64]

    def doubled_areas(self) -> NDArray[Any]:
        """Twice what each ring encloses, [M], negative where it goes counterclockwise, y pointing down."""
        (x, y), (next_x, next_y) = self.xy.T, self.following().T
        return np.add.reduceat(x * next_y - next_x * y, self.offsets[:-1])

    def following(self) -> NDArray[Any]:
        """The vertex after each in its ring, [N, 2]."""
        after = np.empty_like(self.xy)
        after[:-1] = self.xy[1:]
        after[self.offsets[1:] - 1] = self.xy[self.offsets[:-1]]
        return after

    def picked(self, rings: NDArray[np.int64], turned: NDArray[np.bool_] | None = None) -> _Rings:
        """The rings of these indices, in this order. turned: bool, as many, those to be gone through backwards."""
        counts = np.diff(self.offsets)[rings]
        offsets = np.append(0, np.cumsum(counts))
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        if turned is not None:
            place = np.where(np.repeat(turned, counts), np.repeat(counts - 1, counts) - place, place)
        return _Rings(self.xy[np.repeat(self.offsets[rings], counts) + place], offsets, self.number[rings])

    def joined(self, other: _Rings) -> _Rings:
        """Both, in the order of their detections."""
        offsets = np.append(self.offsets, self.offsets[-1] + other.offsets[1:])
        number = np.append(self.number, other.number)
        return _Rings(np.concatenate([self.xy, other.xy]), offsets, number).picked(np.argsort(number, kind="stable"))


def _within(found: Detections, size: tuple[int, int]) -> _Rings:
    """The detections whose coordinates are numbers, moved into the picture; for one without area, a box about it."""
    rings = _Rings(found.xy, found.offsets, np.arange(len(found)))
    if len(found):
        rings = rings.picked(np.flatnonzero(np.logical_and.reduceat(np.isfinite(found.xy).all(1), found.offsets[:-1])))
    if len(rings.number):
        with np.errstate(over="ignore", invalid="ignore"):  # far outside
            is_flat = rings.doubled_areas() == 0
        flat = rings.number[is_flat]
        about = found.boxes()[flat] + (-_HALF_PX, -_HALF_PX, _HALF_PX, _HALF_PX)
        boxes = Detections.from_boxes(about, [""] * len(about))
        rings = rings.picked(np.flatnonzero(~is_flat)).joined(_Rings(boxes.xy, boxes.offsets, flat))
    return rings._replace(xy=np.clip(rings.xy, 0, size))


def _simplified(rings: _Rings, tolerance_px: float) -> _Rings:
    """Of each ring what Douglas and Peucker leave (1973; cv2.approxPolyDP), the ring itself if that has no area."""
    if not tolerance_px or not len(rings.number):
        return rings
    xy = rings.xy.astype(np.float32)
    left = []
    for start, stop in pairwise(rings.offsets.tolist()):
        fewer = cv2.approxPolyDP(xy[start:stop], tolerance_px, True)
        left.append(fewer[:, 0] if cv2.contourArea(fewer) else xy[start:stop])
    return _Rings(np.concatenate(left), np.cumsum([0, *map(len, left)], dtype=np.int64), rings.number)


def _steps(size: tuple[int, int]) -> int:
    """Into how many the width and the height are parted: the power of ten that makes one a tenth of a pixel or less."""
    return int(10 ** len(str(_PARTS_OF_A_PX * max(size) - 1)))


def _polygons(rings: _Rings, size: tuple[int, int]) -> _Rings:
    """Rings in steps, clockwise, no vertex there twice in a row; those without area are gone."""
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
    polygons: _Rings, found: Detections, kind: Kind, size: tuple[int, int], tracks: Sequence[int] | None
) -> list[dict[str, Any]]:
    points = [{"x": x, "y": y} for x, y in (polygons.xy / _steps(size)).tolist()]
    scores = found.scores[polygons.number]
    known = np.isfinite(scores).tolist()
    confidences = np.round(np.clip(scores, 0, 1), 4).tolist()
    numbers = polygons.number.tolist()
    objects = []
    for index, (start, stop) in enumerate(pairwise(polygons.offsets.tolist())):
        number = numbers[index]
        each: dict[str, Any] = {"type": kind}
        if label := found.labels[number].encode("utf-8", "replace").decode():  # without halves of characters
            each["label"] = label
        if known[index]:
            each["confidence"] = confidences[index]
        each["boundingPoly"] = points[start:stop]
        if tracks is not None:
            each["vendor"] = {"track": tracks[number]}
        objects.append(each)
    return objects


def _series(objects: list[dict[str, Any]], times_ms: NDArray[np.int64]) -> list[dict[str, Any]]:
    order = np.lexsort((times_ms[:, 1], times_ms[:, 0])).tolist()
    times = times_ms.tolist()
    return [{"startTimeMs": times[at][0], "stopTimeMs": times[at][1], "object": objects[at]} for at in order]
