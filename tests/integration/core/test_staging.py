import boto3
import pytest
from moto import mock_aws

from annohooks.core import staging
from annohooks.core.errors import Unavailable
from annohooks.core.staging import Staged, Staging

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def s3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        staging._s3.cache_clear()
        client = boto3.client("s3")
        client.create_bucket(Bucket="staging")
        yield client
    staging._s3.cache_clear()


def test_what_is_put_is_in_the_bucket(s3):
    staged = Staging("staging").put("slidescore/1/nuclei.zip", CONTENT)
    assert staged == Staged("slidescore/1/nuclei.zip", len(CONTENT))
    assert s3.get_object(Bucket="staging", Key=staged.key)["Body"].read() == CONTENT


def test_any_range_is_read_back():
    bucket = Staging("staging")
    staged = bucket.put("a", CONTENT)
    for start, length in [(0, 1), (0, len(CONTENT)), (100, 1000), (len(CONTENT) - 1, 1)]:
        assert bucket.read(staged, start, length) == CONTENT[start : start + length]


def test_a_range_beyond_the_end_is_cut_there():
    bucket = Staging("staging")
    staged = bucket.put("a", CONTENT)
    assert bucket.read(staged, len(CONTENT) - 10, 1000) == CONTENT[-10:]


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (len(CONTENT), 1), (0, 0), (0, -1)])
def test_a_range_with_nothing_in_it_is_a_mistake(start, length):
    bucket = Staging("staging")
    with pytest.raises(ValueError, match="no bytes at"):
        bucket.read(bucket.put("a", CONTENT), start, length)


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(s3):
    bucket = Staging("staging")
    staged = bucket.put("a", CONTENT)
    bucket.delete(staged)
    bucket.delete(staged)
    assert "Contents" not in s3.list_objects_v2(Bucket="staging")


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda bucket: bucket.put("a", CONTENT), "The staging bucket could not be written."),
        (lambda bucket: bucket.read(Staged("a", 5), 0, 5), "The staging bucket could not be read."),
        (lambda bucket: bucket.delete(Staged("a", 5)), "The staging bucket could not be cleared."),
    ],
)
def test_a_bucket_that_is_not_there_is_unavailable(use, message):
    with pytest.raises(Unavailable) as raised:
        use(Staging("no-such-bucket"))
    assert (raised.value.status, raised.value.message) == (503, message)


def test_an_object_that_expired_is_unavailable():
    with pytest.raises(Unavailable):
        Staging("staging").read(Staged("gone", 5), 0, 5)


def test_an_endpoint_that_does_not_answer_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    staging._s3.cache_clear()
    with pytest.raises(Unavailable):
        Staging("staging").put("a", CONTENT)


def test_one_client_serves_the_process():
    Staging("staging").put("a", CONTENT)
    Staging("staging").put("b", CONTENT)
    assert staging._s3.cache_info().misses == 1
