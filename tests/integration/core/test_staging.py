import pytest

from annohooks.core import s3
from annohooks.core.errors import Unavailable
from annohooks.core.staging import Staged, Staging

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def stored(embedded_s3):
    """The staging bucket."""
    embedded_s3.create_bucket(Bucket="staging")
    return embedded_s3


def test_what_is_put_is_in_the_bucket(stored):
    staged = Staging("staging").put("slidescore/1/nuclei.zip", CONTENT)
    assert staged == Staged("slidescore/1/nuclei.zip", len(CONTENT))
    assert stored.get_object(Bucket="staging", Key=staged.key)["Body"].read() == CONTENT


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


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(stored):
    bucket = Staging("staging")
    staged = bucket.put("a", CONTENT)
    bucket.delete(staged)
    bucket.delete(staged)
    assert "Contents" not in stored.list_objects_v2(Bucket="staging")


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
    s3.client.cache_clear()
    with pytest.raises(Unavailable):
        Staging("staging").put("a", CONTENT)


def test_one_client_serves_the_process():
    Staging("staging").put("a", CONTENT)
    Staging("staging").put("b", CONTENT)
    assert s3.client.cache_info().misses == 1


def test_a_file_is_staged_and_fetched_whole(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(CONTENT)
    bucket = Staging("staging")
    assert bucket.put_file("media", source) == Staged("media", len(CONTENT))
    bucket.fetch("media", target)
    assert target.read_bytes() == bucket.content("media") == CONTENT


@pytest.mark.parametrize(
    "use", [lambda bucket, path: bucket.content("gone"), lambda bucket, path: bucket.fetch("gone", path)]
)
def test_what_was_never_staged_is_unavailable(use, tmp_path):
    with pytest.raises(Unavailable, match="could not be read"):
        use(Staging("staging"), tmp_path / "x")


def test_a_file_that_cannot_be_staged_is_unavailable(tmp_path):
    (tmp_path / "x").write_bytes(CONTENT)
    with pytest.raises(Unavailable, match="could not be written"):
        Staging("no-such-bucket").put_file("x", tmp_path / "x")
