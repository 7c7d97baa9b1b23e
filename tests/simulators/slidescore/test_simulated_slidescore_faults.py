"""Each fault of the simulated Slide Score server does what its name says, and nothing once it is gone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import urllib3
from slidescore_client import IMAGE, Client, anno2_zip, picture
from urllib3.exceptions import HTTPError, ReadTimeoutError

from local.simulators.slidescore import FAULTS, SlideScore

pytestmark = pytest.mark.thorough

EVERYWHERE = [
    ("GET", f"/Api/GetImageMetadata?imageid={IMAGE}"),
    ("GET", f"/Api/GetScreenshot?imageid={IMAGE}&level=9"),
    ("POST", "/Api/CreateOrphanAnno2"),
    ("POST", "/files/"),
    ("POST", "/Api/GiveUpToken"),
]
PIXELS = [EVERYWHERE[1], ("GET", f"/Api/GetRawTile?studyid=1&imageid={IMAGE}&level=0&x=0&y=0&width=9&height=9")]


def starting_upload(client: Client, size: int = 1000) -> tuple[bytes, str, str]:
    """The content, the Location and the uploadToken of an upload that has just been created."""
    content = anno2_zip(padding=size)
    upload_token, _ = client.create()
    return content, client.start_upload(upload_token, len(content)).headers["Location"], upload_token


class TestNames:
    def test_an_unknown_name_is_an_error(self, server: SlideScore) -> None:
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            SlideScore({}, faults=["sloow"])
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            server.faults.add("sloow")
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            server.faults.update(["slow", "sloow"])
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            server.faults |= {"sloow"}

    def test_faults_can_be_given_at_the_start_and_replaced(self) -> None:
        with SlideScore({}, faults=FAULTS) as server:
            assert server.faults == set(FAULTS)
            server.faults = {"http_500"}
            assert Client(server).api("Studies").status == 500
            server.faults.clear()
            assert Client(server).api("Studies").status == 200


class TestOfTheWholeServer:
    @pytest.mark.parametrize(("method", "path"), EVERYWHERE)
    @pytest.mark.parametrize(("fault", "status"), [("http_500", 500), ("rejects_token", 401), ("redirects", 302)])
    def test_answer_every_request(
        self, server: SlideScore, client: Client, fault: str, status: int, method: str, path: str
    ) -> None:
        server.faults.add(fault)
        assert client.request(method, path).status == status
        assert len(server.calls) == 1

    def test_slow_carries_out_and_never_answers(self, server: SlideScore, client: Client) -> None:
        server.faults.add("slow")
        with pytest.raises(ReadTimeoutError):
            client.request("POST", "/Api/GiveUpToken", timeout=0.05)
        server.faults.discard("slow")
        assert server.given_up == [client.token]
        assert client.api("Studies").status == 401

    def test_held_requests_end_with_the_server(self) -> None:
        server = SlideScore({}, faults=["slow"])
        server.start()
        host, port = server.origin.removeprefix("http://").split(":")
        connection = urllib3.connection.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", "/Api/Studies")
        server.wait_for_calls(1)
        server.stop()
        with pytest.raises(ConnectionError):
            connection.getresponse()

    def test_503_comes_once_for_each_endpoint(self, server: SlideScore, client: Client) -> None:
        server.faults.add("http_503_once")
        assert [client.screenshot().status for _ in range(3)] == [503, 200, 200]
        assert [client.api("GetImageMetadata", imageid=IMAGE).status for _ in range(2)] == [503, 200]

    def test_a_redirect_points_at_the_other_origin_with_path_and_query(
        self, server: SlideScore, client: Client
    ) -> None:
        server.faults.add("redirects")
        location = client.request("GET", "/Api/GetImageMetadata?imageid=7").headers["Location"]
        assert location == f"{server.other_origin}/Api/GetImageMetadata?imageid=7"
        assert server.other_origin != server.origin
        assert server.other_origin_calls == []

    def test_the_other_origin_records_what_it_is_sent(self, server: SlideScore, client: Client) -> None:
        assert client.request("GET", f"{server.other_origin}/Api/Studies?a=b").status == 200
        (call,) = server.other_origin_calls
        assert (call.path, call.params) == ("/Api/Studies", {"a": "b"})
        assert call.headers["Authorization"] == f"Bearer {client.token}"


class TestOfPixels:
    @pytest.mark.parametrize(("method", "path"), PIXELS)
    def test_slow_pixels_are_never_answered_and_the_rest_is(
        self, server: SlideScore, client: Client, method: str, path: str
    ) -> None:
        server.faults.add("slow_pixels")
        with pytest.raises(ReadTimeoutError):
            client.request(method, path, timeout=0.05)
        assert client.api("GiveUpToken", "POST").status == 200

    @pytest.mark.parametrize(("method", "path"), PIXELS)
    def test_redirected_pixels_leave_the_rest_alone(
        self, server: SlideScore, client: Client, method: str, path: str
    ) -> None:
        server.faults.add("redirects_pixels")
        assert client.request(method, path).headers["Location"] == server.other_origin + path
        assert client.api("Studies").status == 200

    def test_html_comes_with_status_200(self, server: SlideScore, client: Client) -> None:
        server.faults.add("html_instead_of_jpeg")
        reply = client.screenshot()
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")
        assert b"<html>" in reply.data

    def test_a_truncated_jpeg_is_the_first_half(self, server: SlideScore, client: Client) -> None:
        whole = client.screenshot().data
        server.faults.add("truncated_jpeg")
        reply = client.screenshot()
        assert reply.data == whole[: len(whole) // 2]
        assert reply.headers["Content-Type"] == "image/jpeg"

    def test_png_shows_the_same_picture(self, server: SlideScore, client: Client) -> None:
        server.faults.add("png_instead_of_jpeg")
        reply = client.screenshot()
        assert reply.headers["Content-Type"] == "image/png"
        decoded = cv2.imdecode(np.frombuffer(reply.data, dtype=np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert np.array_equal(decoded[..., ::-1], server.slides[IMAGE].pixels[:64, :64])

    def test_an_oversized_picture_announces_8_gib(self, server: SlideScore, client: Client) -> None:
        server.faults.add("oversized_picture")
        reply = client.request(*EVERYWHERE[1], preload_content=False)
        assert int(reply.headers["Content-Length"]) == 8 << 30
        with pytest.raises(HTTPError):
            reply.read()

    def test_none_is_left_when_the_faults_are_gone(self, server: SlideScore, client: Client) -> None:
        server.faults.update(name for name in FAULTS if name != "slow_pixels")
        server.faults.clear()
        assert picture(client.screenshot()).shape == (64, 64, 3)


class TestOfAnswers:
    def test_metadata_is_not_json(self, server: SlideScore, client: Client) -> None:
        server.faults.add("not_json")
        reply = client.api("GetImageMetadata", imageid=IMAGE)
        assert (reply.status, reply.data[:1]) == (200, b"<")

    def test_metadata_without_success(self, server: SlideScore, client: Client) -> None:
        server.faults.add("success_false")
        reply = client.api("GetImageMetadata", imageid=IMAGE)
        assert (reply.status, reply.json()["success"]) == (200, False)
        assert reply.json()["error"]

    def test_creation_is_refused(self, server: SlideScore, client: Client) -> None:
        server.faults.add("create_refused")
        assert client.api("CreateOrphanAnno2", "POST").json()["success"] is False
        fields = {"studyId": 1, "imageId": IMAGE, "email": "a@example.org", "question": "ROI"}
        assert client.api("CreateAnno2", "POST", **fields).json()["success"] is False

    def test_finishing_is_refused_with_a_bare_string(self, server: SlideScore, client: Client) -> None:
        content, location, upload_token = starting_upload(client)
        client.patch(location, 0, content)
        server.faults.add("finish_refused")
        reply = client.finish(location, upload_token)
        assert (reply.status, type(reply.json())) == (200, str)
        assert reply.data != b'"OK"'
        assert server.annos == {}

    def test_giving_up_fails_and_is_on_record(self, server: SlideScore, client: Client) -> None:
        server.faults.add("give_up_fails")
        assert client.api("GiveUpToken", "POST").status == 500
        assert client.api("Studies").status == 200
        assert server.given_up == [client.token]


class TestOfUploads:
    def test_a_broken_upload_keeps_half_and_can_be_resumed(self, server: SlideScore, client: Client) -> None:
        server.faults.add("upload_breaks")
        content, location, upload_token = starting_upload(client)
        with pytest.raises(HTTPError):
            client.patch(location, 0, content)
        kept = client.offset(location)
        assert kept == len(content) // 2
        assert client.patch(location, kept, content[kept:]).status == 204
        assert client.finish(location, upload_token).json() == "OK"
        assert list(server.annos.values()) == [content]
        assert server.violations == []

    def test_a_large_upload_breaks_while_it_is_being_sent(self, server: SlideScore, client: Client) -> None:
        server.faults.add("upload_breaks")
        content, location, _ = starting_upload(client, size=9_000_000)
        with pytest.raises(HTTPError):
            client.patch(location, 0, content)
        assert client.offset(location) == len(content) // 2

    def test_starting_a_broken_upload_over_is_a_violation(self, server: SlideScore, client: Client) -> None:
        server.faults.add("upload_breaks")
        content, location, _ = starting_upload(client)
        with pytest.raises(HTTPError):
            client.patch(location, 0, content)
        assert client.patch(location, 0, content).status == 409
        assert server.violations == ["a PATCH at the wrong Upload-Offset"]

    def test_an_upload_that_never_works_keeps_nothing(self, server: SlideScore, client: Client) -> None:
        server.faults.add("upload_never_works")
        content, location, _ = starting_upload(client)
        for _ in range(3):
            with pytest.raises(HTTPError):
                client.patch(location, 0, content)
        assert client.offset(location) == 0

    def test_a_conflict_comes_after_the_bytes_were_taken(self, server: SlideScore, client: Client) -> None:
        server.faults.add("upload_conflict")
        content, location, upload_token = starting_upload(client)
        assert client.patch(location, 0, content[:400]).status == 409
        assert client.offset(location) == 400
        assert client.patch(location, 400, content[400:]).status == 204
        assert client.finish(location, upload_token).json() == "OK"
        assert server.violations == []

    def test_an_absolute_location_works(self, server: SlideScore, client: Client) -> None:
        server.faults.add("absolute_location")
        content, location, upload_token = starting_upload(client)
        assert location.startswith(f"{server.origin}/files/")
        assert client.patch(location, 0, content).status == 204
        assert client.finish(location, upload_token).json() == "OK"

    def test_a_foreign_location_takes_what_it_is_sent(self, server: SlideScore, client: Client) -> None:
        server.faults.add("foreign_location")
        content, location, _ = starting_upload(client)
        assert location.startswith(f"{server.other_origin}/files/")
        reply = client.patch(location, 0, content)
        assert reply.headers["Upload-Offset"] == str(len(content))
        assert [call.method for call in server.other_origin_calls] == ["PATCH"]

    def test_no_location(self, server: SlideScore, client: Client) -> None:
        server.faults.add("no_location")
        started = client.start_upload(client.create()[0], 10)
        assert started.status == 201
        assert "Location" not in started.headers
