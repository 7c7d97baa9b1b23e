"""The client of S3."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


@cache
def client() -> "S3Client":
    """One client per process, made when first needed: boto3 takes longer to import than the rest together."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2, "mode": "standard"}),
    )
