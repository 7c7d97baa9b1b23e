"""Findings as the results that Slide Score's viewer shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np

from annohooks.imaging.analyzers import Analyzer, Parameters, Shown
from annohooks.imaging.density import DensityMap
from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import IntArray, Outlines
from annohooks.imaging.segmentation import Slide
from annohooks.slidescore import anno2
from annohooks.slidescore.anno2.simplification import simplified, simplify
from annohooks.slidescore.summary import summary

_LEAST_VERTEX_BYTES = len('{"x":1,"y":1},')
_LEAST_POLYGON_BYTES = 3 * _LEAST_VERTEX_BYTES
_COLORMAP = "Turbo"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the answer.

    Source: the answers of the example webhook_slide_analysis of slidescore-sdk 1.5.4.
    """

    type: Literal["polygons", "points", "anno2", "text"]
    name: str
    value: Any
    color: str | None = None


Upload = Callable[[bytes], str]
"""Uploads an anno2 zip to the server and returns its id."""


def results(
    slide: Slide,
    analyzer: Analyzer[Any, Any],
    parameters: Parameters,
    findings: Sequence[Findings],
    shows: Collection[Shown],
    inline_bytes: int,
    upload: Upload,
    notes: Sequence[str] = (),
) -> list[Result]:
    """The analyzer's map if it has one, the outlines and centres of each class, and a text that sums up.

    Outlines and centres are in the answer itself while they are small, and in an anno2 otherwise. The viewer's polygons
    have no holes, so outlines with holes are always in an anno2. All outlines are simplified to one pixel. A class has
    no outlines in the answer if none is left after simplification. inline_bytes: limit of the JSON of all outlines and
    centres. notes: sentences at the end of the text.
    """
    answer = _Answer(slide, analyzer, inline_bytes, upload)
    conclusion = analyzer.conclude(findings, parameters)
    if conclusion.density is not None:
        answer.add_map(conclusion.density)
    for number, class_ in enumerate(analyzer.classes, start=1):
        outlines = Outlines.concatenate([region.outlines.take(region.classes == number) for region in findings])
        title = class_.title if len(analyzer.classes) > 1 else ""
        if len(outlines) and "outlines" in shows:
            answer.add_outlines(title, class_.color, outlines)
        if len(outlines) and "centres" in shows:
            answer.add_centres(title, class_.color, outlines)
    text = summary(analyzer, conclusion.sentence, findings, is_mpp_known=slide.mpp is not None)
    return [*answer.results, Result("text", analyzer.title, " ".join([text, *answer.notes, *notes]))]


class _Answer:
    """Collects results: in the answer itself while their JSON fits, else as anno2."""

    def __init__(self, slide: Slide, analyzer: Analyzer[Any, Any], room_bytes: int, upload: Upload) -> None:
        self.results: list[Result] = []
        self._slide, self._analyzer, self._room_bytes, self._upload = slide, analyzer, room_bytes, upload
        self._width, self._height = slide.width, slide.height

    @property
    def notes(self) -> list[str]:
        if any(result.type == "anno2" and result.color != _COLORMAP for result in self.results):
            return ["Results that are large or have holes are shown as anno2."]
        return []

    def add_map(self, density: DensityMap) -> None:
        name = self._name("map")
        metadata = {**self._metadata(name), "per_mm2": density.per_mm2}
        zipped = anno2.heatmap_zip(
            density.levels,
            metadata,
            x=density.x,
            y=density.y,
            cell_px=density.cell_px,
            width=self._width,
            height=self._height,
        )
        self.results.append(Result("anno2", name, self._upload(zipped), _COLORMAP))

    def add_outlines(self, title: str, color: str, outlines: Outlines) -> None:
        if not _has_area(outlines):
            return
        name = self._name(title)
        if outlines.is_outer.all() and len(outlines) * _LEAST_POLYGON_BYTES <= self._room_bytes:
            xy, offsets = simplify(outlines.xy, outlines.offsets, anno2.FINE_TOLERANCE_PX)
            if len(xy) * _LEAST_VERTEX_BYTES <= self._room_bytes:
                points, ends = _points(xy), offsets.tolist()
                polygons = [{"type": "polygon", "points": points[a:b]} for a, b in pairwise(ends) if b - a > 2]
                if self._is_added("polygons", name, polygons, color):
                    return
        zipped = anno2.polygons_zip(outlines, self._metadata(name), width=self._width, height=self._height)
        self.results.append(Result("anno2", name, self._upload(zipped), color))

    def add_centres(self, title: str, color: str, outlines: Outlines) -> None:
        name = self._name(title, "centres")
        centres = np.clip(np.rint(outlines.centroids()), 0, (self._width, self._height)).astype(np.int32)
        fits = len(centres) * _LEAST_VERTEX_BYTES <= self._room_bytes
        if not (fits and self._is_added("points", name, _points(centres), color)):
            zipped = anno2.points_zip(centres, self._metadata(name), width=self._width, height=self._height)
            self.results.append(Result("anno2", name, self._upload(zipped), color))

    def _is_added(self, kind: Literal["polygons", "points"], name: str, value: list[Any], color: str) -> bool:
        """Adds a result to the answer if its JSON fits. Returns whether it did."""
        size_bytes = len(msgspec.json.encode(value))
        if size_bytes > self._room_bytes:
            return False
        self._room_bytes -= size_bytes
        self.results.append(Result(kind, name, value, color))
        return True

    def _name(self, *parts: str) -> str:
        detail = ", ".join(part for part in parts if part)
        return f"{self._analyzer.title}: {detail}" if detail else self._analyzer.title

    def _metadata(self, name: str) -> dict[str, object]:
        return {"analysis": self._analyzer.name, "title": name}


def _has_area(outlines: Outlines) -> bool:
    """Whether at least one outline has more than two vertices after simplification."""
    blocks = simplified(outlines.xy, outlines.offsets, (anno2.FINE_TOLERANCE_PX,))
    return any((np.diff(offsets) > 2).any() for ((_, offsets),) in blocks)


def _points(xy: IntArray) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in xy.tolist()]
