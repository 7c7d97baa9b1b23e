"""The whole bundle on one machine: embedded AWS, simulated platforms, and the functions behind a gateway."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from moto.dynamodb.models import DynamoDBBackend
from moto.server import ThreadedMotoServer

from local import slides, template
from local.gateway import Gateway
from local.simulators.aiware import MediaServer, Toolkit
from local.simulators.kili import Kili, samples
from local.simulators.slidescore import SlideScore
from local.stepfunctions import StepFunctions, arn, state_machine_arn
from local.time_scale import scaled

BUCKET = "annohooks-staging"
MODELS_BUCKET = "annohooks-models"
SECRET = "sample-secret-for-slidescore"
TOKEN = "eyJ0b2tlbiI6ImlzLXJlcGxhY2VkLWJ5LXRoZS12aWV3ZXIifQ"
"""The token in events/slidescore/*.json."""
KILI_SECRET = "sample-secret-for-kili"
"""The Authorization header of events/kili/*.json."""
KILI_API_KEY = "sample-api-key-for-kili"
AIWARE_SECRET = "sample-secret-for-aiware"
"""The password in the engine's webhook URLs, and in events/aiware/*.json."""
TOOLKITS = 6
"""The number of toolkit instances whose webhooks are allowed from the start. Chunks may be queued again on another."""
RESOURCES = {
    "AWS::Partition": "aws",
    "StagingBucket": BUCKET,
    "IdempotencyTable": "annohooks-idempotency",
    "JobsTable": "annohooks-jobs",
    "AiwareEngine": state_machine_arn("AiwareEngine"),
    "AiwareReportFunction.Arn": arn("AiwareReportFunction"),
    "AiwareWorkFunction.Arn": arn("AiwareWorkFunction"),
}
"""The values of !Ref and !GetAtt by resource of the template."""


@dataclass(frozen=True)
class Stack:
    """The running parts. origin: of the API. aws: of the embedded AWS. environment: variables of every function."""

    origin: str
    aws: str
    environment: dict[str, str]
    slidescore: SlideScore
    kili: Kili
    toolkit: Toolkit
    media: MediaServer

    @property
    def engine(self) -> str:
        """The engine's webhook URL as the toolkit gets it, with credentials."""
        return self.origin.replace("://", f"://engine:{AIWARE_SECRET}@") + "/aiware"


@contextmanager
def running(
    bind: str = "127.0.0.1",
    *,
    api_port: int = 0,
    aws_port: int = 0,
    slidescore_port: int = 0,
    kili_port: int = 0,
    media_port: int = 0,
    level_offset: int = 0,
    sample_token: str | None = None,
    parameters: dict[str, str] | None = None,
    models: Path | None = None,
    time_scale: float = 1.0,
) -> Iterator[Stack]:
    """Starts everything on free ports, or on the given ones.

    parameters: of the template, other than the defaults. models: a folder whose files become the bucket for models.
    time_scale: the length of pauses, as a part of their length on AWS; see `time_scale.scaled`.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    _one_at_a_time()
    aws = ThreadedMotoServer(ip_address=bind, port=aws_port, verbose=False)
    aws.start()
    host, port = aws.get_host_and_port()
    environment = _environment(f"http://{_reachable(host)}:{port}")
    if models:
        environment["MODELS_BUCKET"] = MODELS_BUCKET  # a function reads it with its first model, long after its import
    try:
        with (
            SlideScore(
                slides.studio(), level_offset=level_offset, sample_token=sample_token, bind=bind, port=slidescore_port
            ) as slidescore,
            Kili(bind=bind, port=kili_port, api_key=KILI_API_KEY) as kili,
            Toolkit(bind=bind, instances=TOOLKITS) as toolkit,
            MediaServer(bind=bind, port=media_port) as media,
        ):
            samples.fill(kili)
            chosen = {
                "SlideScoreOrigins": slidescore.origin,
                "KiliEndpoint": kili.endpoint,
                "KiliStorageOrigins": kili.storage,
                "KiliRules": str(samples.RULES),
                "AiwareDelivery": "direct",
                "AiwareWebhookOrigins": " ".join(toolkit.origins),
                "AiwareMediaOrigins": media.origin,
                **(parameters or {}),
            }
            functions = template.functions(chosen, RESOURCES)
            with mock.patch.dict(os.environ, environment), ExitStack() as parts:
                _provision(chosen, models)
                parts.enter_context(scaled(time_scale))
                parts.enter_context(StepFunctions(functions, template.state_machines(RESOURCES), environment))
                gateway = parts.enter_context(Gateway(functions, environment, bind, api_port))
                aws_url = environment["AWS_ENDPOINT_URL"]
                yield Stack(gateway.origin, aws_url, environment, slidescore, kili, toolkit, media)
    finally:
        aws.stop()


def _one_at_a_time() -> None:
    """One thread writes at a time. DynamoDB checks a condition and writes in one step; the embedded one does not."""
    lock = threading.RLock()
    for name in ("put_item", "update_item", "delete_item", "transact_write_items"):
        act = getattr(DynamoDBBackend, name)
        if not hasattr(act, "__wrapped__"):  # another stack of this process may have done it
            setattr(DynamoDBBackend, name, _locked(act, lock))


def _locked(act: Callable[..., Any], lock: threading.RLock) -> Callable[..., Any]:
    @wraps(act)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return act(*args, **kwargs)

    return locked


def _environment(aws: str) -> dict[str, str]:
    """Dummy credentials, and the embedded AWS in place of the real one."""
    return {
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _provision(parameters: dict[str, str], models: Path | None) -> None:
    """Creates what exists before the first request: buckets, tables and secrets.

    The embedded AWS has one memory for all stacks of a process, so a part of it may exist already.
    """
    s3 = boto3.client("s3")
    for bucket in (BUCKET, MODELS_BUCKET):
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})
    for model in models.iterdir() if models else ():
        s3.upload_file(str(model), MODELS_BUCKET, model.name)
    described = template.load()
    dynamodb = boto3.client("dynamodb")
    for table in template.tables(RESOURCES):
        with suppress(dynamodb.exceptions.ResourceInUseException):
            dynamodb.create_table(**table)
    for parameter, secret in (
        ("SlideScoreSecretParameter", SECRET),
        ("KiliSecretParameter", KILI_SECRET),
        ("KiliApiKeyParameter", KILI_API_KEY),
        ("AiwareSecretParameter", AIWARE_SECRET),
    ):
        name = parameters.get(parameter, described["Parameters"][parameter]["Default"])
        boto3.client("ssm").put_parameter(Name=name, Value=secret, Type="SecureString", Overwrite=True)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host
