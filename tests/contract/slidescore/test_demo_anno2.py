"""slidescore-sdk's decoder judges the anno2 zips that the demo uploads through the whole stack."""

from __future__ import annotations

import json

import numpy as np
import pytest
from anno2_zips import vendor_decoded, vendor_simplified

from annohooks.slidescore import anno2
from local import stack
from local.demo import EVENTS, slidescore


@pytest.fixture(scope="module")
def written():
    """The zips of the demo's events: (kind, the encoded outlines or points or levels, zip)."""
    recorded = []

    def recording(kind, encode):
        def wrapped(content, metadata, **size):
            recorded.append((kind, content, encode(content, metadata, **size)))
            return recorded[-1][2]

        return wrapped

    with pytest.MonkeyPatch.context() as patch, stack.running() as running:
        patch.setattr(anno2, "polygons_zip", recording("polygons", anno2.polygons_zip))
        patch.setattr(anno2, "points_zip", recording("points", anno2.points_zip))
        patch.setattr(anno2, "heatmap_zip", recording("heatmap", anno2.heatmap_zip))
        for path in sorted((EVENTS / "slidescore").glob("*.json")):
            slidescore.post(running, json.loads(path.read_text()))
        uploaded = set(running.slidescore.annos.values())
    assert uploaded == {zipped for _, _, zipped in recorded}
    return recorded


def test_the_demo_writes_outlines_with_holes_points_and_a_map_as_anno2(written):
    assert {kind for kind, _, _ in written} == {"polygons", "points", "heatmap"}
    assert any(not content.is_outer.all() for kind, content, _ in written if kind == "polygons")


def test_vendor_decoder_gives_back_the_demos_outlines_as_the_vendor_simplifies_them(written):
    for outlines, zipped in [(content, zipped) for kind, content, zipped in written if kind == "polygons"]:
        items = vendor_decoded(zipped)
        found = [[list(vertex) for vertex in items[number]["positiveVertices"]] for number in range(len(items))]
        assert found == vendor_simplified(outlines)
        assert len(found) == len(outlines)


def test_vendor_decoder_gives_back_the_demos_points(written):
    for points, zipped in [(content, zipped) for kind, content, zipped in written if kind == "points"]:
        assert [list(point) for point in vendor_decoded(zipped)] == points.tolist()


def test_vendor_decoder_gives_back_the_demos_map_at_its_place(written):
    ((levels, zipped),) = [(content, zipped) for kind, content, zipped in written if kind == "heatmap"]
    heatmap = vendor_decoded(zipped)
    assert np.array_equal([list(row) for row in heatmap.matrix], levels)
    assert (heatmap.x_offset, heatmap.y_offset, heatmap.size_per_pixel) == (300, 200, 100)
