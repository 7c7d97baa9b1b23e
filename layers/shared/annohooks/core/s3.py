"""The client of S3."""

from functools import cache
from typing import TYPE_CHECKING

from annohooks.core.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


# S3 answers 403 for a missing key to a caller that may not list the bucket.
NOT_THERE = frozenset({"NoSuchBucket", "NoSuchKey", "404", "AccessDenied", "403"})


@cache
def client() -> "S3Client":
    """The client of this process. Made at the first call: boto3 takes longer to import than everything else."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2, "mode": "standard"}),
    )


def is_there(bucket: str, key: str = "") -> bool:
    """Whether a bucket, or an object in it, can be read. Raises Unavailable if S3 does not answer."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        if key:
            client().head_object(Bucket=bucket, Key=key)
        else:
            client().head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] in NOT_THERE:
            return False
        raise Unavailable("S3 does not answer.") from error
    return True
