"""What the endpoints of the simulated server answer (reference, sections 1.2 and 5)."""

from __future__ import annotations

import http.cookies
import json
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from local.listener import Refused, Reply, Request
from local.simulators.slidescore import pixels
from local.simulators.slidescore.faults import Faults
from local.simulators.slidescore.study import CASE_ID, STUDY_ID, Study
from local.simulators.slidescore.uploads import Uploads
from local.slides import Pixels, Slide

MAX_SIDE_PX = 2000
MAX_REGION_PX = 1 << 28
OVERSIZED_BYTES = 8 << 30
SMALL_PX = 100  # what "small_pictures" leaves of a side
REGION = ("x", "y", "width", "height")
IMAGE_SERVER = re.compile(r"/i/(\d+)/(\w+)/i(?:\.dzi|_files/(\d+)/(\d+)_(\d+)\.jpeg)")
DZI = (
    '<?xml version="1.0" encoding="utf-8"?><Image TileSize="{tile}" Overlap="0" Format="jpeg" '
    'xmlns="http://schemas.microsoft.com/deepzoom/2008"><Size Width="{width}" Height="{height}"/></Image>'
)
LOGIN_PAGE = Reply(
    body=b"<!DOCTYPE html><html><body>Please log in to Slide Score.</body></html>", content_type="text/html"
)


class Api:
    """The endpoints by name. A request that reaches them is authenticated."""

    def __init__(
        self,
        slides: Mapping[int, Slide],
        level_offset: int,
        faults: Faults,
        study: Study,
        uploads: Uploads,
        complain: Callable[[str], None],
    ) -> None:
        self._complain = complain
        self._slides = slides
        self._level_offset = level_offset
        self._faults = faults
        self._study = study
        self._uploads = uploads
        self._cookies: dict[str, str] = {}  # cookiePart by urlPart
        self.endpoints: dict[str, Callable[[Request], Reply]] = {
            "GetImageMetadata": self._image_metadata,
            "GetScreenshot": self._screenshot,
            "GetRawTile": self._raw_tile,
            "GetTileServer": self._tile_server,
            "GetSlideDetails": self._slide_details,
            "CreateOrphanAnno2": self._create_orphan_anno2,
            "CreateAnno2": self._create_anno2,
            "FinishUpload": self._finish_upload,
            "UploadResults": lambda request: _json(study.upload_results(_text(request, "results"))),
            "Scores": lambda request: _json(study.matching(request.params)),
            "Questions": lambda _: _json([{"name": name, "typeName": kind} for name, kind in study.questions.items()]),
            "Studies": lambda _: _json([{"id": STUDY_ID, "name": "Study"}]),
            "Cases": lambda _: _json([{"id": CASE_ID, "name": "Case"}]),
            "Images": lambda _: _json([{"id": number, "name": slide.name} for number, slide in slides.items()]),
        }

    def image_server(self, request: Request) -> Reply | None:
        """DeepZoom under /i/{imageId}/{urlPart}/, with the cookie that GetTileServer gave; None for other paths."""
        found = IMAGE_SERVER.fullmatch(request.path)
        if found is None:
            return None
        image, part, level, column, row = found.groups()
        if part not in self._cookies:
            return Reply(503)
        cookie = http.cookies.SimpleCookie(request.headers.get("Cookie", "")).get("t")
        if cookie is None or cookie.value != self._cookies[part]:
            raise _refused(403, "a tile without the cookie of GetTileServer")
        slide = self._slide(int(image))
        if level is None:
            text = DZI.format(tile=pixels.TILE_PX, width=slide.width, height=slide.height)
            return Reply(body=text.encode(), content_type="application/xml")
        tile = pixels.tile(slide, int(level), int(column), int(row))
        return Reply(404) if tile is None else self._picture(tile)

    def _image_metadata(self, request: Request) -> Reply:
        slide = self._slide(_number(request, "imageid"))
        if "not_json" in self._faults:
            return LOGIN_PAGE
        if "success_false" in self._faults:
            return _failure("The image could not be opened.")
        return _json({"success": True, "metadata": pixels.metadata(slide)})

    def _screenshot(self, request: Request) -> Reply:
        """The region at scale 2^(level - Lmax), at most 1; the whole slide without x, y, width and height."""
        slide = self._slide(_number(request, "imageid"))
        box = (0, 0, slide.width, slide.height)
        if any(key in request.params for key in REGION):
            box = _box(request)
        level = _number(request, "level")
        scale = 2.0 ** min(0, level - pixels.full_level(slide) - self._level_offset)
        shown = _region(slide, *box)
        width, height = (max(1, round(side * scale)) for side in box[2:])
        if max(width, height) > MAX_SIDE_PX:
            self._complain(f"a screenshot of {width} x {height} px, {MAX_SIDE_PX} px a side are safe")
        shot = pixels.resized(shown, width, height)
        return self._picture(shot if request.params.get("showscalebar") == "false" else pixels.with_scalebar(shot))

    def _raw_tile(self, request: Request) -> Reply:
        """width x height px of a level (an index into `downsamples`), from level-0 pixel x, y on."""
        slide = self._slide(_number(request, "imageid"))
        _number(request, "studyid")
        x, y, width, height = _box(request)
        if max(width, height) > MAX_SIDE_PX:
            raise _refused(400, f"a raw tile of {width} x {height} px, at most {MAX_SIDE_PX} px a side are served")
        level, factors = _number(request, "level"), pixels.downsamples(slide)
        if not 0 <= level < len(factors):
            raise _refused(400, f"a raw tile of level {level}, the slide has {len(factors)}")
        quality = _number(request, "jpegquality")
        if not 1 <= quality <= 100:
            raise _refused(400, f"a raw tile of JPEG quality {quality}")
        covered = _region(slide, x, y, width * factors[level], height * factors[level])
        return self._picture(pixels.resized(covered, width, height), quality)

    def _tile_server(self, request: Request) -> Reply:
        self._slide(_number(request, "imageid"))
        part = secrets.token_hex(16)
        self._cookies[part] = secrets.token_hex(16)
        expiry = (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _json({"cookiePart": self._cookies[part], "urlPart": part, "expiresOn": expiry})

    def _slide_details(self, request: Request) -> Reply:
        image = _number(request, "imageid")
        return _json({"imageID": image, "studyID": STUDY_ID, "name": self._slide(image).name})

    def _create_orphan_anno2(self, _: Request) -> Reply:
        if "create_refused" in self._faults:
            return _failure("Annotations cannot be created.")
        return _json(self._uploads.announce())

    def _create_anno2(self, request: Request) -> Reply:
        self._slide(_number(request, "imageid"))
        _number(request, "studyid")
        _text(request, "email")
        if "scoreid" not in request.params and request.params.get("question") not in self._study.questions:
            return _failure("Neither a score nor a question of this study was given.")
        return self._create_orphan_anno2(request)

    def _finish_upload(self, request: Request) -> Reply:
        if "finish_refused" in self._faults:
            return _json("Upload failed")
        return _json(self._uploads.finish(_text(request, "id"), _text(request, "token")))

    def _slide(self, image: int) -> Slide:
        if image not in self._slides:
            raise _refused(404, f"image {image} does not exist")
        return self._slides[image]

    def _picture(self, shown: Pixels, quality: int = 85) -> Reply:
        if "small_pictures" in self._faults:
            shown = pixels.resized(shown, min(shown.shape[1], SMALL_PX), min(shown.shape[0], SMALL_PX))
        if "html_instead_of_jpeg" in self._faults:
            return LOGIN_PAGE
        if "png_instead_of_jpeg" in self._faults:
            return Reply(body=pixels.png(shown), content_type="image/png")
        jpeg = pixels.jpeg(shown, quality)
        if "truncated_jpeg" in self._faults:
            jpeg = jpeg[: len(jpeg) // 2]
        oversized = OVERSIZED_BYTES if "oversized_picture" in self._faults else None
        return Reply(body=jpeg, content_type="image/jpeg", announced_bytes=oversized)


def _json(answer: object) -> Reply:
    return Reply(body=json.dumps(answer, separators=(",", ":")).encode())


def _failure(error: str) -> Reply:
    return _json({"success": False, "error": error})


def _refused(status: int, violation: str) -> Refused:
    return Refused(violation, Reply(status, violation.encode(), "text/plain"))


def _text(request: Request, key: str) -> str:
    if key not in request.params:
        raise _refused(400, f"{request.path} without {key}")
    return request.params[key]


def _number(request: Request, key: str) -> int:
    text = _text(request, key)
    try:
        return int(text)
    except ValueError:
        raise _refused(400, f"{request.path}: {key} is not a whole number") from None


def _box(request: Request) -> tuple[int, int, int, int]:
    x, y, width, height = (_number(request, key) for key in REGION)
    if width <= 0 or height <= 0:
        raise _refused(400, f"{request.path}: a region of {width} x {height} px")
    return x, y, width, height


def _region(slide: Slide, x: int, y: int, width: int, height: int) -> Pixels:
    if width * height > MAX_REGION_PX:
        raise _refused(400, f"a region of {width} x {height} px of the slide is more than this server draws")
    return pixels.region(slide, x, y, width, height)
