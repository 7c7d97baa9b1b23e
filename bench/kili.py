"""The simulated Kili and an embedded AWS in a separate process, for the benchmark of an event.

    python -m bench.kili

It prints a line of JSON with the environment variables that lead each side to them. Then it answers each line of input
with a line of JSON. The answer to `submit` is a new label's id and its event, as API Gateway gives it to a function.
The answer to a label's id is its state in Kili.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from typing import Any

PROJECT = "bench"
INTERFACE = {
    "jobs": {
        "JOB_0": {
            "mlTask": "OBJECT_DETECTION",
            "tools": ["rectangle"],
            "content": {"categories": {"OBJECT_A": {"name": "Object A"}, "OBJECT_B": {"name": "Object B"}}},
        }
    }
}
TOO_LARGE = [{"x": 0.15, "y": 0.84}, {"x": 0.15, "y": 0.31}, {"x": 0.82, "y": 0.31}, {"x": 0.82, "y": 0.84}]
SMALL = [{"x": 0.79, "y": 0.20}, {"x": 0.79, "y": 0.13}, {"x": 0.91, "y": 0.13}, {"x": 0.91, "y": 0.20}]
ALSO_SMALL = [{"x": 0.87, "y": 0.36}, {"x": 0.87, "y": 0.27}, {"x": 0.99, "y": 0.27}, {"x": 0.99, "y": 0.36}]
ISSUES = 2


def json_response() -> dict[str, Any]:
    """The label of Kili's webhook page: three boxes where one is allowed, one of them larger than a third."""
    boxes = [
        {
            "boundingPoly": [{"normalizedVertices": vertices}],
            "categories": [{"name": "OBJECT_A"}],
            "children": {},
            "mid": f"20221124161451411-{number}",
            "type": "rectangle",
        }
        for number, vertices in enumerate((TOO_LARGE, SMALL, ALSO_SMALL))
    ]
    return {"JOB_0": {"annotations": boxes}}


class Kili:
    """The process, in a `with` block. variables: the environment variables of each side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.kili"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.variables: dict[str, dict[str, str]] = self._ask()

    def __enter__(self) -> Kili:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def submit(self) -> dict[str, Any]:
        """Submits the label on a new asset. Returns its id and its event."""
        return self._ask("submit")

    def outcome(self, label_id: str) -> str:
        """What the webhook did with a label, as text. Raises ValueError if it did not do what the rules require."""
        state = self._ask(label_id)
        if (state["issues"], state["sent_back"]) != (ISSUES, True):
            raise ValueError(f"the label should have {ISSUES} issues, and its asset should be in the queue: {state}")
        return f"{ISSUES} issues raised, asset sent back, {state['requests']} requests to Kili"

    def _ask(self, *questions: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        for question in questions:
            print(question, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def event(body: dict[str, Any], secret: str) -> dict[str, Any]:
    """A POST as API Gateway gives it to a function."""
    headers = {"Authorization": secret, "Content-Type": "application/json", "Host": "api.example.org"}
    return {
        "resource": "/kili",
        "path": "/kili",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {
            "resourcePath": "/kili",
            "httpMethod": "POST",
            "path": "/v1/kili",
            "stage": "v1",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def main() -> None:
    """Runs until its input ends."""
    from local import stack

    out, sys.stdout = sys.stdout, sys.stderr

    def reply(content: Any) -> None:
        print(json.dumps(content), file=out, flush=True)

    with stack.running() as running:
        kili = running.kili
        kili.add_project(PROJECT, json_interface=INTERFACE)
        ours = {
            "KILI_ENDPOINT": kili.endpoint,
            "KILI_STORAGE_ORIGINS": kili.storage,
            "KILI_TABLE": stack.RESOURCES["IdempotencyTable"],
        }
        theirs = {"KILI_API_ENDPOINT": kili.endpoint, "KILI_API_KEY": kili.api_key}
        reply({"ours": running.environment | ours, "theirs": theirs})
        numbers = count()
        for line in map(str.strip, sys.stdin):
            if line == "submit":
                asset = kili.add_asset(PROJECT, f"bench-{next(numbers)}", width=1920, height=1080)
                label = kili.submit(asset, json_response())
                kili.calls.clear()
                reply({"id": label, "event": event(kili.event(label), stack.KILI_SECRET)})
            else:
                issues = [issue for issue in kili.issues if issue["label"] == line and issue["status"] == "OPEN"]
                sent_back = kili.labels[line]["asset"] in kili.sent_back
                reply({"issues": len(issues), "sent_back": sent_back, "requests": len(kili.calls)})


if __name__ == "__main__":
    main()
