"""Our side. Imports are inside the functions, because side.py may time them."""

from collections.abc import Callable


def import_slidescore() -> Callable[[], str]:
    def work() -> str:
        import app

        return f"function with {len(app.routes.endpoints)} routes, its tracer as in Lambda"

    return work


def import_kili() -> Callable[[], str]:
    def work() -> str:
        import app

        return f"function with {len(app.routes.endpoints)} routes and its rules, its tracer as in Lambda"

    return work


def import_aiware_ready() -> Callable[[], str]:
    return _importing("function")


def import_aiware_process() -> Callable[[], str]:
    return _importing("function, OpenCV loaded with the first picture that it analyses")


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
    """Imports everything and answers one event."""

    def work() -> str:
        import app

        from bench.invocation import webhook_answer

        findings = webhook_answer(app.handler, file)["findings"]
        return f"imports, secrets, lock, label and {len(findings)} findings"

    return work


def anno2_polygons(file: str) -> Callable[[], str]:
    """Writes outlines in arrays to a zip on disk."""
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
    """Writes points in an array to a zip on disk."""
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
    """Turns the result of cv2.findContours into outlines on the slide and their centroids.

    Both sides time the second run, because the work is so short that the first use of memory would distort it.
    """
    from pathlib import Path

    from annohooks.imaging.outlines import Outlines
    from annohooks.imaging.outlines.contours import placed
    from bench.floor import dark_contours
    from bench.inputs import DOWNSAMPLE

    rings, hierarchy = dark_contours(Path(jpeg).read_bytes())

    def work() -> str:
        outlines = placed(Outlines.from_rings(rings, hierarchy[0, :, 3]), 0, 0, DOWNSAMPLE)
        centroids = outlines.centroids()
        return (
            f"{len(outlines):,} outlines, {len(outlines.xy):,} vertices, {len(centroids):,} centroids of area without "
            "holes, second run"
        )

    work()
    return work


def region(jpeg: str) -> Callable[[], str]:
    """Analyses a JPEG in memory."""
    from pathlib import Path

    from bench.dark_regions import analysis
    from bench.inputs import SIDE_PX

    analyse = analysis(Path(jpeg).read_bytes(), SIDE_PX)

    def work() -> str:
        outlines, anno2s, answer = analyse()
        return (
            f"{outlines.is_outer.sum():,} dark regions, {(~outlines.is_outer).sum():,} holes, {len(outlines.xy):,} "
            f"vertices; zip {sum(map(len, anno2s)) / 1e6:.2f} MB, answer {len(answer) / 1e6:.2f} MB"
        )

    return work


def images(file: str) -> Callable[[], str]:
    """Finds the faces in each picture of a zip and writes them as AION."""
    from bench.floor import pictures

    contents, engine, deadline = pictures(file), _engine(), _deadline()

    def work() -> str:
        documents = [engine.of_picture(content, (0, 0), deadline) for content in contents]
        return f"{sum(len(document['object']) for document in documents)} faces as AION"

    return work


def video_frames(file: str) -> Callable[[], str]:
    """Finds the faces in one picture of a video per second and writes them as AION."""
    from pathlib import Path

    from annohooks.imaging import video
    from bench.floor import SAMPLE_MS

    engine, deadline = _engine(sampleMs=SAMPLE_MS), _deadline()

    def work() -> str:
        source = video.probe(Path(file))
        document = engine.of_video(source, 0, source.duration_ms, 0, deadline)
        return f"probed, sampled, {len(document['series'])} appearances of faces as AION"

    return work


def video_frames_seeking(file: str) -> Callable[[], str]:
    return video_frames(file)


def _engine(**payload: object):
    """The default engine, with its cascades loaded."""
    import numpy as np

    from annohooks.aiware import engine
    from annohooks.core.deadline import Deadline
    from annohooks.imaging.detectors import DETECTORS

    default = engine.choose(payload, "faces", DETECTORS)
    default.look(np.zeros((100, 100, 3), np.uint8), Deadline.after(600))
    return default


def _deadline():
    from annohooks.core.deadline import Deadline

    return Deadline.after(600)
