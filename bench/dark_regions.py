"""The analysis of dark regions in one picture, which our side measures and the input of the floor needs."""

from collections.abc import Callable

import msgspec
import numpy as np

from annohooks.core.deadline import Deadline
from annohooks.core.settings import from_env
from annohooks.imaging import decode, segmentation
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.region import Box, Region, Shape
from annohooks.slidescore import answer_limits, results
from annohooks.slidescore.settings import Settings


def analysis(content: bytes, side_px: int) -> Callable[[], tuple]:
    """Returns the work: from a square JPEG to its outlines, the anno2 zips to upload, and the answer."""
    settings = from_env(Settings)
    analyzer = ANALYZERS["dark_regions"]
    corners = np.array([(0, 0), (side_px, 0), (side_px, side_px), (0, side_px)], np.float64)
    region = Region(Box(0, 0, side_px, side_px), (Shape((corners,)),))

    class Slide:
        """A slide as large as the picture, at the analyzer's resolution, so that the whole picture is analysed."""

        width = height = side_px
        mpp = analyzer.mpp

        def picture(self, box: Box, downsample: int) -> decode.Picture:
            return decode.jpeg(content, max_pixels=side_px**2)

    def work() -> tuple:
        slide, uploaded = Slide(), []
        parameters, limits = analyzer.parameters(), answer_limits.AnswerLimits(settings.slidescore_max_outlines)
        max_region_px = settings.slidescore_max_region_px
        region_limits = segmentation.Limits(side_px, max_region_px, limits.outlines, limits.vertices)
        findings = segmentation.segment(slide, region, analyzer, parameters, Deadline.after(600), region_limits)
        largest = answer_limits.largest([findings], limits)
        answer = results.results(
            slide,
            analyzer,
            parameters,
            largest,
            analyzer.shows,
            settings.slidescore_max_inline_bytes,
            lambda anno2: uploaded.append(anno2) or "uuid",
        )
        return findings.outlines, uploaded, msgspec.json.encode(answer)

    return work
