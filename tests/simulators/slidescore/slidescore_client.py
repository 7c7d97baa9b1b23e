"""A plain client of the simulated Slide Score server, and small slides and zips to try it with."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import cv2
import numpy as np
import urllib3
from numpy.typing import NDArray

from local.simulators.slidescore import SlideScore
from local.slides import Slide

IMAGE = 7


def gradient(width: int, height: int) -> Slide:
    """Red grows to the right and green downwards, so that a picture tells where it comes from; blue is 128."""
    pixels = np.full((height, width, 3), 128, dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Slide("gradient", pixels, mpp=0.25)


def anno2_zip(items: int = 1, kind: str = "polygons", padding: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as anno2:
        anno2.writestr("system_metadata.json", json.dumps({"version": "0.2.0", "type": kind, "numItems": items}))
        anno2.writestr("padding", b"\0" * padding)
    return stream.getvalue()


class Client:
    """Requests with a token of the server's."""

    def __init__(self, server: SlideScore) -> None:
        self.server = server
        self.token = server.token()
        self.http = urllib3.PoolManager(retries=False, timeout=10.0, maxsize=10)

    def request(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        url = path if path.startswith("http") else self.server.origin + path
        return self.http.request(method, url, headers=headers, redirect=False, **options)

    def api(self, endpoint: str, method: str = "GET", **fields: object) -> urllib3.BaseHTTPResponse:
        options = {} if method == "GET" else {"encode_multipart": False}
        texts = {key: str(value) for key, value in fields.items()}
        return self.request(method, f"/Api/{endpoint}", fields=texts, **options)

    def screenshot(self, **fields: object) -> urllib3.BaseHTTPResponse:
        region = {"imageid": IMAGE, "x": 0, "y": 0, "width": 64, "height": 64, "level": 30, "showScalebar": "false"}
        return self.api("GetScreenshot", **(region | fields))

    def create(self) -> tuple[str, str]:
        """uploadToken and annoUUID of a new annotation."""
        created = self.api("CreateOrphanAnno2", "POST").json()
        return created["uploadToken"], created["annoUUID"]

    def tus(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> urllib3.BaseHTTPResponse:
        return self.request(method, path, body=body, headers={"Tus-Resumable": "1.0.0"} | headers)

    def start_upload(self, upload_token: str, length: int, path: str = "/files/") -> urllib3.BaseHTTPResponse:
        return self.tus("POST", path, {"Upload-Length": str(length)} | self.metadata(upload_token, self.token))

    def metadata(self, upload_token: str, api_token: str) -> dict[str, str]:
        pairs = {"uploadtoken": upload_token, "apitoken": api_token}
        return {"Upload-Metadata": ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())}

    def patch(self, location: str, offset: int, content: bytes) -> urllib3.BaseHTTPResponse:
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        return self.tus("PATCH", location, headers, content)

    def offset(self, location: str) -> int:
        return int(self.tus("HEAD", location, {}).headers["Upload-Offset"])

    def finish(self, location: str, upload_token: str) -> urllib3.BaseHTTPResponse:
        return self.api("FinishUpload", "POST", id=location.rpartition("/")[2], token=upload_token)

    def upload(self, content: bytes) -> str:
        """The whole way from CreateOrphanAnno2 to FinishUpload: the annoUUID."""
        upload_token, anno = self.create()
        location = self.start_upload(upload_token, len(content)).headers["Location"]
        assert self.patch(location, 0, content).status == 204
        assert self.finish(location, upload_token).json() == "OK"
        return anno


def picture(reply: urllib3.BaseHTTPResponse) -> NDArray[np.uint8]:
    """The RGB pixels of a JPEG answer."""
    assert reply.status == 200, reply.data
    assert reply.headers["Content-Type"] == "image/jpeg"
    decoded = cv2.imdecode(np.frombuffer(reply.data, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def difference(shown: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    """Mean absolute difference, in grey levels; JPEG at quality 85 stays below 3 on these slides."""
    assert shown.shape == expected.shape
    return float(np.abs(shown.astype(int) - expected).mean())
