"""The state machine that does a job's work: started once for each job, and released from its waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from annohooks.core.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

_GONE = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


@cache
def client() -> SFNClient:
    """One client of Step Functions per process, made when first needed."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
    return boto3.client("stepfunctions", config=config)


def start(state_machine: str, job: str) -> bool:
    """Starts a job's execution, which has the job's name; one that is running is left alone. The input is the id alone.

    False if an execution of that name has ended already. Raises Unavailable if Step Functions do not start it.
    """
    from botocore.exceptions import ClientError

    with _errors():
        try:
            client().start_execution(
                stateMachineArn=state_machine, name=job, input=msgspec.json.encode({"job": job}).decode()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
                return False
            raise
    return True


def release(token: str) -> None:
    """Ends a wait. One that has ended by itself is no error."""
    from botocore.exceptions import ClientError

    with _errors():
        try:
            client().send_task_success(taskToken=token, output="{}")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise


def is_there(state_machine: str) -> bool:
    """Whether executions can be started. Raises Unavailable if Step Functions do not say."""
    with _errors():
        return client().describe_state_machine(stateMachineArn=state_machine)["status"] == "ACTIVE"


@contextmanager
def _errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("Step Functions cannot be used at the moment.") from error
