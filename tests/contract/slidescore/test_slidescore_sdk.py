"""The vendor's own client, slidescore-sdk, works against the simulated Slide Score server as against a real one."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests
import slidescore
from numpy.typing import NDArray
from slidescore.lib.Decoder import Decoder

from local.simulators.slidescore import SlideScore
from local.slides import Slide

STUDY, IMAGE = 1, 7
SQUARES = [
    {"type": "polygon", "points": [{"x": x + dx, "y": y + dy} for dx, dy in ((0, 0), (9, 0), (9, 9), (0, 9))]}
    for x in range(10, 600, 50)
    for y in range(10, 400, 50)
]
RESULT = {"id": -1, "imageID": IMAGE, "imageName": "gradient", "user": "a@example.org"}


@pytest.fixture
def slide() -> Slide:
    rows, columns = np.mgrid[0:500, 0:700]
    pixels = np.stack([columns * 255 // 700, rows * 255 // 500, columns * 0 + 128], -1)
    return Slide("gradient", pixels.astype(np.uint8), 0.25)


@pytest.fixture
def server(slide: Slide) -> Iterator[SlideScore]:
    with SlideScore({IMAGE: slide}) as server:
        yield server


@pytest.fixture
def client(server: SlideScore) -> slidescore.APIClient:
    return slidescore.APIClient(f"{server.origin}/", server.token())


def shown(response: requests.Response) -> NDArray[np.uint8]:
    assert b"JFIF" in response.content
    bgr = cv2.imdecode(np.frombuffer(response.content, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(bgr[..., ::-1])


def difference(picture: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    assert picture.shape == expected.shape
    return float(np.abs(picture.astype(int) - expected).mean())


def test_metadata_has_the_keys_that_the_sdks_own_tests_ask_for(
    client: slidescore.APIClient, server: SlideScore
) -> None:
    answer = client.perform_request("GetImageMetadata", {"imageid": IMAGE}).json()
    assert answer["success"]
    metadata = answer["metadata"]
    keys = {"level0TileWidth", "level0TileHeight", "mppX", "levelCount", "levelHeights", "osdTileSize"}
    assert keys <= metadata.keys()
    assert (metadata["level0Width"], metadata["level0Height"]) == (700, 500)
    assert server.calls[0].params == {"imageid": str(IMAGE)}


def test_screenshot_of_a_region(client: slidescore.APIClient, slide: Slide) -> None:
    region = {"x": 100, "y": 200, "width": 300, "height": 150, "level": 15, "showScalebar": "false"}
    response = client.perform_request("GetScreenshot", {"imageid": IMAGE} | region)
    assert response.headers["Content-Type"] == "image/jpeg"
    assert difference(shown(response), slide.pixels[200:350, 100:400]) < 3


def test_screenshot_of_the_whole_slide(client: slidescore.APIClient, tmp_path: Path) -> None:
    client.get_screenshot_whole(IMAGE, "a@example.org", "ROI", tmp_path / "slide.jpeg")
    picture = cv2.imread(str(tmp_path / "slide.jpeg"))
    assert picture is not None
    assert picture.shape == (500, 700, 3)


def test_raw_tile(client: slidescore.APIClient, slide: Slide) -> None:
    tile = client.get_raw_tile(STUDY, IMAGE, 0, 50, 60, 250, 200, 90)
    assert difference(shown(tile), slide.pixels[60:260, 50:300]) < 3


def test_lists(client: slidescore.APIClient) -> None:
    assert [study["id"] for study in client.get_studies()] == [STUDY]
    assert [image["id"] for image in client.get_images(STUDY)] == [IMAGE]
    assert len(client.get_cases(STUDY)) == 1
    assert "ROI" in [question["name"] for question in client.perform_request("Questions", {"studyId": STUDY}).json()]


def test_polygons_reach_the_server_as_anno2(client: slidescore.APIClient, server: SlideScore, tmp_path: Path) -> None:
    path = str(tmp_path / "squares.zip")
    client.convert_to_anno2(SQUARES, {"made by": "test"}, path)
    created = client.perform_request("CreateOrphanAnno2", {}, method="POST").json()
    assert created["success"]
    client.upload_using_token(path, created["uploadToken"])
    with zipfile.ZipFile(io.BytesIO(server.annos[created["annoUUID"]])) as anno2:
        decoder = Decoder(anno2)
        decoder.decode()
    vertices = [decoder.items[index]["positiveVertices"] for index in range(len(decoder.items))]
    outlines = [[{"x": x, "y": y} for x, y in outline] for outline in vertices]
    assert outlines == [square["points"] for square in SQUARES]
    assert server.violations == []


def test_an_upload_of_more_than_10_mb_takes_several_pieces(
    client: slidescore.APIClient, server: SlideScore, tmp_path: Path
) -> None:
    path = tmp_path / "large.zip"
    content = random.Random(1).randbytes(25_000_000)
    with zipfile.ZipFile(path, "w") as anno2:
        anno2.writestr("system_metadata.json", '{"version": "0.2.0", "type": "points", "numItems": 1}')
        anno2.writestr("content", content)
    created = client.create_anno2(STUDY, None, IMAGE, None, None, "ROI", "a@example.org")
    client.upload_using_token(str(path), created["uploadToken"])
    assert server.annos[created["annoUUID"]] == path.read_bytes()
    pieces = [int(call.headers["Content-Length"]) for call in server.calls if call.method == "PATCH"]
    assert pieces == [10_000_000, 10_000_000, path.stat().st_size - 20_000_000]
    assert server.violations == []


def test_what_is_wrong_is_refused(client: slidescore.APIClient, tmp_path: Path) -> None:
    (tmp_path / "junk.zip").write_bytes(b"junk")
    created = client.perform_request("CreateOrphanAnno2", {}, method="POST").json()
    with pytest.raises(slidescore.slidescore.SlideScoreErrorException, match="Failed finishing upload"):
        client.upload_using_token(str(tmp_path / "junk.zip"), created["uploadToken"])
    with pytest.raises(slidescore.slidescore.SlideScoreErrorException, match="Failed creating"):
        client.create_anno2(STUDY, None, IMAGE, None, None, "Unheard of", "a@example.org")
    wrong = slidescore.SlideScoreResult(RESULT | {"question": "Unheard of", "answer": "x"})
    with pytest.raises(slidescore.slidescore.SlideScoreErrorException, match="Unknown question"):
        client.upload_results(STUDY, [wrong])


def test_results_come_back_as_they_were_uploaded(client: slidescore.APIClient) -> None:
    answers = [{"question": "Comment", "answer": "fine"}, {"question": "Cells", "answer": '[{"x":1,"y":2}]'}]
    assert client.upload_results(STUDY, [slidescore.SlideScoreResult(RESULT | answer) for answer in answers])
    comment, cells = client.get_results(STUDY, imageid=IMAGE)
    assert (comment.image_id, comment.question, comment.answer) == (IMAGE, "Comment", "fine")
    assert comment.user == "a@example.org"
    assert cells.points == [{"x": 1, "y": 2}]
    assert [result.answer for result in client.get_results(STUDY, question="Comment")] == ["fine"]
    assert client.get_results(STUDY, email="b@example.org") == []


def test_a_token_is_of_no_use_once_given_up(client: slidescore.APIClient, server: SlideScore) -> None:
    assert client.perform_request("GiveUpToken", {}, "POST").json() == {"success": True}
    assert server.given_up == [client.api_token]
    with pytest.raises(requests.exceptions.HTTPError, match="401"):
        client.get_studies()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_500", requests.exceptions.HTTPError),
        ("rejects_token", requests.exceptions.HTTPError),
        ("not_json", requests.exceptions.JSONDecodeError),
    ],
)
def test_faults_reach_the_sdk(
    client: slidescore.APIClient, server: SlideScore, fault: str, error: type[Exception]
) -> None:
    server.faults.add(fault)
    with pytest.raises(error):
        client.perform_request("GetImageMetadata", {"imageid": IMAGE}).json()


def test_a_redirect_makes_the_sdk_tell_the_other_origin_the_token(
    client: slidescore.APIClient, server: SlideScore, tmp_path: Path
) -> None:
    """Why our own client follows none: the SDK sends Upload-Metadata, API token included, wherever it is sent."""
    (tmp_path / "junk.zip").write_bytes(b"junk")
    server.faults.add("redirects")
    with pytest.raises(Exception, match="create file url"):
        client.upload_using_token(str(tmp_path / "junk.zip"), "FEU")
    (call,) = server.other_origin_calls
    assert "apitoken " in call.headers["Upload-Metadata"]
