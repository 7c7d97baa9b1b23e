"""The simulated Slide Score server, over real sockets: what it answers, and what it refuses and notes."""

from __future__ import annotations

import numpy as np
import pytest
import urllib3
from slidescore_client import IMAGE, Client, difference, gradient, picture
from urllib3.exceptions import HTTPError

from local.simulators.slidescore import SlideScore
from local.slides import Slide

pytestmark = pytest.mark.thorough


class TestRequests:
    def test_query_string_form_body_and_form_body_on_get_are_the_same(self, server, client):
        form = {"body": f"imageid={IMAGE}".encode(), "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
        path, query = "/Api/GetImageMetadata", f"?imageid={IMAGE}"
        replies = [client.request("GET", path + query), client.request("POST", path + query)]
        replies += [client.request("GET", path, **form), client.request("POST", path, **form)]
        assert [reply.status for reply in replies] == [200] * 4
        assert len({reply.data for reply in replies}) == 1
        assert [call.params for call in server.calls] == [{"imageid": str(IMAGE)}] * 4

    @pytest.mark.parametrize("header", ["", "Bearer unknown"])
    def test_without_a_known_token_it_is_401(self, client, header):
        assert client.request("GET", "/Api/Studies", headers={"Authorization": header}).status == 401

    def test_an_unknown_endpoint_and_a_chunked_body_are_violations(self, server, client):
        assert client.api("SetAnswer").status == 404
        assert server.violations == ["unknown endpoint GET /Api/SetAnswer"]
        assert client.request("POST", "/Api/CreateOrphanAnno2", body=iter([b"a=b"])).status == 411
        assert len(server.violations) == 2

    def test_seven_requests_at_once_are_a_violation_and_six_are_not(self, server, client):
        def held() -> urllib3.connection.HTTPConnection:
            host, _, port = server.origin.removeprefix("http://").partition(":")
            connection = urllib3.connection.HTTPConnection(host, int(port))
            connection.request("GET", f"/Api/GetScreenshot?imageid={IMAGE}&level=9", headers=bearer)
            return connection

        bearer = {"Authorization": f"Bearer {client.token}"}
        server.faults.add("slow_pixels")
        connections = [held() for _ in range(6)]
        server.wait_for_calls(6)
        assert server.violations == []
        connections.append(held())
        server.wait_for_calls(7)
        assert server.violations == ["7 requests at once, 6 are allowed"]
        for connection in connections:
            connection.close()
        assert client.api("GetImageMetadata", imageid=IMAGE).status == 200
        assert len(server.violations) == 1

    @pytest.mark.parametrize("slide", [Slide("broken", np.zeros((4, 4), dtype=np.uint8))])
    def test_a_failure_of_the_server_itself_is_on_record(self, server, client):
        with pytest.raises(HTTPError):
            client.screenshot()
        (violation,) = server.violations
        assert violation.startswith("the simulated server itself failed")

    @pytest.mark.parametrize(
        "row", ["1\tgradient\ta@example.org\tUnheard of\tx", "too\tfew", "seven\tgradient\ta@example.org\tComment\tx"]
    )
    def test_results_that_make_no_sense_are_refused_as_a_whole(self, server, client, row):
        good = f"\n{IMAGE}\tgradient\ta@example.org\tComment\tfine\n"
        answer = client.api("UploadResults", "POST", studyid=1, results=good + row).json()
        assert (answer["success"], bool(answer["log"]), server.scores) == (False, True, [])


class TestMetadata:
    def test_of_levels_and_scale(self, client):
        metadata = client.api("GetImageMetadata", imageid=IMAGE).json()["metadata"]
        assert (metadata["levelWidths"], metadata["levelHeights"]) == ([700, 350, 175], [500, 250, 125])
        assert (metadata["downsamples"], metadata["levelCount"]) == ([1.0, 2.0, 4.0], 3)
        assert metadata["mppX"] == 0.25 != metadata["mppY"]

    @pytest.mark.parametrize(("image", "status"), [("8", 404), ("seven", 400), ("", 400)])
    def test_of_an_image_that_does_not_exist_is_refused(self, client, image, status):
        assert client.api("GetImageMetadata", imageid=image).status == status


def raw_tile(client: Client, **fields: object) -> urllib3.BaseHTTPResponse:
    region = {"studyid": 1, "imageId": IMAGE, "level": 0, "x": 0, "y": 0, "width": 64, "height": 64}
    return client.api("GetRawTile", **(region | {"jpegQuality": 90} | fields))


class TestPixels:
    @pytest.mark.parametrize("offset", [0, 2])
    def test_scale_halves_with_each_level_below_full_resolution(self, slide, offset):
        with SlideScore({IMAGE: slide}, level_offset=offset) as server:
            client, full = Client(server), 10 + offset  # 2^10 is the first power of two that holds 700
            sides = {
                level: picture(client.screenshot(width=200, height=100, level=full + level)).shape[:2]
                for level in (-2, -1, 0, 1, 5)
            }
        assert sides == {-2: (25, 50), -1: (50, 100), 0: (100, 200), 1: (100, 200), 5: (100, 200)}

    @pytest.mark.parametrize(("level", "side"), [(10**9, 64), (-(10**9), 1)])
    def test_of_an_absurd_level_are_as_large_or_small_as_can_be(self, client, level, side):
        assert picture(client.screenshot(level=level)).shape == (side, side, 3)

    def test_off_the_slide_are_white(self, slide, client):
        shown = picture(client.screenshot(x=-16, y=484, width=64, height=64))
        assert difference(shown[:16, 16:], slide.pixels[484:500, :48]) < 3
        assert shown[24:].min() > 250
        assert shown[:, :8].min() > 250

    def test_of_a_screenshot_are_at_most_2000_in_a_row(self):
        with SlideScore({IMAGE: gradient(2400, 100)}) as server:
            client = Client(server)
            assert picture(client.screenshot(width=2001, height=10)).shape[:2] == (10, 2001)
            assert len(server.violations) == 1
            assert picture(client.screenshot(width=2400, height=10, level=11)).shape[:2] == (5, 1200)
            assert len(server.violations) == 1

    def test_of_a_raw_tile_are_of_its_level_at_a_place_in_slide_pixels(self, slide, client):
        shown = picture(raw_tile(client, level=1, x=100, y=60, width=80, height=40))
        assert difference(shown, slide.pixels[60:140:2, 100:260:2]) < 3

    @pytest.mark.parametrize(
        ("ask", "wrong"),
        [
            *((Client.screenshot, wrong) for wrong in ({"width": 0}, {"x": "1.5"}, {"level": ""}, {"width": 10**9})),
            *((raw_tile, wrong) for wrong in ({"width": 2001}, {"height": 0}, {"level": 3}, {"level": -1})),
            (raw_tile, {"jpegQuality": 0}),
        ],
    )
    def test_of_an_impossible_region_are_refused(self, server, client, ask, wrong):
        assert ask(client, **wrong).status == 400
        assert len(server.violations) == 1


class TestUploads:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Tus-Resumable": "0.2.2"}, 412),
            ({"Upload-Length": ""}, 400),
            ({"Upload-Metadata": "uploadtoken not-base64!"}, 400),
            ({"Upload-Metadata": ""}, 401),
        ],
    )
    def test_creation_against_the_protocol(self, server, client, headers, status):
        good = {"Upload-Length": "10"} | client.metadata(client.create()[0], client.token)
        assert client.tus("POST", "/files/", good | headers).status == status
        assert len(server.violations) == 1

    def test_need_both_tokens_while_they_are_valid(self, server, client):
        def status(*tokens: str) -> int:
            return client.tus("POST", "/files", {"Upload-Length": "10"} | client.metadata(*tokens)).status

        upload_token, _ = client.create()
        assert status("FEUother", client.token) == status(upload_token, "other") == 401
        without = "an upload without a valid {} in Upload-Metadata"
        assert server.violations == [without.format("uploadtoken"), without.format("apitoken")]
        assert status(upload_token, client.token) == 201
        client.api("GiveUpToken", "POST")
        assert status(upload_token, client.token) == 401
        assert (client.api("Studies").status, Client(server).api("Studies").status) == (401, 200)
        assert server.violations[-1] == "a token was used after it was given up"

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
    def test_pieces_against_the_protocol(self, server, client, headers, body, status):
        location = client.start_upload(client.create()[0], 10).headers["Location"]
        good = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        assert client.tus("PATCH", location, good | headers, body).status == status
        assert client.offset(location) == 0
        assert len(server.violations) == 1

    def test_are_finished_when_they_are_complete_and_with_their_own_token(self, server, client):
        upload_token, _ = client.create()
        location = client.start_upload(upload_token, 10).headers["Location"]
        assert client.finish(location, upload_token).json() == "Upload is not complete"
        assert client.finish(location, client.create()[0]).json() == "Upload not found"
        assert server.annos == {}
