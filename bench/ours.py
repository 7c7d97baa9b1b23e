"""Our side. Imports stand inside the functions: nothing may be loaded before an import is timed (see side.py)."""

from collections.abc import Callable


def import_slidescore() -> Callable[[], str]:
    def work() -> str:
        import app

        return f"function with {len(app.routes)} routes, its tracer as in Lambda"

    return work


def region(jpeg: str) -> Callable[[], str]:
    """Dark regions of a whole picture, from its JPEG to the answer; an upload is kept."""
    from pathlib import Path

    import msgspec
    import numpy as np

    from annohooks.core.deadline import Deadline
    from annohooks.core.settings import from_env
    from annohooks.imaging import decode, segmentation
    from annohooks.imaging.analyzers import ANALYZERS
    from annohooks.imaging.region import Box, Region, Shape
    from annohooks.slidescore import results
    from annohooks.slidescore.settings import Settings
    from bench.inputs import SIDE_PX

    content = Path(jpeg).read_bytes()
    settings = from_env(Settings)
    analyzer = ANALYZERS["dark_regions"]
    corners = np.array([(0, 0), (SIDE_PX, 0), (SIDE_PX, SIDE_PX), (0, SIDE_PX)], np.float64)
    drawn = Region(Box(0, 0, SIDE_PX, SIDE_PX), (Shape((corners,)),))

    class Slide:
        """As large as the picture, and at the resolution the analyzer works at: nothing is left out."""

        width = height = SIDE_PX
        mpp = analyzer.mpp

        def picture(self, box: Box, downsample: int) -> decode.Picture:
            return decode.jpeg(content, max_pixels=SIDE_PX**2)

    def work() -> str:
        slide, uploaded = Slide(), []
        limits = segmentation.Limits(picture_px=SIDE_PX, region_px=settings.slidescore_max_region_px)
        found = segmentation.segment(slide, drawn, analyzer, analyzer.parameters(), Deadline.after(600), limits)
        answer = results.results(
            slide,
            analyzer,
            [found],
            results.Show.BOTH,
            results.Limits(settings.slidescore_max_inline_bytes, settings.slidescore_max_outlines),
            lambda anno2: uploaded.append(anno2) or "uuid",
        )
        encoded = msgspec.json.encode(answer)
        outlines = found.outlines
        return (
            f"{outlines.is_outer.sum():,} dark regions, {(~outlines.is_outer).sum():,} holes, {len(outlines.xy):,} "
            f"vertices; zip {sum(map(len, uploaded)) / 1e6:.2f} MB, answer {len(encoded) / 1e6:.2f} MB"
        )

    return work
