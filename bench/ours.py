"""Our side. Imports stand inside the functions: nothing may be loaded before an import is timed (see side.py)."""

from collections.abc import Callable


def import_slidescore() -> Callable[[], str]:
    def work() -> str:
        import app

        return f"function with {len(app.routes)} routes, its tracer as in Lambda"

    return work


def import_kili() -> Callable[[], str]:
    def work() -> str:
        import app

        return f"function with {len(app.routes)} routes and its rules, its tracer as in Lambda"

    return work


def import_aiware_ready() -> Callable[[], str]:
    return _importing("function")


def import_aiware_process() -> Callable[[], str]:
    return _importing("function, OpenCV left to the first picture that is analysed at once")


def import_aiware_report() -> Callable[[], str]:
    return _importing("function")


def import_aiware_work() -> Callable[[], str]:
    return _importing("function, OpenCV and detectors")


def _importing(what: str) -> Callable[[], str]:
    def work() -> str:
        import app

        return f"{what}, its tracer as in Lambda" if app.handler else ""

    return work


def kili_event(file: str) -> Callable[[], str]:
    """From nothing imported to the answer to one event."""

    def work() -> str:
        import app

        from bench.invocation import answered

        findings = answered(app.handler, file)["findings"]
        return f"imports, secrets, lock, label and {len(findings)} findings"

    return work


def anno2_polygons(file: str) -> Callable[[], str]:
    """Outlines as arrays to a zip on disk."""
    from pathlib import Path

    import numpy as np

    from annohooks.imaging.outlines import Outlines
    from annohooks.slidescore import anno2

    xy = np.load(file)
    number, vertices, _ = xy.shape
    width, height = xy.max((0, 1)).tolist()
    outlines = Outlines(xy.reshape(-1, 2), np.arange(number + 1) * vertices, np.full(number, -1, np.int32))

    def work() -> str:
        size = Path("ours.zip").write_bytes(
            anno2.polygons_zip(outlines, {"meta": "Nuclei"}, width=width, height=height)
        )
        return f"polygons of {vertices:,} vertices in arrays: {number:,}; zip {size / 1e6:.3f} MB"

    return work


def anno2_points(file: str) -> Callable[[], str]:
    """Points as an array to a zip on disk."""
    from pathlib import Path

    import numpy as np

    from annohooks.slidescore import anno2

    xy = np.load(file)
    width, height = xy.max(0).tolist()

    def work() -> str:
        size = Path("ours.zip").write_bytes(anno2.points_zip(xy, {"meta": "Nuclei"}, width=width, height=height))
        return f"points in an array: {len(xy):,}; zip {size / 1e6:.3f} MB"

    return work


def contours(jpeg: str) -> Callable[[], str]:
    """What cv2.findContours returned, to outlines on the slide and their centroids.

    On both sides the second time is timed: it is so short that a fresh process's first touch of memory would tell.
    """
    from pathlib import Path

    from annohooks.imaging.outlines import Outlines
    from annohooks.imaging.outlines.contours import mapped
    from bench.floor import dark_contours
    from bench.inputs import DOWNSAMPLE

    rings, hierarchy = dark_contours(Path(jpeg).read_bytes())

    def work() -> str:
        outlines = mapped(Outlines.from_rings(rings, hierarchy[0, :, 3]), 0, 0, DOWNSAMPLE)
        centroids = outlines.centroids()
        return (
            f"{len(outlines):,} outlines, {len(outlines.xy):,} vertices, {len(centroids):,} centroids of area, holes "
            "taken off, for the second time"
        )

    work()
    return work


def region(jpeg: str) -> Callable[[], str]:
    """`analysis` of a JPEG in memory."""
    from pathlib import Path

    analysed = analysis(Path(jpeg).read_bytes())

    def work() -> str:
        outlines, anno2s, answer = analysed()
        return (
            f"{outlines.is_outer.sum():,} dark regions, {(~outlines.is_outer).sum():,} holes, {len(outlines.xy):,} "
            f"vertices; zip {sum(map(len, anno2s)) / 1e6:.2f} MB, answer {len(answer) / 1e6:.2f} MB"
        )

    return work


def analysis(content: bytes) -> Callable[[], tuple]:
    """Dark regions of a whole picture, from its JPEG to the outlines, the anno2 zips to upload, and the answer."""
    import msgspec
    import numpy as np

    from annohooks.core.deadline import Deadline
    from annohooks.core.settings import from_env
    from annohooks.imaging import decode, segmentation
    from annohooks.imaging.analyzers import ANALYZERS
    from annohooks.imaging.region import Box, Region, Shape
    from annohooks.slidescore import answer_limits, results
    from annohooks.slidescore.settings import Settings
    from bench.inputs import SIDE_PX

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

    def work() -> tuple:
        slide, uploaded = Slide(), []
        chosen, most = analyzer.parameters(), answer_limits.Most(settings.slidescore_max_outlines)
        limits = segmentation.Limits(SIDE_PX, settings.slidescore_max_region_px, most.outlines, most.vertices)
        found = segmentation.segment(slide, drawn, analyzer, chosen, Deadline.after(600), limits)
        shown = answer_limits.largest([found], most)
        answer = results.results(
            slide,
            analyzer,
            chosen,
            shown,
            analyzer.shows,
            settings.slidescore_max_inline_bytes,
            lambda anno2: uploaded.append(anno2) or "uuid",
        )
        return found.outlines, uploaded, msgspec.json.encode(answer)

    return work


def images(file: str) -> Callable[[], str]:
    """Each picture of a zip to AION, faces."""
    from bench.floor import pictures

    contents, engine, deadline = pictures(file), _engine(), _deadline()

    def work() -> str:
        documents = [engine.of_picture(content, (0, 0), deadline) for content in contents]
        return f"{sum(len(document['object']) for document in documents)} faces as AION"

    return work


def video_frames(file: str) -> Callable[[], str]:
    """A video to AION, faces in a picture each second."""
    from pathlib import Path

    from annohooks.imaging import video
    from bench.floor import SAMPLE_MS

    engine, deadline = _engine(sampleMs=SAMPLE_MS), _deadline()

    def work() -> str:
        source = video.probe(Path(file))
        document = engine.of_segment(source, 0, source.duration_ms, 0, deadline)
        return f"probed, sampled, {len(document['series'])} appearances of faces as AION"

    return work


def video_frames_seeking(file: str) -> Callable[[], str]:
    return video_frames(file)


def _engine(**payload: object):
    """The one that a payload without an analyzer gets, its cascades read."""
    import numpy as np

    from annohooks.aiware import engine
    from annohooks.core.deadline import Deadline
    from annohooks.imaging.detectors import DETECTORS

    chosen = engine.choose(payload, "faces", DETECTORS)
    chosen.look(np.zeros((100, 100, 3), np.uint8), Deadline.after(600))
    return chosen


def _deadline():
    from annohooks.core.deadline import Deadline

    return Deadline.after(600)
