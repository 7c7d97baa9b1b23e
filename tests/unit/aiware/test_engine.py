"""The engine that a payload asks for, and its documents about a picture and a video."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from spots import DETECTORS, HEIGHT, WIDTH, SpotParameters, engine, of_picture, picture, png

from annohooks.aiware import engine as engines
from annohooks.aiware import picture_slide
from annohooks.aiware.drawing import drawing
from annohooks.aiware.engine import choose
from annohooks.aiware.parameters import chosen
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, DeadlineExceeded, TooLarge
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.region import Box
from local import slides


class TestChoose:
    @pytest.mark.parametrize(
        ("asked", "name", "kind"),
        [
            *((name, "spots", "object") for name in ("", None, "Spots", " spots ", "DARK SPOTS")),
            *(("portraits", "portraits", "face"), ("nuclei", "nuclei", "object")),
        ],
    )
    def test_the_payload_names_the_engine_by_name_or_title_in_any_case_or_it_is_the_default(self, asked, name, kind):
        found = engine(analyzer=asked)
        assert (found.name, found.kind) == (name, kind)

    @pytest.mark.parametrize("name", ["cats", 3, ["spots"]])
    def test_an_unknown_engine_is_refused_with_those_there_are(self, name):
        with pytest.raises(BadRequest) as refused:
            engine(analyzer=name)
        assert refused.value.message.startswith("The payload's `analyzer` has to be one of spots, portraits, ")
        assert set(ANALYZERS) < set(refused.value.message.removesuffix(".").replace(",", "").split())

    def test_values_may_also_come_from_a_function(self):
        values = {"analyzer": "portraits", "sampleMs": 500}
        assert choose(values.get, "spots", DETECTORS).sample_ms == 500


class TestParameters:
    @pytest.mark.parametrize("value", ["500", 500.0, " 500.0 "])
    def test_a_number_may_be_text(self, value):
        assert engine(sampleMs=value).sample_ms == 500

    def test_what_is_not_given_has_its_default(self):
        for empty in ({}, {"sampleMs": None, "segmentMs": ""}):
            assert (engine(**empty).sample_ms, engine(**empty).segment_ms) == (1_000, 60_000)

    @pytest.mark.parametrize(
        ("name", "values", "expected"),
        [
            ("sampleMs", [99, "soon", 500.5, True, [500]], "a whole number from 100 to 60000"),
            ("segmentMs", [0], "a whole number from 1000 to 3600000"),
            ("brightest", ["300", "9" * 400], "a whole number from 0 to 254"),
            ("least_score", ["NaN", float("nan"), "1e999", {}], "a number from 0 to 1"),
            ("naming", ["by colour", 3], "one of Plain, by size"),
            ("upper", ["maybe"], "true or false"),
        ],
    )
    def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_field(self, name, values, expected):
        for value in values:
            with pytest.raises(BadRequest) as refused:
                engine(**{name: value})
            assert refused.value.message == f"The payload's `{name}` has to be {expected}."

    @pytest.mark.parametrize(
        ("payload", "message"),
        [
            ({"sampleMs": 5000, "segmentMs": 4000}, "`segmentMs` is less than its `sampleMs`."),
            ({"analyzer": "nuclei", "mpp": 0}, "`mpp` has to be a number from 0.001 to 10000."),
            ({"analyzer": "nuclei", "stain": "PAS"}, "`stain` has to be one of H&E, "),
            ({"analyzer": "nuclei", "sensitivity": "much"}, "`sensitivity` has to be a number from 0.2 to 5."),
            ({"analyzer": "nuclei", "largest_um2": 5}, "`largest_um2` is less than its `smallest_um2`."),
        ],
    )
    def test_values_that_the_engine_cannot_use_are_refused(self, payload, message):
        with pytest.raises(BadRequest) as refused:
            engine(**payload)
        assert refused.value.message.startswith(f"The payload's {message}")

    @pytest.mark.parametrize(
        ("value", "is_upper"), [("true", True), ("False", False), ("0", False), (1, True), ("", False)]
    )
    def test_true_and_false_may_be_text(self, value, is_upper):
        assert chosen(SpotParameters, {"upper": value}.get).upper is is_upper

    def test_parameters_reach_the_detector_and_choices_count_in_any_case(self):
        content = png(picture((10, 10, 20, 20)))
        document = of_picture(content, upper="true", naming="BY SIZE")
        assert [found["label"] for found in document["object"]] == ["LARGE"]
        assert of_picture(content, brightest=0)["object"] != []


class TestOfPicture:
    def test_objects_lie_where_they_are_in_the_picture(self):
        document = of_picture(png(picture((20, 10, 40, 20))))
        corners = [{"x": 0.1, "y": 0.1}, {"x": 0.3, "y": 0.1}, {"x": 0.3, "y": 0.3}, {"x": 0.1, "y": 0.3}]
        assert document["object"] == [{"type": "object", "label": "spot", "boundingPoly": corners}]
        assert document["validationContracts"] == ["object"]

    @pytest.mark.parametrize("times_ms", [(0, 0), (1000, 1000), (1000, 0)])
    def test_a_picture_of_no_time_is_no_series(self, times_ms):
        document = of_picture(png(picture((20, 10, 40, 20))), times_ms)
        assert len(document["object"]) == 1
        assert "series" not in document

    @pytest.mark.parametrize(
        ("content", "payload", "message"),
        [
            (b"no picture", {}, "The media cannot be used: "),
            (png(picture()), {"analyzer": "nuclei", "mpp": 20}, "cannot be recognised"),
            (png(picture()), {"analyzer": "dab_positivity", "weak": "0.9"}, "weak, moderate and strong have to rise"),
        ],
    )
    def test_what_cannot_be_analysed_is_refused_in_the_words_of_who_would(self, content, payload, message):
        with pytest.raises(BadRequest, match=message):
            of_picture(content, **payload)

    def test_a_picture_of_too_many_pixels_is_refused(self, monkeypatch):
        monkeypatch.setattr(engines, "MAX_PIXELS", 100)
        with pytest.raises(BadRequest, match=r"over the limit"):
            of_picture(png(picture()))

    @pytest.mark.parametrize("payload", [{}, {"analyzer": "dark_regions"}])
    def test_work_ends_at_the_deadline(self, payload):
        with pytest.raises(DeadlineExceeded):
            of_picture(png(picture()), deadline=Deadline.after(0), **payload)


class TestAnalyzers:
    @pytest.mark.parametrize(
        ("box", "mpp", "first", "last"),
        [((20, 10, 40, 20), 1, [20.5, 10.5], [59.5, 29.5]), ((40, 20, 80, 40), 0.25, [42, 22], [118, 58])],
        ids=["from the centre of a pixel to that of another", "and analysed more coarsely in a fine picture"],
    )
    def test_an_outline_is_where_the_object_is(self, box, mpp, first, last):
        (found,) = of_picture(png(picture(box)), analyzer="dark_regions", mpp=mpp, smallest_um2=0)["object"]
        xy = np.array([(p["x"] * WIDTH, p["y"] * HEIGHT) for p in found["boundingPoly"]])
        assert found["label"] == "dark regions"
        assert [*xy.min(axis=0), *xy.max(axis=0)] == pytest.approx([*first, *last], abs=0.05)

    def test_the_payload_says_how_large_a_pixel_is(self):
        content = png(picture((20, 10, 40, 20)))
        large = {"analyzer": "dark_regions", "smallest_um2": "1000"}
        assert len(of_picture(content, mpp="2", **large)["object"]) == 1
        assert of_picture(content, mpp="0.5", **large)["object"] == []

    def test_classes_are_labels_and_conclusions_a_summary(self):
        tissue = png(slides.immunohistochemistry().pixels[..., ::-1])
        document = of_picture(tissue, analyzer="dab_positivity")
        titles = {class_.title for class_ in ANALYZERS["dab_positivity"].classes}
        assert {each["label"] for each in document["object"]} == titles
        assert "H-score" in document["summary"]

    def test_a_density_map_is_told_to_the_vendor(self):
        tissue = png(slides.immunohistochemistry().pixels[..., ::-1])
        density = of_picture(tissue, analyzer="density", stain="H-DAB")["vendor"]["density"]
        levels = np.array(density["levels"])
        assert levels.shape == (6, 6)
        assert (levels.max(), density["cellPx"], density["x"], density["y"]) == (255, 100, 0, 0)
        assert density["perMm2"] > 1000

    def test_more_objects_than_any_result_can_hold_are_refused(self, monkeypatch):
        few = dataclasses.replace(picture_slide._LIMITS, objects=1)
        monkeypatch.setattr(picture_slide, "_LIMITS", few)
        content = png(picture((20, 10, 40, 20), (100, 10, 40, 20)))
        with pytest.raises(TooLarge, match="2 objects were found"):
            of_picture(content, analyzer="dark_regions")

    @pytest.mark.parametrize("downsample", [1, 2, 4, 7])
    def test_pictures_of_a_photo_are_means_and_its_edge_is_repeated(self, downsample):
        pixels = np.random.default_rng(seed=1).integers(0, 256, (30, 41, 3), dtype=np.uint8)
        box = Box(3, 2, 38, 28)
        rows, columns = -(-box.height // downsample), -(-box.width // downsample)
        part = pixels[box.y : box.bottom, box.x : box.right]
        missing = (0, rows * downsample - box.height), (0, columns * downsample - box.width), (0, 0)
        means = np.pad(part, missing, mode="edge").reshape(rows, downsample, columns, downsample, 3).mean(axis=(1, 3))
        read = picture_slide.PictureSlide(pixels, 0.5).picture(box, downsample)
        assert read == pytest.approx(means, abs=0.51)


class TestDrawing:
    def canvas(self, document, at_ms=None):
        plain = picture()
        drawn = cv2.imdecode(np.frombuffer(drawing(plain, document, at_ms), np.uint8), cv2.IMREAD_COLOR)
        assert drawn.shape == plain.shape
        return (np.abs(drawn.astype(int) - plain).max(axis=2) > 60).nonzero()

    def test_an_outline_is_drawn_where_the_object_is(self):
        rows, columns = self.canvas(of_picture(png(picture((100, 50, 40, 20)))))
        assert (columns.min(), columns.max(), rows.max()) == pytest.approx((100, 140, 70), abs=3)

    def test_of_a_series_what_is_there_at_a_time_is_drawn(self):
        document = of_picture(png(picture((100, 50, 40, 20))), (1000, 2000))
        assert len(self.canvas(document, 2000)[0]) == 0
        assert len(self.canvas(document, 1000)[0]) == len(self.canvas(document)[0]) > 0

    def test_the_picture_given_is_not_drawn_on(self):
        plain = picture((100, 50, 40, 20))
        drawing(plain, of_picture(png(plain)))
        assert (plain == picture((100, 50, 40, 20))).all()
