"""The example of docs/analyzers.md, used as a team would use it: the model in S3, the file among the analyzers."""

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
    with mock.patch.dict(sys.modules, {name: module}):  # msgspec looks up the types of parameters there
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The bytes of the model, and the sha256 that the script printed."""
    file = tmp_path_factory.mktemp("model") / "stain_pixels.onnx"
    script = subprocess.run(
        [sys.executable, EXAMPLES / "make_model.py", file], capture_output=True, check=True, text=True
    )
    return file.read_bytes(), script.stdout.strip()


@pytest.fixture
def bucket(embedded_s3, monkeypatch):
    monkeypatch.setenv("MODELS_BUCKET", "models")
    embedded_s3.create_bucket(Bucket="models")
    return embedded_s3


@pytest.fixture
def analyzer(monkeypatch):
    """The example, registered for one test, also if its file is in the folder of the analyzers."""
    with mock.patch.dict(ANALYZERS):
        ANALYZERS.pop("stain_pixels", None)
        monkeypatch.setitem(sys.modules, "stain_pixels", loaded("stain_pixels"))
        yield ANALYZERS["stain_pixels"]


@pytest.fixture
def in_s3(bucket, model):
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model[0])


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


def filled(outlines):
    """The area of outlines without their holes, bool [512, 512]. The ring of a hole belongs to the object."""
    drawn = np.zeros((512, 512), np.uint8)
    for is_outer in (True, False):
        for index in np.flatnonzero(outlines.is_outer == is_outer):
            inside = cv2.fillPoly(np.zeros_like(drawn), [outlines.ring(index)], 1)
            if not is_outer:
                cv2.polylines(inside, [outlines.ring(index)], True, 0)
            drawn[inside > 0] = is_outer
    return drawn > 0


@pytest.mark.usefixtures("in_s3")
def test_example_finds_what_its_teacher_taught_in_one_picture_and_in_tiles(analyzer):
    whole = segment(analyzer, Limits())
    taught = loaded("make_model").brown(slides.immunohistochemistry().pixels)
    ours = filled(whole.outlines)
    assert (ours & taught).sum() > 0.95 * (ours | taught).sum()
    share = whole.area_um2[0] / whole.region_um2
    assert analyzer.conclude([whole], analyzer.parameters()).sentence == f"{100 * share:.1f} % stained."
    assert share == pytest.approx(taught.mean(), abs=0.02)
    tiled = segment(analyzer, Limits(picture_px=200))
    for array in ("xy", "offsets", "parent"):
        assert np.array_equal(getattr(tiled.outlines, array), getattr(whole.outlines, array)), array


@pytest.mark.usefixtures("in_s3")
def test_more_certainty_finds_less(analyzer):
    areas = [segment(analyzer, Limits(), certainty=certainty).area_um2[0] for certainty in (10, 50, 90)]
    assert areas == sorted(set(areas), reverse=True)


def test_missing_or_wrong_model_is_named_until_it_is_corrected_and_then_kept(bucket, analyzer, model):
    with pytest.raises(Unavailable, match=r'"stain_pixels\.onnx" could not be read'):
        segment(analyzer, Limits())
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model[0][:-1])
    with pytest.raises(Unavailable, match="its sha256 is different"):
        segment(analyzer, Limits())
    bucket.put_object(Bucket="models", Key="stain_pixels.onnx", Body=model[0])
    assert segment(analyzer, Limits()).object_counts.any()
    bucket.delete_object(Bucket="models", Key="stain_pixels.onnx")
    assert segment(analyzer, Limits()).object_counts.any()


def test_local_stack_answers_with_an_analyzer_and_models_of_a_team(another_stack, analyzer, model, tmp_path, caplog):
    """As `make serve MODELS=folder` does. If a model cannot be read, the log gives the error of S3."""
    (tmp_path / "stain_pixels.onnx").write_bytes(model[0])
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


def test_model_is_small_and_the_one_that_the_example_names(model):
    content, sha256 = model
    assert hashlib.sha256(content).hexdigest() == sha256
    assert f'SHA256 = "{sha256}"' in (EXAMPLES / "stain_pixels.py").read_text()
    assert len(content) < 10_000


def test_page_quotes_the_example_as_it_is():
    assert f"```python\n{(EXAMPLES / 'stain_pixels.py').read_text()}```\n" in PAGE.read_text()
    assert "(examples/make_model.py)" in PAGE.read_text()
