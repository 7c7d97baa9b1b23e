"""The simulated Slide Score server, over real sockets."""

from __future__ import annotations

import numpy as np
import pytest
import urllib3
from slidescore_client import IMAGE, Client, anno2_zip, difference, gradient, picture
from urllib3.exceptions import HTTPError

from local.simulators.slidescore import SlideScore
from local.slides import Slide

pytestmark = pytest.mark.thorough


class TestRequests:
    def test_query_string_form_body_and_form_body_on_get_are_the_same(self, server: SlideScore, client: Client) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = f"imageid={IMAGE}".encode()
        replies = [
            client.request("GET", f"/Api/GetImageMetadata?imageid={IMAGE}"),
            client.request("GET", "/Api/GetImageMetadata", body=body, headers=form),
            client.request("POST", "/Api/GetImageMetadata", body=body, headers=form),
            client.request("POST", f"/Api/GetImageMetadata?imageid={IMAGE}"),
        ]
        assert [reply.status for reply in replies] == [200] * 4
        assert len({reply.data for reply in replies}) == 1
        assert [call.params for call in server.calls] == [{"imageid": str(IMAGE)}] * 4

    @pytest.mark.parametrize("header", [{"Authorization": ""}, {"Authorization": "Bearer unknown"}])
    def test_without_a_known_token_it_is_401(self, client: Client, header: dict[str, str]) -> None:
        assert client.request("GET", f"/Api/GetImageMetadata?imageid={IMAGE}", headers=header).status == 401

    def test_an_unknown_endpoint_is_a_violation(self, server: SlideScore, client: Client) -> None:
        assert client.api("SetAnswer").status == 404
        assert server.violations == ["unknown endpoint GET /Api/SetAnswer"]

    def test_a_chunked_body_is_a_violation(self, server: SlideScore, client: Client) -> None:
        assert client.request("POST", "/Api/CreateOrphanAnno2", body=iter([b"a=b"])).status == 411
        assert len(server.violations) == 1

    def test_seven_requests_at_once_are_a_violation_and_six_are_not(self, server: SlideScore, client: Client) -> None:
        server.faults.add("slow_pixels")
        url = f"/Api/GetScreenshot?imageid={IMAGE}&level=9"
        held = [_send(client, url) for _ in range(6)]
        server.wait_for_calls(6)
        assert server.violations == []
        seventh = _send(client, url)
        server.wait_for_calls(7)
        assert server.violations == ["7 requests at once, 6 are allowed"]
        for connection in [*held, seventh]:
            connection.close()
        assert client.api("GetImageMetadata", imageid=IMAGE).status == 200
        assert len(server.violations) == 1

    @pytest.mark.parametrize("slide", [Slide("broken", np.zeros((4, 4), dtype=np.uint8))])
    def test_a_failure_of_the_server_itself_is_on_record(self, server: SlideScore, client: Client) -> None:
        with pytest.raises(HTTPError):
            client.screenshot()
        (violation,) = server.violations
        assert violation.startswith("the simulated server itself failed")


class TestMetadata:
    def test_describes_the_slide(self, client: Client) -> None:
        answer = client.api("GetImageMetadata", imageid=IMAGE).json()
        metadata = answer["metadata"]
        assert answer["success"] is True
        assert (metadata["level0Width"], metadata["level0Height"]) == (700, 500)
        assert (metadata["levelWidths"], metadata["levelHeights"]) == ([700, 350, 175], [500, 250, 125])
        assert metadata["downsamples"] == [1.0, 2.0, 4.0]
        assert metadata["levelCount"] == 3
        assert metadata["mppX"] == 0.25
        assert metadata["mppX"] != metadata["mppY"]
        assert metadata["objectivePower"] == 40
        assert metadata["backgroundColor"] is None

    def test_of_a_slide_without_scale(self, slide: Slide) -> None:
        with SlideScore({1: Slide("no scale", slide.pixels)}) as server:
            metadata = Client(server).api("GetImageMetadata", imageid=1).json()["metadata"]
        assert (metadata["mppX"], metadata["mppY"], metadata["objectivePower"]) == (None, None, 0)

    @pytest.mark.parametrize(("image", "status"), [("8", 404), ("seven", 400), ("", 400)])
    def test_of_an_image_that_does_not_exist_is_refused(self, client: Client, image: str, status: int) -> None:
        assert client.api("GetImageMetadata", imageid=image).status == status


class TestScreenshots:
    @pytest.mark.parametrize("offset", [0, 1, 2])
    def test_scale_halves_with_each_level_below_full_resolution(self, slide: Slide, offset: int) -> None:
        with SlideScore({IMAGE: slide}, level_offset=offset) as server:
            client, full = Client(server), 10 + offset  # 2^10 is the first power of two that holds 700
            sides = {
                level: picture(client.screenshot(width=200, height=100, level=full + level)).shape[:2]
                for level in (-2, -1, 0, 1, 5)
            }
        assert sides == {-2: (25, 50), -1: (50, 100), 0: (100, 200), 1: (100, 200), 5: (100, 200)}

    @pytest.mark.parametrize(("level", "shape"), [(10**9, (64, 64, 3)), (-(10**9), (1, 1, 3))])
    def test_of_an_absurd_level_is_as_large_or_small_as_can_be(
        self, client: Client, level: int, shape: tuple[int, ...]
    ) -> None:
        assert picture(client.screenshot(level=level)).shape == shape

    def test_is_white_off_the_slide(self, slide: Slide, client: Client) -> None:
        shown = picture(client.screenshot(x=-16, y=484, width=64, height=64))
        assert difference(shown[:16, 16:], slide.pixels[484:500, :48]) < 3
        assert shown[24:].min() > 250
        assert shown[:, :8].min() > 250

    def test_without_a_region_shows_the_whole_slide(self, slide: Slide, client: Client) -> None:
        shown = picture(client.api("GetScreenshot", imageid=IMAGE, level=9, showScalebar="false"))
        assert difference(shown, slide.pixels[::2, ::2]) < 3

    def test_has_a_scalebar_unless_told_otherwise(self, client: Client) -> None:
        with_bar, without = (picture(client.screenshot(showScalebar=shown)) for shown in ("true", "false"))
        darker = without.sum(axis=2, dtype=int) - with_bar.sum(axis=2, dtype=int) > 100
        assert darker[60:].any()
        assert not darker[:56].any()

    @pytest.mark.parametrize("wrong", [{"width": 0}, {"height": -5}, {"x": "1.5"}, {"level": ""}, {"width": 10**9}])
    def test_of_an_impossible_region_is_refused(
        self, server: SlideScore, client: Client, wrong: dict[str, object]
    ) -> None:
        assert client.screenshot(**wrong).status == 400
        assert len(server.violations) == 1

    def test_larger_than_2000_px_is_answered_and_a_violation(self) -> None:
        with SlideScore({IMAGE: gradient(2400, 100)}) as server:
            client = Client(server)
            assert picture(client.screenshot(width=2001, height=10)).shape[:2] == (10, 2001)
            assert len(server.violations) == 1
            assert picture(client.screenshot(width=2400, height=10, level=11)).shape[:2] == (5, 1200)
            assert len(server.violations) == 1


class TestRawTiles:
    def raw_tile(self, client: Client, **fields: object) -> urllib3.BaseHTTPResponse:
        region = {"studyid": 1, "imageId": IMAGE, "level": 0, "x": 0, "y": 0, "width": 64, "height": 64}
        return client.api("GetRawTile", **(region | {"jpegQuality": 90} | fields))

    def test_position_is_in_slide_pixels_and_size_in_pixels_of_the_level(self, slide: Slide, client: Client) -> None:
        shown = picture(self.raw_tile(client, level=1, x=100, y=60, width=80, height=40))
        assert difference(shown, slide.pixels[60:140:2, 100:260:2]) < 3

    @pytest.mark.parametrize(
        "wrong", [{"width": 2001}, {"height": 0}, {"width": -1}, {"level": 3}, {"level": -1}, {"jpegQuality": 0}]
    )
    def test_of_an_impossible_size_or_level_is_refused(
        self, server: SlideScore, client: Client, wrong: dict[str, object]
    ) -> None:
        assert self.raw_tile(client, **wrong).status == 400
        assert len(server.violations) == 1


class TestUploads:
    @pytest.mark.parametrize("path", ["/files", "/files/"])
    def test_in_several_pieces(self, server: SlideScore, client: Client, path: str) -> None:
        content = anno2_zip(padding=5000)
        upload_token, anno = client.create()
        started = client.start_upload(upload_token, len(content), path)
        location = started.headers["Location"]
        assert (started.status, started.headers["Tus-Resumable"]) == (201, "1.0.0")
        assert location.startswith("/files/")
        for offset in range(0, len(content), 2000):
            assert client.offset(location) == offset
            assert client.patch(location, offset, content[offset : offset + 2000]).status == 204
        assert anno not in server.annos
        finished = client.finish(location, upload_token)
        assert (finished.status, finished.data) == (200, b'"OK"')
        assert server.annos == {anno: content}
        assert server.violations == []

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Tus-Resumable": "0.2.2"}, 412),
            ({"Upload-Length": ""}, 400),
            ({"Upload-Metadata": "uploadtoken not-base64!"}, 400),
            ({"Upload-Metadata": ""}, 401),
        ],
    )
    def test_creation_against_the_protocol(
        self, server: SlideScore, client: Client, headers: dict[str, str], status: int
    ) -> None:
        good = {"Upload-Length": "10"} | client.metadata(client.create()[0], client.token)
        assert client.tus("POST", "/files/", good | headers).status == status
        assert len(server.violations) == 1

    def test_needs_both_tokens(self, client: Client) -> None:
        upload_token, _ = client.create()
        for tokens in (("FEUother", client.token), (upload_token, "other")):
            reply = client.tus("POST", "/files/", {"Upload-Length": "10"} | client.metadata(*tokens))
            assert reply.status == 401

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ({"Content-Type": "application/octet-stream"}, b"1234", 415),
            ({"Upload-Offset": "1"}, b"1234", 409),
            ({"Upload-Offset": ""}, b"1234", 409),
            ({"Tus-Resumable": ""}, b"1234", 412),
            ({}, b"12345678901", 413),
        ],
    )
    def test_pieces_against_the_protocol(
        self, server: SlideScore, client: Client, headers: dict[str, str], body: bytes, status: int
    ) -> None:
        location = client.start_upload(client.create()[0], 10).headers["Location"]
        good = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        assert client.tus("PATCH", location, good | headers, body).status == status
        assert client.offset(location) == 0
        assert len(server.violations) == 1

    def test_that_are_incomplete_are_not_finished(self, server: SlideScore, client: Client) -> None:
        upload_token, _ = client.create()
        location = client.start_upload(upload_token, 10).headers["Location"]
        assert client.finish(location, upload_token).json() == "Upload is not complete"
        assert server.annos == {}

    def test_of_something_else_are_not_finished(self, server: SlideScore, client: Client) -> None:
        upload_token, _ = client.create()
        location = client.start_upload(upload_token, 4).headers["Location"]
        client.patch(location, 0, b"junk")
        assert client.finish(location, upload_token).json() == "Not an anno2 zip"
        assert server.annos == {}

    def test_are_finished_with_their_own_token_only(self, client: Client) -> None:
        location = client.start_upload(client.create()[0], 0).headers["Location"]
        assert client.finish(location, client.create()[0]).json() == "Upload not found"


class TestTokens:
    def test_given_up_are_401_from_then_on(self, server: SlideScore, client: Client) -> None:
        other = Client(server)
        assert client.api("GiveUpToken", "POST").json() == {"success": True}
        assert server.given_up == [client.token]
        assert client.api("Studies").status == 401
        assert server.violations == ["a token was used after it was given up"]
        assert other.api("Studies").status == 200

    def test_given_up_cannot_start_an_upload(self, client: Client) -> None:
        upload_token, _ = client.create()
        client.api("GiveUpToken", "POST")
        assert client.start_upload(upload_token, 10).status == 401


class TestResults:
    @pytest.mark.parametrize(
        "row", ["1\tgradient\ta@example.org\tUnheard of\tx", "too\tfew", "seven\tgradient\ta@example.org\tComment\tx"]
    )
    def test_that_make_no_sense_are_refused_as_a_whole(self, server: SlideScore, client: Client, row: str) -> None:
        good = f"\n{IMAGE}\tgradient\ta@example.org\tComment\tfine\n"
        answer = client.api("UploadResults", "POST", studyid=1, results=good + row).json()
        assert answer["success"] is False
        assert answer["log"]
        assert server.scores == []


def _send(client: Client, path: str) -> urllib3.connection.HTTPConnection:
    """A connection with a request under way on it."""
    host, _, port = client.server.origin.removeprefix("http://").partition(":")
    connection = urllib3.connection.HTTPConnection(host, int(port))
    connection.request("GET", path, headers={"Authorization": f"Bearer {client.token}"})
    return connection
