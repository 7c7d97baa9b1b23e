"""The state machine that does the work of a job: its execution is started once, and released from its waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from annohooks.core.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

_ENDED_WAIT = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


@cache
def client() -> SFNClient:
    """One client of Step Functions per process, made when first needed."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
    return boto3.client("stepfunctions", config=config)


def start(state_machine: str, job_id: str) -> bool:
    """Starts the execution of a job. Its name and its input are the job's id. One that is running is left alone.

    Returns False if an execution of that name has ended already. Raises Unavailable if Step Functions do not start it.
    """
    from botocore.exceptions import ClientError

    with _errors():
        try:
            client().start_execution(
                stateMachineArn=state_machine, name=job_id, input=msgspec.json.encode({"job": job_id}).decode()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
                return False
            raise
    return True


def release(token: str) -> None:
    """Ends a wait. Does nothing if it has ended by itself."""
    from botocore.exceptions import ClientError

    with _errors():
        try:
            client().send_task_success(taskToken=token, output="{}")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ENDED_WAIT:
                raise


def is_there(state_machine: str) -> bool:
    """Whether executions can be started. Raises Unavailable if Step Functions do not answer."""
    with _errors():
        return client().describe_state_machine(stateMachineArn=state_machine)["status"] == "ACTIVE"


@contextmanager
def _errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("Step Functions cannot be used at the moment.") from error
