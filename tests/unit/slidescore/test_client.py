"""The calls of Slide Score's API, their answers, and the token, which is given up at the end."""

from __future__ import annotations

from contextlib import nullcontext

import cv2
import numpy as np
import pytest
from outbounds import Answering, refusal, reply

from annohooks.core.errors import BadRequest, Upstream
from annohooks.slidescore.client import GIVE_UP_S, Anno2Slot, Client

TOKEN = "canary-token"
METADATA = {"level0Width": 4000, "level0Height": 3000, "mppX": 0.25, "mppY": 0.2501, "downsamples": [1, 4, 16]}


def client_of(answer, give_up_token=True):
    outbound = Answering(answer if callable(answer) else lambda _: answer)
    return Client(outbound, TOKEN, give_up_token=give_up_token), outbound


def metadata_reply(**changed):
    return reply({"success": True, "metadata": {**METADATA, **changed}})


def jpeg(width, height):
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


# Metadata


def test_metadata_is_requested_by_image_with_the_token_in_a_header():
    client, outbound = client_of(metadata_reply())
    metadata = client.metadata(7)
    (request,) = outbound.requests
    assert (request.method, request.path, request.query) == ("GET", "/Api/GetImageMetadata", {"imageid": "7"})
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert (metadata.level0_width, metadata.level0_height, metadata.mpp_x) == (4000, 3000, 0.25)
    assert metadata.downsamples == [1, 4, 16]


UNUSABLE = [{"success": False, "error": "canary"}, {"success": True}, "canary", b"<html>canary</html>", b"\xff"]


@pytest.mark.parametrize(
    "answer", [*map(reply, UNUSABLE), metadata_reply(level0Width=0), metadata_reply(level0Width="canary")]
)
def test_unusable_metadata_is_an_error_that_does_not_repeat_it(answer):
    client, _ = client_of(answer)
    with pytest.raises(Upstream, match="metadata") as raised:
        client.metadata(7)
    assert "canary" not in raised.value.message


@pytest.mark.parametrize(
    ("largest", "beyond"),
    [((500_000, 500_000), (500_001, 500_000)), ((2**24, 1), (2**24 + 1, 1)), ((1, 2**24), (1, 2**24 + 1))],
)
def test_the_size_of_a_slide_may_be_the_largest_possible_but_no_larger(largest, beyond):
    metadata = client_of(metadata_reply(level0Width=largest[0], level0Height=largest[1]))[0].metadata(7)
    assert (metadata.level0_width, metadata.level0_height) == largest
    client, _ = client_of(metadata_reply(level0Width=beyond[0], level0Height=beyond[1]))
    with pytest.raises(Upstream, match="an impossible size"):
        client.metadata(7)


@pytest.mark.parametrize(
    ("mpp_x", "mpp_y", "mpp"),
    [(0.25, 0.26, 0.255), (None, 0.5, 0.5), (0, 0.5, 0.5), (0, None, None), (1e9, 1e-9, None), (-1, -1, None)],
)
def test_the_pixel_size_is_the_mean_of_the_possible_values(mpp_x, mpp_y, mpp):
    client, _ = client_of(metadata_reply(mppX=mpp_x, mppY=mpp_y))
    assert client.metadata(7).mpp() == (None if mpp is None else pytest.approx(mpp))


# Other calls


def test_reading_is_repeated_and_writing_is_not():
    client, outbound = client_of(lambda request: metadata_reply() if request.method == "GET" else reply("OK"))
    client.metadata(1)
    client.finish_upload("an-id", "FEU1")
    assert [request.options["attempts"] > 1 for request in outbound.requests] == [True, False]
    assert outbound.requests[1].options["form"] == {"id": "an-id", "token": "FEU1"}


def test_a_new_anno2_has_an_upload_token_and_an_id():
    client, outbound = client_of(reply({"success": True, "uploadToken": "FEU1", "annoUUID": "8f51"}))
    assert client.create_orphan_anno2() == Anno2Slot("FEU1", "8f51")
    assert (outbound.requests[0].method, outbound.requests[0].path) == ("POST", "/Api/CreateOrphanAnno2")


@pytest.mark.parametrize("answer", ["Upload not found", "ok", {"success": False, "error": "no"}, {"success": True}])
def test_an_anno2_that_the_server_refuses_is_an_error(answer):
    client, _ = client_of(reply(answer))
    with pytest.raises(Upstream, match="while creating the anno2"):
        client.create_orphan_anno2()
    with pytest.raises(Upstream):
        client.finish_upload("an-id", "FEU1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>canary</html>", "something that is not a JPEG"),
        (jpeg(4100, 4000), "over the limit"),
    ],
)
def test_an_unusable_picture_is_an_error_that_does_not_repeat_it(body, message):
    client, _ = client_of(reply(body))
    with pytest.raises(Upstream, match=f"{message}.*while reading the pixels") as raised:
        client.picture("GetScreenshot", {"imageid": 1})
    assert "canary" not in raised.value.message


# The token


def paths(outbound):
    return [request.path for request in outbound.requests]


@pytest.mark.parametrize("error", [None, BadRequest("no"), ValueError("bug"), KeyboardInterrupt()])
def test_the_token_is_given_up_at_the_end_and_after_any_error_with_time_reserved_for_it(error):
    client, outbound = client_of(reply({"success": True}))
    with pytest.raises(type(error)) if error else nullcontext(), client:
        assert paths(outbound) == []
        if error:
            raise error
    assert paths(outbound) == ["/Api/GiveUpToken"]
    assert outbound.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
    (deadline,) = outbound.deadlines
    assert 0 < deadline.remaining_s() <= GIVE_UP_S


def test_a_token_that_cannot_be_given_up_hides_neither_the_result_nor_an_error():
    def failing(_):
        raise refusal(500)

    client, outbound = client_of(failing)
    with client:
        pass
    with pytest.raises(BadRequest), client:
        raise BadRequest("no")
    assert paths(outbound) == ["/Api/GiveUpToken"] * 2
    client, outbound = client_of(reply({"success": True}), give_up_token=False)
    with client:  # as for a token that several slides share
        pass
    assert outbound.requests == []
