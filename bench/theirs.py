"""The other side: what vendors publish and users build from it. side.py may time the imports inside functions."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout


def import_slidescore() -> Callable[[], str]:
    """A webhook as a user would write it today."""

    def work() -> str:
        import cv2
        import slidescore
        from fastapi import FastAPI

        app = FastAPI()

        @app.post("/")
        def webhook(body: dict) -> list[dict]:
            return [{"server": slidescore.APIClient(body["host"], body["apitoken"]).end_point, "cv2": cv2.__version__}]

        return f"FastAPI app with {len(app.routes)} routes, slidescore-sdk and OpenCV"

    return work


def import_kili() -> Callable[[], str]:
    """The imports of the webhook on Kili's page, and a route."""

    def work() -> str:
        import kili
        from fastapi import FastAPI
        from kili.client import Kili
        from kili.plugins import PluginCore

        app = FastAPI()

        @app.post("/")
        def webhook(body: dict) -> None:
            PluginCore(Kili(), body["logPayload"]["projectId"])

        return f"FastAPI app with {len(app.routes)} routes, kili SDK {kili.__version__}"

    return work


def import_aiware_ready() -> Callable[[], str]:
    return _engine()


def import_aiware_report() -> Callable[[], str]:
    return _engine()


def import_aiware_process() -> Callable[[], str]:
    return _engine()


def import_aiware_work() -> Callable[[], str]:
    return _engine(with_pixels=True)


def _engine(*, with_pixels: bool = False) -> Callable[[], str]:
    """The imports and routes of Veritone's published Python engines, without the models that they load.

    with_pixels: the engine for pictures also imports NumPy, Keras (here replaced by OpenCV) and gevent (left out).
    Source: V3-Engine-Examples, python/sentiment; engine-toolkit, python_imagenet.
    """

    def work() -> str:
        import json
        import urllib.request

        from flask import Flask, jsonify, make_response, request

        if with_pixels:
            import cv2
            import numpy as np

        app = Flask(__name__)

        @app.route("/ready", methods=["GET"])
        def ready():
            return make_response("OK", 200)

        @app.route("/process", methods=["POST"])
        def process():
            payload = json.loads(request.form["payload"])
            with urllib.request.urlopen(request.form["cacheURI"]) as media:
                content = media.read()
            if with_pixels:
                content = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            return jsonify({"object": [], "vendor": [payload, len(content)]})

        return f"Flask application with ready and process{', NumPy and OpenCV' if with_pixels else ''}"

    return work


def kili_event(file: str) -> Callable[[], str]:
    """Imports everything and answers one event."""

    def work() -> str:
        import kili

        from bench.invocation import webhook_answer
        from bench.kili_page import handler

        webhook_answer(handler, file)
        return f"imports, Kili() with its checks, its schema on disk, label; kili SDK {kili.__version__}"

    return work


def anno2_polygons(file: str) -> Callable[[], str]:
    """Writes polygons in Slide Score's form, a list of dicts, to a zip on disk."""
    import numpy as np

    outlines = np.load(file)
    polygons = [{"type": "polygon", "points": [{"x": x, "y": y} for x, y in outline.tolist()]} for outline in outlines]
    return _encoding(polygons, f"polygons of {outlines.shape[1]:,} vertices in dicts: {len(outlines):,}")


def anno2_points(file: str) -> Callable[[], str]:
    """Writes points in Slide Score's form, a list of dicts, to a zip on disk."""
    import numpy as np

    points = [{"x": int(x), "y": int(y)} for x, y in np.load(file)]
    return _encoding(points, f"points in dicts: {len(points):,}")


def _encoding(items: list[dict], description: str) -> Callable[[], str]:
    write = _anno2_writer()

    def work() -> str:
        return f"{description}; zip {write(items, {'meta': 'Nuclei'}) / 1e6:.3f} MB"

    return work


def contours(jpeg: str) -> Callable[[], str]:
    """Turns the result of cv2.findContours into polygons on the slide and the means of their vertices."""
    from pathlib import Path

    from bench.floor import dark_contours
    from bench.inputs import DOWNSAMPLE, SIDE_PX

    rings, _ = dark_contours(Path(jpeg).read_bytes())
    drawn = _square(DOWNSAMPLE * SIDE_PX)

    def work() -> str:
        polygons = _polygons(rings, drawn, SIDE_PX, SIDE_PX)
        centres = _centres(polygons)
        return (
            f"{len(polygons):,} polygons, {sum(map(len, rings)):,} vertices, {len(centres):,} means of vertices, "
            "second run"
        )

    work()
    return work


def region(jpeg: str) -> Callable[[], str]:
    """The steps of Slide Score's example webhook between GetScreenshot and its answer, without the upload.

    The calls and loops are the example's. It treats a grey value above 220 as dark, so it outlines the bright parts.
    Holes are outlines, too.
    Source: the webhook page of Slide Score's manual; slidescore-sdk, examples/webhook_slide_analysis.py.
    """
    import json
    from pathlib import Path

    import cv2
    import numpy as np

    from bench.inputs import SIDE_PX

    content = Path(jpeg).read_bytes()
    drawn = _square(SIDE_PX)
    write = _anno2_writer()

    def work() -> str:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        _, bright = cv2.threshold(grey, 220, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(bright, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        polygons = _polygons(contours, drawn, picture.shape[1], picture.shape[0])
        centres = _centres(polygons)
        size = write(polygons, '{"meta": "Dark parts"}')
        answer = [
            {"type": "polygons", "name": "Dark parts", "value": polygons},
            {"type": "points", "name": "Centroids of the dark parts", "value": centres},
            {"type": "anno2", "name": "Dark parts, anno2", "value": "uuid"},
        ]
        encoded = json.dumps(answer).encode()
        return (
            f"{len(polygons):,} polygons, {sum(map(len, contours)):,} vertices; "
            f"zip {size / 1e6:.2f} MB, answer {len(encoded) / 1e6:.2f} MB"
        )

    return work


def _square(side: int) -> dict:
    """A region as Slide Score sends it."""
    return {"corner": {"x": 0, "y": 0}, "size": {"x": side, "y": side}}


def _polygons(contours, drawn, width, height):
    scale_x, scale_y = drawn["size"]["x"] / width, drawn["size"]["y"] / height
    left, top = drawn["corner"]["x"], drawn["corner"]["y"]
    polygons = []
    for contour in contours:
        vertices = []
        for vertex in contour:
            column, row = int(vertex[0][0]), int(vertex[0][1])
            vertices.append({"x": left + int(scale_x * column), "y": top + int(scale_y * row)})
        polygons.append({"type": "polygon", "points": vertices})
    return polygons


def _centres(polygons):
    centres = []
    for polygon in polygons:
        vertices = polygon["points"]
        total_x = total_y = 0
        for vertex in vertices:
            total_x += vertex["x"]
            total_y += vertex["y"]
        centres.append({"x": total_x / len(vertices), "y": total_y / len(vertices)})
    return centres


def _anno2_writer() -> Callable[..., int]:
    """Returns a function that writes items and metadata to a zip with the SDK's encoder, and returns its size."""
    from pathlib import Path

    import slidescore

    client = slidescore.APIClient("http://localhost", "unused")
    file, log = Path("theirs.zip").absolute(), io.StringIO()

    def write(items: list[dict], metadata: object) -> int:
        with redirect_stdout(log):
            client.convert_to_anno2(items, metadata, str(file))
        return file.stat().st_size

    return write
