"""Calls of Slide Score's API, their answers, and the token that is given up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from outbounds import Answering, refusal, reply

from annohooks.core.errors import BadRequest, Upstream, UpstreamTimeout
from annohooks.slidescore.client import GIVE_UP_S, Client

TOKEN = "canary-token"
METADATA = {"level0Width": 4000, "level0Height": 3000, "mppX": 0.25, "mppY": 0.2501, "downsamples": [1, 4, 16]}


def client_of(answer, give_up_token=True):
    outbound = Answering(answer if callable(answer) else lambda _: answer)
    return Client(outbound, TOKEN, give_up_token=give_up_token), outbound


def metadata_of(**changed):
    return reply({"success": True, "metadata": {**METADATA, **changed}})


def jpeg(width=8, height=6):
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def test_metadata_is_asked_for_by_image_with_the_token_in_a_header():
    client, outbound = client_of(metadata_of())
    metadata = client.metadata(7)
    (asked,) = outbound.asked
    assert (asked.method, asked.path, asked.query) == ("GET", "/Api/GetImageMetadata", {"imageid": "7"})
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert (metadata.level0_width, metadata.level0_height, metadata.mpp_x) == (4000, 3000, 0.25)
    assert metadata.downsamples == [1, 4, 16]


def test_metadata_may_lack_what_a_scanner_does_not_know():
    client, _ = client_of(reply({"success": True, "metadata": {"level0Width": 5, "level0Height": 6, "mppX": None}}))
    assert client.metadata(7).mpp_x is None


@pytest.mark.parametrize(
    "answer",
    [
        reply({"success": False, "error": "canary"}),
        reply({"success": False}),
        reply({"success": True}),
        reply("canary"),
        reply(b"<html>canary</html>"),
        reply(b"\xff"),
        reply(b""),
        metadata_of(level0Width=0),
        metadata_of(level0Width="canary"),
    ],
)
def test_metadata_that_is_none_is_an_error_that_does_not_repeat_it(answer):
    client, _ = client_of(answer)
    with pytest.raises(Upstream) as raised:
        client.metadata(7)
    assert "canary" not in raised.value.message
    assert "metadata" in raised.value.message


@pytest.mark.parametrize("size", [(500_001, 500_000), (2**24 + 1, 1), (1, 2**24 + 1), (2**40, 2**40)])
def test_slide_of_a_size_no_slide_has_is_an_error(size):
    client, _ = client_of(metadata_of(level0Width=size[0], level0Height=size[1]))
    with pytest.raises(Upstream, match="a size no slide has"):
        client.metadata(7)


@pytest.mark.parametrize("size", [(500_000, 500_000), (2**24, 1), (1, 2**24)])
def test_slide_as_large_as_any_can_be_is_read(size):
    client, _ = client_of(metadata_of(level0Width=size[0], level0Height=size[1]))
    metadata = client.metadata(7)
    assert (metadata.level0_width, metadata.level0_height) == size


@pytest.mark.parametrize(
    ("mpp_x", "mpp_y", "expected"),
    [
        (0.25, 0.26, 0.255),
        (0.25, None, 0.25),
        (None, 0.5, 0.5),
        (0, 0.5, 0.5),
        (0, 0, None),
        (None, None, None),
        (1e9, 1e-9, None),
        (-1, -1, None),
    ],
)
def test_pixel_size_is_the_mean_of_what_is_known_and_possible(mpp_x, mpp_y, expected):
    client, _ = client_of(metadata_of(mppX=mpp_x, mppY=mpp_y))
    assert client.metadata(7).mpp() == (None if expected is None else pytest.approx(expected))


def test_reading_is_tried_again_and_writing_is_not():
    client, outbound = client_of(lambda asked: metadata_of() if asked.method == "GET" else reply("OK"))
    client.metadata(1)
    client.finish_upload("id", "token")
    assert [asked.options["attempts"] > 1 for asked in outbound.asked] == [True, False]


def test_room_for_an_anno2_is_a_token_and_an_id():
    client, outbound = client_of(reply({"success": True, "uploadToken": "FEU1", "annoUUID": "8f51"}))
    slot = client.create_orphan_anno2()
    assert (slot.upload_token, slot.uuid) == ("FEU1", "8f51")
    assert (outbound.asked[0].method, outbound.asked[0].path) == ("POST", "/Api/CreateOrphanAnno2")


@pytest.mark.parametrize("answer", [{"success": False, "error": "no"}, "no", {"success": True, "uploadToken": "FEU1"}])
def test_no_room_for_an_anno2_is_an_error(answer):
    client, _ = client_of(reply(answer))
    with pytest.raises(Upstream, match="while making room for the anno2"):
        client.create_orphan_anno2()


def test_upload_is_finished_only_when_the_server_says_ok():
    client, outbound = client_of(reply("OK"))
    client.finish_upload("an-id", "FEU1")
    assert outbound.asked[0].options["form"] == {"id": "an-id", "token": "FEU1"}


@pytest.mark.parametrize("answer", ["Upload not found", "ok", {"success": True}, "", None])
def test_upload_that_is_not_said_to_be_whole_is_an_error(answer):
    client, _ = client_of(reply(answer))
    with pytest.raises(Upstream):
        client.finish_upload("an-id", "FEU1")


def test_picture_is_a_decoded_jpeg():
    client, _ = client_of(reply(jpeg()))
    assert client.picture("GetScreenshot", {"imageid": 1}).shape == (6, 8, 3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>canary</html>", "something that is not a JPEG"),
        (jpeg()[:-20], "a JPEG that ends too early"),
        (jpeg(4100, 4000), "over the limit"),
    ],
)
def test_picture_that_is_none_is_an_error_in_words(body, message):
    client, _ = client_of(reply(body))
    with pytest.raises(Upstream, match=f"{message}.*while reading the pixels") as raised:
        client.picture("GetScreenshot", {"imageid": 1})
    assert "canary" not in raised.value.message


# The token


def gave_up(outbound):
    return [asked.path for asked in outbound.asked].count("/Api/GiveUpToken")


def test_token_is_given_up_when_all_is_done():
    client, outbound = client_of(reply({"success": True}))
    with client:
        assert gave_up(outbound) == 0
    assert gave_up(outbound) == 1
    assert outbound.asked[-1].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("error", [BadRequest("no"), UpstreamTimeout("slow"), ValueError("bug"), KeyboardInterrupt()])
def test_token_is_given_up_whatever_goes_wrong(error):
    client, outbound = client_of(reply({"success": True}))
    with pytest.raises(type(error)), client:
        raise error
    assert gave_up(outbound) == 1


def test_giving_up_has_time_of_its_own_after_the_deadline():
    client, outbound = client_of(reply({"success": True}))
    with client:
        pass
    (deadline,) = outbound.deadlines
    assert 0 < deadline.remaining_s() <= GIVE_UP_S


def test_token_that_cannot_be_given_up_hides_neither_result_nor_error():
    def failing(_):
        raise refusal(500)

    client, outbound = client_of(failing)
    with client:
        pass
    assert gave_up(outbound) == 1
    client, outbound = client_of(failing)
    with pytest.raises(BadRequest), client:
        raise BadRequest("no")
    assert gave_up(outbound) == 1


def test_token_shared_by_several_slides_is_kept():
    client, outbound = client_of(reply({"success": True}), give_up_token=False)
    with client:
        pass
    assert outbound.asked == []
