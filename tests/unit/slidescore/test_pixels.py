"""A slide's pixels through GetScreenshot and GetRawTile, from servers with different level numbers."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from outbounds import Answering, reply

from annohooks.core.errors import Upstream
from annohooks.imaging.region import Box
from annohooks.slidescore.client import PICTURE_PX, Client, Metadata
from annohooks.slidescore.pixels import RawTiles, Screenshots

WIDTH, HEIGHT = 5000, 3000
FULL = 13  # ceil(log2(5000))


def jpeg(width, height, grey=90):
    return reply(cv2.imencode(".jpg", np.full((height, width, 3), grey, np.uint8))[1].tobytes())


def field(box, step):
    """A JPEG of a box, at `step` slide pixels per pixel. Blue is the column and green the row on the slide."""
    columns, rows = max(1, math.ceil(box.width / step)), max(1, math.ceil(box.height / step))
    picture = np.full((rows, columns, 3), 120, np.uint8)
    picture[..., 0] = (box.x + (np.arange(columns) + 0.5) * step) * 255 / WIDTH
    picture[..., 1] = ((box.y + (np.arange(rows) + 0.5) * step) * 255 / HEIGHT)[:, None]
    return reply(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 98))[1].tobytes())


def box_of(query):
    return Box(*(int(query[key]) for key in ("x", "y", "width", "height")))


def screenshots(offset):
    """Screenshots of a server whose full resolution is `offset` levels above ceil(log2(longest side))."""

    def answer(request):
        assert request.path == "/Api/GetScreenshot"
        step = max(1.0, 2.0 ** (FULL + offset - int(request.query["level"])))
        return field(box_of(request.query), step)

    outbound = Answering(answer)
    metadata = Metadata(WIDTH, HEIGHT, 0.25, 0.25)
    return Screenshots(Client(outbound, "token", give_up_token=False), 7, metadata), outbound


def raw_tiles(downsamples):
    """Raw tiles of a server with these levels."""

    def answer(request):
        query = request.query
        assert request.path == "/Api/GetRawTile"
        size = int(query["width"]), int(query["height"])
        assert min(size) > 0
        assert max(size) <= PICTURE_PX
        step = downsamples[int(query["level"])] if downsamples else 1.0
        at = Box(int(query["x"]), int(query["y"]), math.floor(size[0] * step), math.floor(size[1] * step))
        return field(at, step)

    outbound = Answering(answer)
    metadata = Metadata(WIDTH, HEIGHT, downsamples=downsamples)
    return RawTiles(Client(outbound, "token", give_up_token=False), 7, metadata, 3), outbound


def assert_shows(picture, box, downsample):
    """The picture shows the box, within two slide pixels and the losses of a JPEG."""
    assert picture.shape == (math.ceil(box.height / downsample), math.ceil(box.width / downsample), 3)
    assert picture.dtype == np.uint8
    for row, column in ((0, 0), (-1, -1)):
        x = box.x + (column % picture.shape[1] + 0.5) * downsample
        y = box.y + (row % picture.shape[0] + 0.5) * downsample
        assert picture[row, column, 0] == pytest.approx(x * 255 / WIDTH, abs=6)
        assert picture[row, column, 1] == pytest.approx(y * 255 / HEIGHT, abs=6)


def test_size_and_resolution_are_those_of_the_slide():
    metadata = Metadata(WIDTH, HEIGHT, 0.25, 0.26)
    slide = Screenshots(Client(Answering(None), "token", give_up_token=False), 7, metadata)
    assert (slide.width, slide.height, slide.mpp) == (WIDTH, HEIGHT, pytest.approx(0.255))


# Screenshots


@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("downsample", [1, 4])
@pytest.mark.parametrize(
    "box",
    [
        pytest.param(Box(0, 0, 4000, 3000), id="large", marks=pytest.mark.thorough),
        pytest.param(Box(4990, 2995, 10, 5), id="tiny"),
        pytest.param(Box(3001, 17, 1999, 1501), id="odd"),
    ],
)
def test_a_picture_has_the_requested_size_whatever_the_servers_level_numbers(offset, downsample, box):
    slide, outbound = screenshots(offset)
    for _ in range(2):
        assert_shows(slide.picture(box, downsample), box, downsample)
    level = int(outbound.requests[-1].query["level"])
    assert max(1, 2 ** (FULL + offset - level)) == downsample  # neither enlarged nor reduced on our side


def test_the_level_is_measured_once():
    slide, outbound = screenshots(2)
    for number in range(5):
        slide.picture(Box(500 * number, 0, 500, 500), 1)
    assert [int(request.query["level"]) for request in outbound.requests] == [FULL, *[FULL + 2] * 5]


def test_an_offset_of_0_needs_no_further_request():
    slide, outbound = screenshots(0)
    slide.picture(Box(0, 0, 500, 500), 1)
    assert len(outbound.requests) == 1


def test_several_threads_measure_the_level_once():
    slide, outbound = screenshots(1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda x: slide.picture(Box(x, 0, 400, 400), 1), range(0, 4000, 400)))
    assert [int(request.query["level"]) for request in outbound.requests].count(FULL) == 1
    assert len(outbound.requests) == 11


@pytest.mark.parametrize("size", [(900, 300), (450, 300), (1, 1), (1000, 600)])
def test_a_picture_of_another_size_than_any_level_has_is_refused(size):
    outbound = Answering(lambda request: jpeg(*size))
    slide = Screenshots(Client(outbound, "token", give_up_token=False), 7, Metadata(WIDTH, HEIGHT))
    with pytest.raises(Upstream, match=f"a picture of {size[0]} x {size[1]} pixels instead of 900 x 600"):
        slide.picture(Box(0, 0, 900, 600), 1)
    assert len(outbound.requests) <= 4


@pytest.mark.parametrize("size", [(900, 600), (901, 599), (898, 602)])
def test_a_picture_rounded_by_a_pixel_or_two_is_resized(size):
    slide = Screenshots(
        Client(Answering(lambda request: jpeg(*size)), "token", give_up_token=False), 7, Metadata(WIDTH, HEIGHT)
    )
    assert slide.picture(Box(0, 0, 900, 600), 1).shape == (600, 900, 3)


def test_a_screenshot_is_requested_without_a_scale_bar():
    slide, outbound = screenshots(0)
    slide.picture(Box(1, 2, 300, 400), 1)
    expected = {"imageid": "7", "x": "1", "y": "2", "width": "300", "height": "400", "showScalebar": "false"}
    assert {key: value for key, value in outbound.requests[0].query.items() if key != "level"} == expected


# Raw tiles


@pytest.mark.parametrize("downsamples", [[1.0, 4.0, 16.0], [1.0, 4.00023], []])
@pytest.mark.parametrize("downsample", [1, 4, 8])
@pytest.mark.parametrize("box", [Box(3001, 17, 1999, 1501), Box(4990, 2995, 10, 5)])
def test_a_raw_picture_has_the_requested_size_whatever_the_levels(downsamples, downsample, box):
    slide, _ = raw_tiles(downsamples)
    assert_shows(slide.picture(box, downsample), box, downsample)


def test_a_raw_picture_is_read_at_the_coarsest_level_that_is_fine_enough():
    slide, outbound = raw_tiles([1.0, 2.0, 4.0, 8.0])
    slide.picture(Box(0, 0, 800, 800), 4)
    (request,) = outbound.requests
    assert (request.query["level"], request.query["width"], request.query["studyid"]) == ("2", "200", "3")


def test_a_large_raw_picture_is_composed_of_tiles():
    slide, outbound = raw_tiles([1.0])
    box = Box(100, 50, 4001, 2500)
    assert_shows(slide.picture(box, 2), box, 2)
    assert len(outbound.requests) == 3 * 2
    assert {(int(a.query["x"]), int(a.query["y"])) for a in outbound.requests} == {
        (x, y) for x in (100, 2100, 4100) for y in (50, 2050)
    }


@pytest.mark.parametrize("downsamples", [[0.0], [1.0, -4.0], [1.0, float("inf")], [float("nan")]])
def test_impossible_levels_are_refused(downsamples):
    with pytest.raises(Upstream, match="impossible levels"):
        raw_tiles(downsamples)


def test_a_raw_tile_of_another_size_is_refused():
    outbound = Answering(lambda request: jpeg(300, 200))
    slide = RawTiles(Client(outbound, "token", give_up_token=False), 7, Metadata(WIDTH, HEIGHT), 3)
    with pytest.raises(Upstream, match="instead of 900 x 600"):
        slide.picture(Box(0, 0, 900, 600), 1)


def test_raw_tiles_are_no_larger_than_the_deployment_allows():
    tiles, outbound = raw_tiles([1.0])
    small = RawTiles(tiles._client, 7, Metadata(WIDTH, HEIGHT, 0.25, 0.25), 1, picture_px=600)
    small.picture(Box(0, 0, 1500, 700), 1)
    assert len(outbound.requests) == 3 * 2
    assert all(max(int(request.query["width"]), int(request.query["height"])) <= 600 for request in outbound.requests)


def test_no_raw_tile_is_requested_after_a_failure():
    def answer(request):
        raise Upstream("Slide Score answered with status 401 while reading the pixels.")

    outbound = Answering(answer)
    metadata = Metadata(WIDTH, HEIGHT, 0.25, 0.25, [1.0])
    tiles = RawTiles(Client(outbound, "token", give_up_token=False), 7, metadata, 1)
    for _ in range(3):
        with pytest.raises(Upstream, match="401"):
            tiles.picture(Box(0, 0, 5000, 3000), 1)
    assert len(outbound.requests) == 1
