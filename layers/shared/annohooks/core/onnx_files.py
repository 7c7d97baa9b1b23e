"""ONNX files and their descriptions, read from the bucket that MODELS_BUCKET names."""

import hashlib

import msgspec

from annohooks.core import s3
from annohooks.core.errors import Unavailable
from annohooks.core.settings import from_env

MOST_BYTES = 100_000_000


class ModelSettings(msgspec.Struct, frozen=True):
    """models_bucket: empty in a deployment without models."""

    models_bucket: str = ""


def read(key: str, sha256: str = "", most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a model. Reads S3 at every call: keep the network that you make of them, with `functools.cache`.

    sha256: the expected digest in hexadecimal; empty to accept any. Raises Unavailable, naming the key, when the model
    does not exist, is larger than most_bytes or has another digest, or when S3 does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = from_env(ModelSettings).models_bucket
    if not bucket:
        raise Unavailable(f'The model "{key}" cannot be read: this deployment has no bucket for models.')
    try:
        reply = s3.client().get_object(Bucket=bucket, Key=key)
        with reply["Body"] as body:
            if reply["ContentLength"] > most_bytes:
                raise Unavailable(f'The model "{key}" is larger than {most_bytes} bytes.')
            model = body.read()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reason = "it is not there, or may not be read" if code in s3.NOT_THERE else "S3 failed"
        raise Unavailable(
            f'The model "{key}" could not be read from the bucket for models: {reason} ({code}).'
        ) from error
    except BotoCoreError as error:
        raise Unavailable(f'The model "{key}" could not be read from the bucket for models: S3 failed.') from error
    if sha256 and hashlib.sha256(model).hexdigest() != sha256.lower():
        raise Unavailable(f'The model "{key}" is not the one that this analysis expects: its sha256 is different.')
    return model


def is_there(key: str) -> bool:
    """Whether the bucket for models holds an object of that key. Raises Unavailable if S3 does not say."""
    bucket = from_env(ModelSettings).models_bucket
    return bool(bucket) and s3.is_there(bucket, key)
