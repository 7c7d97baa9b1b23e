"""A picture as the slide that analyzers take, and their findings as detections."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np

from annohooks.core.deadline import Deadline
from annohooks.core.errors import TooLarge
from annohooks.imaging import segmentation
from annohooks.imaging.analyzers import Analyzer, Conclusion, Parameters
from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections
from annohooks.imaging.region import Box, Region, Shape

# More do not fit into a document, however simple they are.
_LIMITS = segmentation.Limits(objects=50_000, vertices=2_000_000)


class PictureSlide:
    """Pixels with the interface that segmentation asks of a slide. mpp: micrometres per pixel."""

    mpp: float | None

    def __init__(self, pixels: Picture, mpp: float) -> None:
        self._pixels, self.mpp = pixels, mpp
        self.height, self.width = pixels.shape[:2]

    def picture(self, box: Box, downsample: int) -> Picture:
        """A box of the picture, each pixel the mean of downsample x downsample. Beyond the edge, the edge repeats."""
        part = self._pixels[box.y : box.bottom, box.x : box.right]
        if downsample == 1:
            return part
        columns, rows = math.ceil(box.width / downsample), math.ceil(box.height / downsample)
        missing = rows * downsample - box.height, columns * downsample - box.width
        whole = cv2.copyMakeBorder(part, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
        return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)

    def region(self) -> Region:
        """The whole picture."""
        right, bottom = float(self.width), float(self.height)
        corners = np.array([(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)])
        return Region(Box(0, 0, self.width, self.height), (Shape((corners,)),))


class PictureFindings(NamedTuple):
    """The objects of a picture. document_keys: further keys for the picture's AION document."""

    objects: Detections
    document_keys: dict[str, Any]


def analyse(
    picture: Picture, mpp: float, analyzer: Analyzer[Any, Any], parameters: Parameters, deadline: Deadline
) -> PictureFindings:
    """An analyzer's objects, each labelled with the title of its class, and its conclusion as keys of the document.

    Raises TooLarge for more objects than a document can hold, and what `imaging.segmentation.segment` does.
    """
    slide = PictureSlide(picture, mpp)
    findings = segmentation.segment(slide, slide.region(), analyzer, parameters, deadline, _LIMITS)
    if findings.left_out:
        raise TooLarge(
            f"{int(findings.object_counts.sum()):,} objects were found, more than a result can hold. Please send a "
            "smaller picture, or ask for larger objects only."
        )
    outer = findings.outlines.is_outer
    labels = [analyzer.classes[number - 1].title for number in findings.classes[outer].tolist()]
    objects = Detections.from_outlines(findings.outlines.take(outer), labels)
    centre_px = 0.5 if findings.downsample == 1 else 0.0  # a vertex is the centre of a pixel
    objects = replace(objects, xy=objects.xy + centre_px)
    return PictureFindings(objects, _document_keys(analyzer.conclude([findings], parameters)))


def _document_keys(conclusion: Conclusion) -> dict[str, Any]:
    """A conclusion's sentence as the summary, and its density map under `vendor`."""
    keys: dict[str, Any] = {"summary": conclusion.sentence} if conclusion.sentence else {}
    if (density := conclusion.density) is not None:
        keys["vendor"] = {
            "density": {
                "x": density.x,
                "y": density.y,
                "cellPx": density.cell_px,
                "perMm2": density.per_mm2,
                "levels": density.levels.tolist(),
            }
        }
    return keys
