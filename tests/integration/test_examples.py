"""The example of docs/analyzers.md, run as a team would: its model made, put into S3, its file beside the others."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from unittest import mock

import boto3
import cv2
import numpy as np
import pytest

from annohooks.core import s3
from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.imaging import segmentation
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.region import Box, Region, Shape
from annohooks.imaging.segmentation import Limits
from local import slides, stack
from local.demo import slidescore as demo
from local.template import ROOT

EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "analyzers.md"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, {name: module}):  # where msgspec looks up what a parameter's type is called
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make_model():
    return loaded("make_model")


@pytest.fixture(scope="module")
def model(make_model):
    return make_model.trained()


@pytest.fixture
def bucket(embedded_s3, monkeypatch):
    monkeypatch.setenv("MODELS_BUCKET", "models")
    embedded_s3.create_bucket(Bucket="models")
    return embedded_s3


@pytest.fixture
def analyzer(monkeypatch):
    """The example, registered for as long as the test lasts; also where somebody has put it beside the others."""
    with mock.patch.dict(ANALYZERS):
        ANALYZERS.pop("stain_pixels", None)
        monkeypatch.setitem(sys.modules, "stain_pixels", loaded("stain_pixels"))
        yield ANALYZERS["stain_pixels"]


class Field:
    """The real picture as a slide."""

    def __init__(self):
        self.rgb = slides.immunohistochemistry().pixels
        self.height, self.width = self.rgb.shape[:2]
        self.mpp = 0.5

    def picture(self, box, downsample):
        assert downsample == 1
        return np.ascontiguousarray(self.rgb[box.y : box.bottom, box.x : box.right, ::-1])


def segment(analyzer, limits, **chosen):
    ring = np.array([(0, 0), (512, 0), (512, 512), (0, 512)], np.float64)
    region = Region(Box(0, 0, 512, 512), (Shape((ring,)),))
    return segmentation.segment(Field(), region, analyzer, analyzer.parameters(**chosen), Deadline.after(60), limits)


def filled(findings):
    """The outlines drawn, bool [512, 512]."""
    drawn = np.zeros((512, 512), np.uint8)
    outlines = findings.outlines
    rings = [outlines.ring(m) for m in range(len(outlines))]
    cv2.drawContours(
        drawn, [ring for ring, is_outer in zip(rings, outlines.is_outer, strict=True) if is_outer], -1, 1, -1
    )
    for ring in (ring for ring, is_outer in zip(rings, outlines.is_outer, strict=True) if not is_outer):
        inside = np.zeros_like(drawn)
        cv2.drawContours(inside, [ring], -1, 1, -1)
        cv2.drawContours(inside, [ring], -1, 0, 1)
        drawn[inside > 0] = 0
    return drawn > 0


def test_example_finds_what_its_teacher_taught_in_one_piece_and_in_tiles(bucket, analyzer, make_model, model):
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model)
    whole = segment(analyzer, Limits())
    taught = make_model.brown(slides.immunohistochemistry().pixels)
    ours = filled(whole)
    assert (ours & taught).sum() > 0.95 * (ours | taught).sum()
    assert analyzer.conclude([whole], analyzer.parameters()).sentence == (
        f"{100 * whole.area_um2[0] / whole.region_um2:.1f} % stained."
    )
    assert whole.area_um2[0] / whole.region_um2 == pytest.approx(taught.mean(), abs=0.02)
    tiled = segment(analyzer, Limits(picture_px=200))
    for array in ("xy", "offsets", "parent"):
        assert np.array_equal(getattr(tiled.outlines, array), getattr(whole.outlines, array)), array


def test_more_certainty_finds_less(bucket, analyzer, model):
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model)
    areas = [segment(analyzer, Limits(), certainty=certainty).area_um2[0] for certainty in (10, 50, 90)]
    assert areas == sorted(set(areas), reverse=True)


def test_example_without_its_model_says_which_is_missing(bucket, analyzer):
    with pytest.raises(Unavailable, match=r'"stain_pixels\.onnx" could not be read'):
        segment(analyzer, Limits())


def test_model_that_is_put_right_is_used_from_then_on(bucket, analyzer, model):
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model[:-1])
    with pytest.raises(Unavailable, match="its sha256 is another"):
        segment(analyzer, Limits())
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model)
    assert segment(analyzer, Limits()).object_counts.any()
    bucket.delete_object(Bucket="models", Key="stain_pixels.onnx")
    assert segment(analyzer, Limits()).object_counts.any()


def test_stack_answers_with_an_analyzer_and_models_of_ones_own(another_stack, analyzer, model, tmp_path, caplog):
    """As `make serve MODELS=folder` does. Of a model that cannot be read the log says what S3 said."""
    (tmp_path / "stain_pixels.onnx").write_bytes(model)
    event = json.loads((ROOT / "events" / "slidescore" / "nuclei_in_a_rectangle.json").read_text())
    event["body"] = json.dumps({**json.loads(event["body"]), "analyzer": "stain_pixels"})
    s3.client.cache_clear()
    with another_stack(models=tmp_path) as running:
        viewed = demo.post(running, event)
        boto3.client("s3").delete_object(Bucket=stack.MODELS_BUCKET, Key="stain_pixels.onnx")
        sys.modules["stain_pixels"]._network.cache_clear()
        without = demo.post(running, event)
    s3.client.cache_clear()
    assert viewed.status == 200, viewed.text
    assert "% stained." in viewed.text
    assert without.status == 503
    (refused,) = (record for record in caplog.records if record.getMessage() == "refused")
    assert refused.cause == "NoSuchKey"
    assert refused.reason.endswith("may not be read (NoSuchKey).")


def test_model_is_small_and_the_one_the_example_names(model, tmp_path):
    made = tmp_path / "stain_pixels.onnx"
    said = subprocess.run(
        [sys.executable, EXAMPLES / "make_model.py", made], capture_output=True, check=True, text=True
    ).stdout.strip()
    assert made.read_bytes() == model
    assert hashlib.sha256(model).hexdigest() == said
    assert f'SHA256 = "{said}"' in (EXAMPLES / "stain_pixels.py").read_text()
    assert len(model) < 10_000


def test_page_quotes_the_example_as_it_is():
    assert f"```python\n{(EXAMPLES / 'stain_pixels.py').read_text()}```\n" in PAGE.read_text()
    assert "(examples/make_model.py)" in PAGE.read_text()
