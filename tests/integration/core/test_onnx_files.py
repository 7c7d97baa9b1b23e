"""Models from a bucket: checked, and a clear word when that fails."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from annohooks.core import onnx_files, s3
from annohooks.core.errors import Unavailable

MODEL = bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def bucket(embedded_s3, monkeypatch):
    """The bucket for models, with one model in it."""
    monkeypatch.setenv("MODELS_BUCKET", "models")
    embedded_s3.create_bucket(Bucket="models")
    embedded_s3.put_object(Bucket="models", Key="nets/one.onnx", Body=MODEL)
    return embedded_s3


def test_model_is_the_bytes_in_the_bucket():
    assert onnx_files.read("nets/one.onnx") == MODEL


def test_model_that_was_replaced_is_the_new_one(bucket):
    """Its bytes are not kept: who makes a network of them keeps that."""
    assert onnx_files.read("nets/one.onnx") == MODEL
    bucket.put_object(Bucket="models", Key="nets/one.onnx", Body=b"mended")
    assert onnx_files.read("nets/one.onnx") == b"mended"


def test_model_that_was_missing_is_read_once_it_is_there(bucket):
    with pytest.raises(Unavailable):
        onnx_files.read("late.onnx")
    bucket.put_object(Bucket="models", Key="late.onnx", Body=b"late")
    assert onnx_files.read("late.onnx") == b"late"


def test_missing_model_is_named():
    with pytest.raises(Unavailable) as raised:
        onnx_files.read("none.onnx")
    assert raised.value.message == (
        'The model "none.onnx" could not be read from the bucket for models: it is not there, or may not be read '
        "(NoSuchKey)."
    )


def test_deployment_without_models_says_so(monkeypatch):
    monkeypatch.setenv("MODELS_BUCKET", "")
    with pytest.raises(Unavailable, match=r'"one\.onnx" cannot be read: this deployment has no bucket for models'):
        onnx_files.read("one.onnx")


def test_model_of_a_bucket_that_does_not_exist_is_not_there(monkeypatch):
    monkeypatch.setenv("MODELS_BUCKET", "no-such-bucket")
    with pytest.raises(Unavailable, match=r'"one\.onnx" could not be read .*: it is not there.* \(NoSuchBucket\)'):
        onnx_files.read("one.onnx")


def test_endpoint_that_does_not_answer_is_a_failure_of_s3(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3.client.cache_clear()
    with pytest.raises(Unavailable, match=r'"one\.onnx" could not be read .*: S3 failed'):
        onnx_files.read("one.onnx")


def test_model_over_the_limit_is_refused():
    assert onnx_files.read("nets/one.onnx", most_bytes=len(MODEL)) == MODEL
    with pytest.raises(Unavailable, match=f'"nets/one.onnx" is larger than {len(MODEL) - 1} bytes'):
        onnx_files.read("nets/one.onnx", most_bytes=len(MODEL) - 1)


def test_model_whose_sha256_is_another_is_refused():
    sha256 = hashlib.sha256(MODEL).hexdigest()
    assert onnx_files.read("nets/one.onnx", sha256) == onnx_files.read("nets/one.onnx", sha256.upper()) == MODEL
    with pytest.raises(Unavailable, match="sha256 is different"):
        onnx_files.read("nets/one.onnx", "0" * 64)


def test_no_model_no_cost():
    """A deployment without models loads neither boto3 nor OpenCV for them."""
    loaded = (
        "import sys; from annohooks.core import onnx_files; "
        "print(sorted({'boto3', 'botocore', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True, text=True).stdout == "[]\n"
