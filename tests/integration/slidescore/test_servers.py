"""The servers that may be called, the failures of Slide Score, and the token, which is given up in every case."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from triggers import WITH_HOLES, accepted, refusal, trigger_body

from local import anno2
from local.simulators.slidescore import SlideScore
from local.simulators.slidescore import pixels as server_pixels

NOT_ALLOWED = (403, "The request names a server that this deployment does not allow.")
PRIVATE = (403, "The server of Slide Score is at an address that this deployment does not allow.")
Start = Callable[..., Any]
each_source_of_pixels = pytest.mark.parametrize("pixels", ["screenshots", "raw_tiles"])


def post_with_host(url: str, host: str) -> tuple[int, str]:
    reply = urllib3.request("POST", url, body=json.dumps(trigger_body(host=host)).encode(), retries=False)
    return reply.status, reply.data.decode()


class TestServer:
    def test_that_is_not_allowed_is_not_called(self, bundle: Start, slidescore: SlideScore) -> None:
        url, port = bundle().url, slidescore.origin.rpartition(":")[2]
        for host in (
            slidescore.other_origin,
            f"{slidescore.origin}@{slidescore.other_origin.removeprefix('http://')}",
            f"{slidescore.other_origin}/{slidescore.origin}",
            f"{slidescore.other_origin}#{slidescore.origin}",
            f"http://127.1:{port}",
            f"http://localhost:{port}",
            f"http://[::1]:{port}",
            f"https://127.0.0.1:{port}",
            slidescore.origin.removeprefix("http:"),
            "file:///etc/passwd",
            "http://169.254.169.254",
        ):
            assert post_with_host(url, host) == NOT_ALLOWED, host
        assert slidescore.calls == slidescore.other_origin_calls == []

    @pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.5", "fd00::5"])
    def test_at_a_private_address_behind_a_wildcard_is_not_called(
        self, bundle: Start, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        port = int(slidescore.origin.rpartition(":")[2])
        resolve, connect = socket.getaddrinfo, socket.socket.connect
        connected = []

        def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
            return resolve(address if host == "slides.example.org" else host, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket.socket, "connect", lambda s, to: (connected.append(to[:2]), connect(s, to))[1])
        started = bundle(SLIDESCORE_ORIGINS=f"https://*.example.org:{port}")
        assert post_with_host(started.url, f"https://slides.example.org:{port}") == PRIVATE
        assert (address, port) not in connected
        assert len(connected) >= 1  # to the bundle
        assert slidescore.calls == []

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("redirects", "answered with a redirect while reading the slide's metadata; redirects are not followed."),
            ("redirects_pixels", "answered with a redirect while reading the pixels; redirects are not followed."),
            ("foreign_location", "referred to another server; annohooks does not follow such addresses."),
        ],
    )
    def test_that_refers_to_another_server_is_not_followed(
        self, bundle: Start, slidescore: SlideScore, fault: str, message: str
    ) -> None:
        slidescore.faults.add(fault)
        refused = refusal(bundle().trigger(trigger_body(answered=WITH_HOLES)))
        assert refused == (502, f"Slide Score {message}")
        assert slidescore.other_origin_calls == []


class TestFailingSlideScore:
    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("http_500", "answered with status 500 while reading the slide's metadata"),
            ("rejects_token", "answered with status 401 while reading the slide's metadata"),
            ("not_json", "sent an unexpected answer while reading the slide's metadata"),
            ("success_false", "has no metadata for this slide"),
            ("html_instead_of_jpeg", "answered something that is not a JPEG while reading the pixels"),
            ("png_instead_of_jpeg", "answered something that is not a JPEG while reading the pixels"),
            ("truncated_jpeg", "answered a JPEG that ends too early while reading the pixels"),
            ("small_pictures", "sent a picture of 100 x 100 pixels instead of 210 x 220"),
            ("oversized_picture", "sent more than 40000000 bytes while reading the pixels"),
            ("create_refused", "sent an unexpected answer while creating the anno2"),
            ("no_location", "did not say where to upload the anno2"),
            ("upload_never_works", "broke the connection off while uploading the anno2"),
            ("finish_refused", "did not accept the uploaded anno2"),
        ],
    )
    def test_is_reported_with_the_step_that_failed(
        self, bundle: Start, slidescore: SlideScore, fault: str, message: str
    ) -> None:
        slidescore.faults.add(fault)
        refused = refusal(bundle().trigger(trigger_body(answered=WITH_HOLES)))
        assert refused == (502, f"Slide Score {message}.")
        assert slidescore.annos == {}

    @pytest.mark.parametrize("fault", ["truncated_jpeg", "small_pictures", "oversized_picture"])
    def test_is_reported_for_raw_tiles_too(self, bundle: Start, slidescore: SlideScore, fault: str) -> None:
        slidescore.faults.add(fault)
        status, text = refusal(bundle(SLIDESCORE_PIXELS="raw_tiles").trigger(trigger_body()))
        assert status == 502
        assert text.startswith("Slide Score ")

    @each_source_of_pixels
    def test_may_describe_a_slide_in_an_impossible_way(
        self, bundle: Start, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch, pixels: str
    ) -> None:
        started, metadata = bundle(SLIDESCORE_PIXELS=pixels), server_pixels.metadata
        needs_levels = 502 if pixels == "raw_tiles" else 200
        for changed, status in (
            ({"mppX": 1e308, "mppY": 1e308}, 200),
            ({"mppX": 5e-324, "mppY": -1}, 200),
            ({"downsamples": []}, 200),
            ({"downsamples": [1, -2]}, needs_levels),
            ({"downsamples": [1, 1e400]}, 502),
            ({"level0Width": 0}, 502),
            ({"level0Width": 10**30}, 502),
            ({"level0Width": 10**6, "level0Height": 10**6}, 502),
        ):
            monkeypatch.setattr(server_pixels, "metadata", lambda slide, changed=changed: metadata(slide) | changed)
            assert started.trigger(trigger_body()).status == status, changed

    @pytest.mark.parametrize(
        ("fault", "doing"), [("slow", "reading the slide's metadata"), ("slow_pixels", "reading the pixels")]
    )
    def test_that_is_too_slow_is_reported_with_the_step(
        self, bundle: Start, slidescore: SlideScore, fault: str, doing: str
    ) -> None:
        slidescore.faults.add(fault)
        refused = refusal(bundle(SLIDESCORE_READ_TIMEOUT_S="0.2").trigger(trigger_body()))
        assert refused == (502, f"Slide Score did not answer in time while {doing}.")

    def test_may_recover(self, bundle: Start, slidescore: SlideScore) -> None:
        started = bundle()
        for fault in (None, "http_503_once", "upload_breaks", "upload_conflict", "absolute_location", "give_up_fails"):
            slidescore.faults = {fault} if fault else set()
            results = accepted(started.trigger(trigger_body(answered=WITH_HOLES)))
            assert results == [["anno2", "Dark regions"], ["text", "Dark regions"]], fault
        undisturbed, *others = slidescore.annos.values()
        assert anno2.decode(undisturbed).negatives
        assert others == [undisturbed] * 5

    def test_without_a_slide_of_that_id_is_reported(self, bundle: Start, slidescore: SlideScore) -> None:
        refused = refusal(bundle().trigger(trigger_body(imageid=4711)))
        assert refused == (502, "Slide Score answered with status 404 while reading the slide's metadata.")
        assert slidescore.violations == ["image 4711 does not exist"]
        slidescore.violations.clear()

    def test_is_not_blamed_for_a_missing_bucket(self, bundle: Start) -> None:
        started = bundle(STAGING_BUCKET="no-such-bucket-4711")
        refused = refusal(started.trigger(trigger_body(answered=WITH_HOLES)))
        assert refused == (503, "The staging bucket could not be written.")


class TestToken:
    @pytest.mark.parametrize("fault", [None, "http_500", "upload_never_works"])
    def test_is_not_given_up_if_the_deployment_says_so(
        self, bundle: Start, slidescore: SlideScore, fault: str | None
    ) -> None:
        slidescore.faults = {fault} if fault else set()
        started = bundle(SLIDESCORE_GIVE_UP_TOKEN="false")
        viewed = started.trigger(trigger_body(answered=WITH_HOLES), given_up=0)
        assert viewed.status == (502 if fault else 200)

    def test_is_given_up_last(self, bundle: Start, slidescore: SlideScore) -> None:
        accepted(bundle().trigger(trigger_body(answered=WITH_HOLES)))
        assert [call.path for call in slidescore.calls][-2:] == ["/Api/FinishUpload", "/Api/GiveUpToken"]
