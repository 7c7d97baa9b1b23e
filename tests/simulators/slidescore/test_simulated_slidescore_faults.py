"""Each fault of the simulated Slide Score server does what its name says, and nothing once it is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from slidescore_client import IMAGE, Client, anno2_zip
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

pytestmark = pytest.mark.thorough

EVERYWHERE = [
    ("GET", f"/Api/GetImageMetadata?imageid={IMAGE}"),
    ("GET", f"/Api/GetScreenshot?imageid={IMAGE}&level=9"),
    ("POST", "/Api/CreateOrphanAnno2"),
    ("POST", "/files/"),
    ("POST", "/Api/GiveUpToken"),
]
PIXELS = [EVERYWHERE[1], ("GET", f"/Api/GetRawTile?studyid=1&imageid={IMAGE}&level=0&x=0&y=0&width=9&height=9")]


class TestOfTheWholeServer:
    @pytest.mark.parametrize(("fault", "status"), [("http_500", 500), ("rejects_token", 401), ("redirects", 302)])
    def test_every_request_is_answered_so(self, server, client, fault, status):
        server.faults.add(fault)
        assert [client.request(*request).status for request in EVERYWHERE] == [status] * len(EVERYWHERE)

    def test_slow_carries_out_and_never_answers(self, server, client):
        server.faults.add("slow")
        with pytest.raises(ReadTimeoutError):
            client.request("POST", "/Api/GiveUpToken", timeout=0.05)
        server.faults.discard("slow")
        assert server.given_up == [client.token]
        assert client.api("Studies").status == 401

    def test_held_requests_end_with_the_server(self, server, client):
        server.faults.add("slow")
        with ThreadPoolExecutor() as pool:
            held = pool.submit(client.api, "Studies")
            server.wait_for_calls(1)
            server.stop()
            with pytest.raises(ProtocolError):
                held.result()

    def test_503_comes_once_for_each_endpoint(self, server, client):
        server.faults.add("http_503_once")
        assert [client.screenshot().status for _ in range(3)] == [503, 200, 200]
        assert [client.api("GetImageMetadata", imageid=IMAGE).status for _ in range(2)] == [503, 200]

    def test_a_redirect_points_at_the_other_origin_with_path_and_query(self, server, client):
        server.faults.add("redirects")
        location = client.request("GET", "/Api/GetImageMetadata?imageid=7").headers["Location"]
        assert location == f"{server.other_origin}/Api/GetImageMetadata?imageid=7"
        assert server.other_origin != server.origin
        assert server.other_origin_calls == []


class TestOfPixels:
    def test_pixels_alone_can_be_slow_or_redirected(self, server, client):
        server.faults = {"redirects_pixels"}
        assert [client.request(*request).status for request in PIXELS] == [302, 302]
        assert client.api("Studies").status == 200
        server.faults = {"slow_pixels"}
        for method, path in PIXELS:
            with pytest.raises(ReadTimeoutError):
                client.request(method, path, timeout=0.05)
        assert client.api("Studies").status == 200

    def test_a_truncated_jpeg_is_the_first_half(self, server, client):
        whole = client.screenshot().data
        server.faults.add("truncated_jpeg")
        reply = client.screenshot()
        assert (reply.data, reply.headers["Content-Type"]) == (whole[: len(whole) // 2], "image/jpeg")

    def test_png_shows_the_same_picture(self, server, client):
        server.faults.add("png_instead_of_jpeg")
        reply = client.screenshot()
        assert reply.headers["Content-Type"] == "image/png"
        decoded = cv2.imdecode(np.frombuffer(reply.data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(decoded, server.slides[IMAGE].pixels[:64, :64])

    def test_an_oversized_picture_announces_8_gib(self, server, client):
        server.faults.add("oversized_picture")
        reply = client.request(*EVERYWHERE[1], preload_content=False)
        assert int(reply.headers["Content-Length"]) == 8 << 30
        with pytest.raises(HTTPError):
            reply.read()


class TestOfAnswers:
    @pytest.mark.parametrize(
        ("fault", "endpoint", "start"),
        [
            ("not_json", "GetImageMetadata", b"<"),
            ("success_false", "GetImageMetadata", b'{"success":false,"error":'),
            ("html_instead_of_jpeg", "GetScreenshot", b"<"),
            ("create_refused", "CreateOrphanAnno2", b'{"success":false,"error":'),
        ],
    )
    def test_the_answer_is_another_one_with_status_200(self, server, client, fault, endpoint, start):
        server.faults.add(fault)
        reply = client.api(endpoint, imageid=IMAGE, level=9)
        assert (reply.status, reply.data[: len(start)]) == (200, start)

    def test_giving_up_fails_and_is_on_record(self, server, client):
        server.faults.add("give_up_fails")
        assert client.api("GiveUpToken", "POST").status == 500
        assert client.api("Studies").status == 200
        assert server.given_up == [client.token]


CONTENT = anno2_zip(padding=1000)


class TestOfUploads:
    def started(self, client: Client) -> tuple[str, str]:
        """The Location and the uploadToken of an upload of CONTENT."""
        upload_token, _ = client.create()
        return client.start_upload(upload_token, len(CONTENT)).headers["Location"], upload_token

    @pytest.mark.parametrize("fault", ["absolute_location", "no_location"])
    def test_the_location_is_absolute_or_absent(self, server, client, fault):
        server.faults.add(fault)
        location = client.start_upload(client.create()[0], 10).headers.get("Location", "")
        assert location.startswith(f"{server.origin}/files/") == (fault == "absolute_location")

    def test_a_broken_upload_keeps_half_and_can_be_resumed(self, server, client):
        server.faults.add("upload_breaks")
        location, upload_token = self.started(client)
        with pytest.raises(HTTPError):
            client.patch(location, 0, CONTENT)
        stored = client.offset(location)
        assert stored == len(CONTENT) // 2
        assert client.patch(location, stored, CONTENT[stored:]).status == 204
        assert client.finish(location, upload_token).json() == "OK"
        assert list(server.annos.values()) == [CONTENT]
        assert server.violations == []

    def test_an_upload_that_never_works_keeps_nothing(self, server, client):
        server.faults.add("upload_never_works")
        location, _ = self.started(client)
        for _ in range(3):
            with pytest.raises(HTTPError):
                client.patch(location, 0, CONTENT)
        assert client.offset(location) == 0

    def test_a_conflict_comes_after_the_bytes_were_taken(self, server, client):
        server.faults.add("upload_conflict")
        location, upload_token = self.started(client)
        assert client.patch(location, 0, CONTENT[:400]).status == 409
        assert client.offset(location) == 400
        assert client.patch(location, 400, CONTENT[400:]).status == 204
        assert client.finish(location, upload_token).json() == "OK"
        assert server.violations == []

    def test_a_foreign_location_takes_what_it_is_sent(self, server, client):
        server.faults.add("foreign_location")
        location, _ = self.started(client)
        assert location.startswith(f"{server.other_origin}/files/")
        assert client.patch(location, 0, CONTENT).headers["Upload-Offset"] == str(len(CONTENT))
        assert [call.method for call in server.other_origin_calls] == ["PATCH"]

    def test_finishing_is_refused_with_a_bare_string(self, server, client):
        location, upload_token = self.started(client)
        client.patch(location, 0, CONTENT)
        server.faults.add("finish_refused")
        reply = client.finish(location, upload_token)
        assert (reply.status, type(reply.json()), reply.json() == "OK") == (200, str, False)
        assert server.annos == {}
