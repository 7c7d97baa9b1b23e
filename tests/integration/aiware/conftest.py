"""The whole stack with beats of a second, and videos that are done in no time."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from clips import video

from local import stack, stepfunctions
from local.simulators.aiware import MediaServer, Task, Toolkit, samples
from local.stack import Stack


@pytest.fixture(scope="module")
def aiware_stack(running_stack: Stack) -> Stack:
    """A module may have a stack with other parameters."""
    return running_stack


@dataclasses.dataclass
class Engine:
    """The engine's webhooks, the toolkit that calls them, and the server of its media."""

    url: str
    stack: Stack
    toolkit: Toolkit
    media: MediaServer

    def process(self, name: str = "still.mp4", content: bytes | None = None, **fields: Any) -> Task:
        """A chunk by its cacheURI. content: of the file, four seconds of a face when left out."""
        kind = "image/jpeg" if name.endswith(".jpg") else "video/mp4"
        address = self.media.add(name, video() if content is None else content, kind)
        return self.toolkit.process(
            f"{self.url}/process",
            **{
                "cacheURI": address,
                "chunkMimeType": kind,
                "payload": '{"segmentMs": 1000, "sampleMs": 500}',
                "maxTTL": 60,
                "chunkContext": f"{name}-{len(self.toolkit.tasks)}.in",
                **fields,
            },
        )

    def video(self) -> bytes:
        """Four seconds of a face."""
        return video()

    def picture(self) -> bytes:
        """A face, as a JPEG."""
        return samples.face_jpeg()

    def forget(self, task: Task) -> None:
        """The record of a task's job is lost."""
        table = boto3.resource("dynamodb").Table(stack.RESOURCES["JobsTable"])
        table.delete_item(Key={"job": task.job, "sequence": 0})

    def executions(self, task: Task) -> list[dict[str, Any]]:
        """Of a task's job, all attempts."""
        client = boto3.client("stepfunctions")
        executions = client.list_executions(stateMachineArn=stack.RESOURCES["AiwareEngine"])["executions"]
        assert task.job is not None
        return [execution for execution in executions if execution["name"].startswith(task.job.rpartition("-")[0])]

    def ended(self, task: Task) -> list[str]:
        """The statuses of those executions, once none is running."""
        client = boto3.client("stepfunctions")
        for execution in self.executions(task):
            while client.describe_execution(executionArn=execution["executionArn"])["status"] == "RUNNING":
                threading.Event().wait(0.05)
        return [execution["status"] for execution in self.executions(task)]

    def record(self, task: Task) -> dict[str, Any]:
        """Of a task's job, as it is in the table."""
        table = boto3.resource("dynamodb").Table(stack.RESOURCES["JobsTable"])
        return table.get_item(Key={"job": task.job, "sequence": 0})["Item"]


@pytest.fixture
def engine(aiware_stack: Stack) -> Iterator[Engine]:
    """Whatever goes wrong, nobody may call the toolkit against its protocol."""
    toolkit, media = aiware_stack.toolkit, aiware_stack.media
    toolkit.violations.clear()
    yield Engine(aiware_stack.engine, aiware_stack, toolkit, media)
    toolkit.faults.clear()
    media.faults.clear()
    stepfunctions.mishaps.clear()
    assert toolkit.violations == []
