"""Findings as the results Slide Score's viewer shows."""

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

_BYTES_A_VERTEX = len('{"x":1,"y":1},')  # the least one can take
_BYTES_A_POLYGON = 3 * _BYTES_A_VERTEX
_COLORMAP = "Turbo"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the answer. Source: protocol reference, section 4 (response)."""

    type: Literal["polygons", "points", "anno2", "text"]
    name: str
    value: Any
    color: str | None = None


Upload = Callable[[bytes], str]
"""Takes an anno2 zip to the server, returns its id."""


def results(
    slide: Slide,
    analyzer: Analyzer[Any, Any],
    parameters: Parameters,
    found: Sequence[Findings],
    shows: Collection[Shown],
    inline_bytes: int,
    upload: Upload,
    notes: Sequence[str] = (),
) -> list[Result]:
    """The analyzer's map if it draws one, each class's outlines and centres, and a text that sums up.

    Outlines and centres are in the answer while small and without holes, as anno2 beyond: the viewer's polygons have no
    holes, so outlines with holes are anno2 whatever their number. Outlines in the answer are simplified to one pixel,
    as those in an anno2 are; a class of whose outlines nothing is left then shows none. inline_bytes: of JSON that all
    of them may take. notes: sentences to end the text with.
    """
    answer = _Answer(slide, analyzer, inline_bytes, upload)
    conclusion = analyzer.conclude(found, parameters)
    if conclusion.density is not None:
        answer.add_map(conclusion.density)
    for number, each in enumerate(analyzer.classes, start=1):
        outlines = Outlines.concatenate([f.outlines.take(f.classes == number) for f in found])
        title = each.title if len(analyzer.classes) > 1 else ""
        if len(outlines) and "outlines" in shows:
            answer.add_outlines(title, each.color, outlines)
        if len(outlines) and "centres" in shows:
            answer.add_centres(title, each.color, outlines)
    text = summary(analyzer, conclusion.sentence, found, is_mpp_known=slide.mpp is not None)
    return [*answer.results, Result("text", analyzer.title, " ".join([text, *answer.notes, *notes]))]


class _Answer:
    """Results, one after the other: in the answer itself while there is room, else as anno2."""

    def __init__(self, slide: Slide, analyzer: Analyzer[Any, Any], room: int, upload: Upload) -> None:
        self.results: list[Result] = []
        self._slide, self._analyzer, self._room, self._upload = slide, analyzer, room, upload
        self._width, self._height = slide.width, slide.height

    @property
    def notes(self) -> list[str]:
        if any(result.type == "anno2" and result.color != _COLORMAP for result in self.results):
            return ["What is too much for the answer itself, or has holes, is shown as anno2 only."]
        return []

    def add_map(self, density: DensityMap) -> None:
        name = self._name("map")
        metadata = {**self._metadata(name), "per_mm2": density.per_mm2}
        packed = anno2.heatmap_zip(
            density.levels,
            metadata,
            x=density.x,
            y=density.y,
            cell_px=density.cell_px,
            width=self._width,
            height=self._height,
        )
        self.results.append(Result("anno2", name, self._upload(packed), _COLORMAP))

    def add_outlines(self, title: str, color: str, outlines: Outlines) -> None:
        if not _is_any_left(outlines):
            return
        name = self._name(title)
        if outlines.is_outer.all() and len(outlines) * _BYTES_A_POLYGON <= self._room:
            xy, offsets = simplify(outlines.xy, outlines.offsets, anno2.FINE_TOLERANCE_PX)
            if len(xy) * _BYTES_A_VERTEX <= self._room:
                points, ends = _points(xy), offsets.tolist()
                polygons = [{"type": "polygon", "points": points[a:b]} for a, b in pairwise(ends) if b - a > 2]
                if self._fits("polygons", name, polygons, color):
                    return
        packed = anno2.polygons_zip(outlines, self._metadata(name), width=self._width, height=self._height)
        self.results.append(Result("anno2", name, self._upload(packed), color))

    def add_centres(self, title: str, color: str, outlines: Outlines) -> None:
        name = self._name(title, "centres")
        centres = np.clip(np.rint(outlines.centroids()), 0, (self._width, self._height)).astype(np.int32)
        fits = len(centres) * _BYTES_A_VERTEX <= self._room
        if not (fits and self._fits("points", name, _points(centres), color)):
            packed = anno2.points_zip(centres, self._metadata(name), width=self._width, height=self._height)
            self.results.append(Result("anno2", name, self._upload(packed), color))

    def _fits(self, kind: Literal["polygons", "points"], name: str, value: list[Any], color: str) -> bool:
        """Whether there is room for it in the answer, and if so, it is there."""
        taken = len(msgspec.json.encode(value))
        if taken > self._room:
            return False
        self._room -= taken
        self.results.append(Result(kind, name, value, color))
        return True

    def _name(self, *parts: str) -> str:
        said = ", ".join(part for part in parts if part)
        return f"{self._analyzer.title}: {said}" if said else self._analyzer.title

    def _metadata(self, name: str) -> dict[str, object]:
        return {"analysis": self._analyzer.name, "title": name}


def _is_any_left(outlines: Outlines) -> bool:
    """Whether an outline still encloses something when simplified."""
    blocks = simplified(outlines.xy, outlines.offsets, (anno2.FINE_TOLERANCE_PX,))
    return any((np.diff(offsets) > 2).any() for ((_, offsets),) in blocks)


def _points(xy: IntArray) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in xy.tolist()]
