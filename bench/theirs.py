"""The other side: what the vendor publishes and what users build of it. Imports stand inside functions, see side.py."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout


def import_slidescore() -> Callable[[], str]:
    """A webhook as one would write it today."""

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


def region(jpeg: str) -> Callable[[], str]:
    """What Slide Score's example webhook does between GetScreenshot and its answer; the upload is left out.

    Step for step, with the same calls and the same loops. A grey value above 220 counts as dark there, so it is the
    bright parts that are outlined, and holes are outlines like any other.
    Source: the webhook page of Slide Score's manual; slidescore-sdk, examples/webhook_slide_analysis.py.
    """
    import json
    from pathlib import Path

    import cv2
    import numpy as np
    import slidescore

    from bench.inputs import SIDE_PX

    content = Path(jpeg).read_bytes()
    client = slidescore.APIClient("http://localhost", "unused")
    drawn = {"corner": {"x": 0, "y": 0}, "size": {"x": SIDE_PX, "y": SIDE_PX}}
    anno2 = Path("theirs.zip").absolute()

    def as_polygons(contours, width, height):
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

    def as_centres(polygons):
        centres = []
        for polygon in polygons:
            vertices = polygon["points"]
            total_x = total_y = 0
            for vertex in vertices:
                total_x += vertex["x"]
                total_y += vertex["y"]
            centres.append({"x": total_x / len(vertices), "y": total_y / len(vertices)})
        return centres

    def work() -> str:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        _, bright = cv2.threshold(grey, 220, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(bright, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        polygons = as_polygons(contours, picture.shape[1], picture.shape[0])
        centres = as_centres(polygons)
        with redirect_stdout(sys.stderr):
            client.convert_to_anno2(polygons, '{"meta": "Dark parts"}', str(anno2))
        answer = [
            {"type": "polygons", "name": "Dark parts", "value": polygons},
            {"type": "points", "name": "Centroids of the dark parts", "value": centres},
            {"type": "anno2", "name": "Dark parts, anno2", "value": "uuid"},
        ]
        encoded = json.dumps(answer).encode()
        return (
            f"{len(polygons):,} polygons, {sum(map(len, contours)):,} vertices; "
            f"zip {anno2.stat().st_size / 1e6:.2f} MB, answer {len(encoded) / 1e6:.2f} MB"
        )

    return work
