"""The endpoints of the simulated server. Source: the vendor's SDK (slidescore-sdk), and docs/slidescore.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from local.listener import Refused, Reply, Request
from local.simulators.faults import Faults
from local.simulators.slidescore import pixels
from local.simulators.slidescore.study import CASE_ID, STUDY_ID, Study
from local.simulators.slidescore.uploads import Uploads
from local.slides import Pixels, Slide

MAX_SIDE_PX = 2000
MAX_REGION_PX = 1 << 28
OVERSIZED_BYTES = 8 << 30
SMALL_PX = 100  # the longest side under the fault small_pictures
REGION = ("x", "y", "width", "height")
LOGIN_PAGE = Reply(
    body=b"<!DOCTYPE html><html><body>Please log in to Slide Score.</body></html>", content_type="text/html"
)


class Api:
    """endpoints: by name. The server has authenticated a request before it calls one. complain: notes a violation."""

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
        self.endpoints: dict[str, Callable[[Request], Reply]] = {
            "GetImageMetadata": self._image_metadata,
            "GetScreenshot": self._screenshot,
            "GetRawTile": self._raw_tile,
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

    def _image_metadata(self, request: Request) -> Reply:
        slide = self._slide(_number(request, "imageid"))
        if "not_json" in self._faults:
            return LOGIN_PAGE
        if "success_false" in self._faults:
            return _failure("The image could not be opened.")
        return _json({"success": True, "metadata": pixels.metadata(slide)})

    def _screenshot(self, request: Request) -> Reply:
        """The region, or without x, y, width and height the slide. The scale is 2^(level - full level), at most 1."""
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
        """width x height px of a level (an index into `downsamples`); x, y are pixels of level 0."""
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

    def _create_orphan_anno2(self, _: Request) -> Reply:
        if "create_refused" in self._faults:
            return _failure("Annotations cannot be created.")
        return _json(self._uploads.create_anno())

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
