"""A picture as the slide that analyzers look at, and what they find in it."""

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

# No more would fit into a document, however simple.
_LIMITS = segmentation.Limits(objects=50_000, vertices=2_000_000)


class Photo:
    """Pixels as segmentation wants a slide. mpp: micrometres per pixel."""

    mpp: float | None

    def __init__(self, pixels: Picture, mpp: float) -> None:
        self._pixels, self.mpp = pixels, mpp
        self.height, self.width = pixels.shape[:2]

    def picture(self, box: Box, downsample: int) -> Picture:
        """A box of it, each pixel the mean of downsample x downsample; beyond its edge, which is repeated, too."""
        part = self._pixels[box.y : box.bottom, box.x : box.right]
        if downsample == 1:
            return part
        columns, rows = math.ceil(box.width / downsample), math.ceil(box.height / downsample)
        missing = rows * downsample - box.height, columns * downsample - box.width
        whole = cv2.copyMakeBorder(part, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
        return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


class Seen(NamedTuple):
    """What was found in a picture, and further keys of the AION document that tells of it."""

    found: Detections
    about: dict[str, Any]


def analysed(
    picture: Picture, mpp: float, analyzer: Analyzer[Any, Any], parameters: Parameters, deadline: Deadline
) -> Seen:
    """An analyzer's objects, each labelled with its class, and what it concludes: a summary, and a map for the vendor.

    Raises TooLarge for more objects than a document can hold, and what `imaging.segmentation.segment` does.
    """
    photo = Photo(picture, mpp)
    findings = segmentation.segment(photo, _whole(photo), analyzer, parameters, deadline, _LIMITS)
    if findings.left_out:
        raise TooLarge(
            f"{int(findings.found.sum()):,} objects were found, more than a result can hold. Please send a smaller "
            "picture, or ask for larger objects only."
        )
    outer = findings.outlines.is_outer
    labels = [analyzer.classes[number - 1].title for number in findings.classes[outer].tolist()]
    found = Detections.from_outlines(findings.outlines.take(outer), labels)
    centre_px = 0.5 if findings.downsample == 1 else 0.0  # a vertex is the centre of a pixel
    return Seen(replace(found, xy=found.xy + centre_px), _about(analyzer.conclude([findings], parameters)))


def _whole(photo: Photo) -> Region:
    right, bottom = float(photo.width), float(photo.height)
    corners = np.array([(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)])
    return Region(Box(0, 0, photo.width, photo.height), (Shape((corners,)),))


def _about(conclusion: Conclusion) -> dict[str, Any]:
    about: dict[str, Any] = {"summary": conclusion.sentence} if conclusion.sentence else {}
    if (density := conclusion.density) is not None:
        about["vendor"] = {
            "density": {
                "x": density.x,
                "y": density.y,
                "cellPx": density.cell_px,
                "perMm2": density.per_mm2,
                "levels": density.levels.tolist(),
            }
        }
    return about
