"""Staging in S3: objects that must outlive an invocation. The bucket's lifecycle deletes them after a day."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from annohooks.core import s3
from annohooks.core.errors import Unavailable


class Staged(NamedTuple):
    """An object in the staging bucket. size: bytes."""

    key: str
    size: int


class Staging:
    """The staging bucket. Every method raises Unavailable if S3 fails."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> Staged:
        """Writes an object. Replaces an object of the same key."""
        with _s3_errors("written"):
            s3.client().put_object(Bucket=self._bucket, Key=key, Body=content)
        return Staged(key, len(content))

    def read(self, staged: Staged, start: int, length: int) -> bytes:
        """The bytes from `start` on: `length` of them, or fewer at the end. ValueError if there are none."""
        if not 0 <= start < staged.size or length < 1:
            raise ValueError(f"no bytes at {start}, length {length}, in {staged.size}")
        with _s3_errors("read"):
            range_ = f"bytes={start}-{start + length - 1}"
            return s3.client().get_object(Bucket=self._bucket, Key=staged.key, Range=range_)["Body"].read()

    def put_file(self, key: str, path: Path) -> Staged:
        """Writes a file of any size as an object."""
        with _s3_errors("written"):
            s3.client().upload_file(str(path), self._bucket, key)
        return Staged(key, path.stat().st_size)

    def content(self, key: str) -> bytes:
        """The whole object."""
        with _s3_errors("read"):
            return s3.client().get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def fetch(self, key: str, path: Path) -> None:
        """Reads a whole object of any size into a file."""
        with _s3_errors("read"):
            s3.client().download_file(self._bucket, key, str(path))

    def delete(self, staged: Staged) -> None:
        """Deletes the object. An object that is gone already is no error."""
        with _s3_errors("cleared"):
            s3.client().delete_object(Bucket=self._bucket, Key=staged.key)


@contextmanager
def _s3_errors(what_failed: str) -> Iterator[None]:
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        raise Unavailable(f"The staging bucket could not be {what_failed}.") from error
