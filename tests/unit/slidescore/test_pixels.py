"""A slide's pixels through GetScreenshot and GetRawTile, from servers with different level numbers."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from outbounds import Answering, refusal, reply

from annohooks.core.errors import Upstream
from annohooks.imaging.region import Box
from annohooks.slidescore.client import PICTURE_PX, Client, Metadata
from annohooks.slidescore.pixels import RawTiles, Screenshots

WIDTH, HEIGHT = 5000, 3000
FULL = 13  # ceil(log2(5000))
ODD, TINY, LARGE, SMALL = Box(3001, 17, 1999, 1501), Box(4990, 2995, 10, 5), Box(0, 0, 4000, 3000), Box(0, 0, 900, 600)


def jpeg(pixels):
    return reply(cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, 98))[1].tobytes())


def grey(width, height):
    return jpeg(np.full((height, width, 3), 90, np.uint8))


def field(box, step):
    """A JPEG of a box, at `step` slide pixels per pixel. Blue is the column and green the row on the slide."""
    columns, rows = max(1, math.ceil(box.width / step)), max(1, math.ceil(box.height / step))
    picture = np.full((rows, columns, 3), 120, np.uint8)
    picture[..., 0] = (box.x + (np.arange(columns) + 0.5) * step) * 255 / WIDTH
    picture[..., 1] = ((box.y + (np.arange(rows) + 0.5) * step) * 255 / HEIGHT)[:, None]
    return jpeg(picture)


def screenshots(answer):
    outbound = Answering(answer)
    return Screenshots(Client(outbound, "token", give_up_token=False), 7, Metadata(WIDTH, HEIGHT, 0.25, 0.26)), outbound


def raw_tiles(answer, downsamples=(1.0,), **options):
    outbound, metadata = Answering(answer), Metadata(WIDTH, HEIGHT, downsamples=list(downsamples))
    return RawTiles(Client(outbound, "token", give_up_token=False), 7, metadata, 3, **options), outbound


def asked(request, *keys):
    return [int(request.query[key]) for key in keys]


def screenshot_server(offset):
    """A server whose full resolution is `offset` levels above ceil(log2(longest side))."""

    def answer(request):
        assert request.path == "/Api/GetScreenshot"
        x, y, width, height, level = asked(request, "x", "y", "width", "height", "level")
        return field(Box(x, y, width, height), max(1.0, 2.0 ** (FULL + offset - level)))

    return answer


def tile_server(downsamples):
    def answer(request):
        assert request.path == "/Api/GetRawTile"
        x, y, width, height, level = asked(request, "x", "y", "width", "height", "level")
        assert 0 < min(width, height) <= max(width, height) <= PICTURE_PX
        step = downsamples[level] if downsamples else 1.0
        return field(Box(x, y, math.floor(width * step), math.floor(height * step)), step)

    return answer


def levels(outbound):
    return [int(request.query["level"]) for request in outbound.requests]


def assert_shows(picture, box, downsample):
    """The picture shows the box, within two slide pixels and the losses of a JPEG."""
    assert picture.shape == (math.ceil(box.height / downsample), math.ceil(box.width / downsample), 3)
    assert picture.dtype == np.uint8
    for row, column in ((0, 0), (-1, -1)):
        x = box.x + (column % picture.shape[1] + 0.5) * downsample
        y = box.y + (row % picture.shape[0] + 0.5) * downsample
        assert picture[row, column, 0] == pytest.approx(x * 255 / WIDTH, abs=6)
        assert picture[row, column, 1] == pytest.approx(y * 255 / HEIGHT, abs=6)


# Screenshots


@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("downsample", [1, 4])
@pytest.mark.parametrize("box", [ODD, TINY, pytest.param(LARGE, marks=pytest.mark.thorough)])
def test_a_picture_has_the_requested_size_whatever_the_servers_level_numbers(offset, downsample, box):
    slide, outbound = screenshots(screenshot_server(offset))
    for _ in range(2):
        assert_shows(slide.picture(box, downsample), box, downsample)
    assert max(1, 2 ** (FULL + offset - levels(outbound)[-1])) == downsample  # neither enlarged nor reduced on our side


@pytest.mark.parametrize(("offset", "extra"), [(0, []), (2, [FULL])])
def test_several_threads_measure_the_level_once(offset, extra):
    slide, outbound = screenshots(screenshot_server(offset))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda x: slide.picture(Box(x, 0, 400, 400), 1), range(0, 4000, 400)))
    assert sorted(levels(outbound)) == [*extra, *[FULL + offset] * 10]


@pytest.mark.parametrize("size", [(900, 300), (450, 300), (1, 1), (1000, 600)])
def test_a_picture_of_another_size_than_any_level_has_is_refused(size):
    slide, outbound = screenshots(lambda request: grey(*size))
    with pytest.raises(Upstream, match=f"a picture of {size[0]} x {size[1]} pixels instead of 900 x 600"):
        slide.picture(SMALL, 1)
    assert len(outbound.requests) <= 4


@pytest.mark.parametrize("size", [(900, 600), (901, 599), (898, 602)])
def test_a_picture_rounded_by_a_pixel_or_two_is_resized(size):
    slide, _ = screenshots(lambda request: grey(*size))
    assert slide.picture(SMALL, 1).shape == (600, 900, 3)


def test_a_screenshot_is_requested_without_a_scale_bar():
    slide, outbound = screenshots(screenshot_server(0))
    assert (slide.width, slide.height, slide.mpp) == (WIDTH, HEIGHT, pytest.approx(0.255))
    slide.picture(Box(1, 2, 300, 400), 1)
    expected = {"imageid": "7", "x": "1", "y": "2", "width": "300", "height": "400", "showScalebar": "false"}
    assert outbound.requests[0].query == {**expected, "level": str(FULL)}


# Raw tiles


@pytest.mark.parametrize("downsamples", [[1.0, 4.0, 16.0], [1.0, 4.00023], []])
@pytest.mark.parametrize("downsample", [1, 4, 8])
@pytest.mark.parametrize("box", [ODD, TINY])
def test_a_raw_picture_has_the_requested_size_whatever_the_levels(downsamples, downsample, box):
    slide, _ = raw_tiles(tile_server(downsamples), downsamples)
    assert_shows(slide.picture(box, downsample), box, downsample)


def test_a_raw_picture_is_read_at_the_coarsest_level_that_is_fine_enough():
    downsamples = [1.0, 2.0, 4.0, 8.0]
    slide, outbound = raw_tiles(tile_server(downsamples), downsamples)
    slide.picture(Box(0, 0, 800, 800), 4)
    (request,) = outbound.requests
    assert (request.query["level"], request.query["width"], request.query["studyid"]) == ("2", "200", "3")


def test_a_large_raw_picture_is_composed_of_tiles_no_larger_than_the_deployment_allows():
    slide, outbound = raw_tiles(tile_server([1.0]))
    box = Box(100, 50, 4001, 2500)
    assert_shows(slide.picture(box, 2), box, 2)
    places = [tuple(asked(request, "x", "y")) for request in outbound.requests]
    assert sorted(places) == [(x, y) for x in (100, 2100, 4100) for y in (50, 2050)]
    slide, outbound = raw_tiles(tile_server([1.0]), picture_px=600)
    slide.picture(Box(0, 0, 1500, 700), 1)
    assert len(outbound.requests) == 3 * 2
    assert all(max(asked(request, "width", "height")) <= 600 for request in outbound.requests)


@pytest.mark.parametrize("downsamples", [[0.0], [1.0, -4.0], [1.0, float("inf")], [float("nan")]])
def test_impossible_levels_are_refused(downsamples):
    with pytest.raises(Upstream, match="impossible levels"):
        raw_tiles(None, downsamples)


def test_no_raw_tile_is_requested_after_a_failure():
    def failing(request):
        raise refusal(401)

    slide, outbound = raw_tiles(failing)
    for _ in range(3):
        with pytest.raises(Upstream, match="401"):
            slide.picture(LARGE, 1)
    assert len(outbound.requests) == 1


def test_a_raw_tile_of_another_size_is_refused():
    slide, _ = raw_tiles(lambda request: grey(300, 200))
    with pytest.raises(Upstream, match="instead of 900 x 600"):
        slide.picture(SMALL, 1)
