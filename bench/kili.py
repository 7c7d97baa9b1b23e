"""The simulated Kili and an embedded AWS, in a process of their own, for the benchmarks of an event.

    python -m bench.kili

It prints a line of JSON with the environment variables by which each side finds them. Then it answers each line that it
reads with a line of JSON: `submit` with a new label's id and its event as API Gateway hands it to a function, a label's
id with what Kili knows of it.
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
SMALL_TOO = [{"x": 0.87, "y": 0.36}, {"x": 0.87, "y": 0.27}, {"x": 0.99, "y": 0.27}, {"x": 0.99, "y": 0.36}]
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
        for number, vertices in enumerate((TOO_LARGE, SMALL, SMALL_TOO))
    ]
    return {"JOB_0": {"annotations": boxes}}


class Kili:
    """The process, in a `with` block. variables: by side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.kili"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.variables: dict[str, dict[str, str]] = self._said()

    def __enter__(self) -> Kili:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def submit(self) -> dict[str, Any]:
        """Submits the label on an asset of its own. Returns its id and its event."""
        return self._said("submit")

    def checked(self, label_id: str) -> str:
        """What became of a label, in words. Raises ValueError when it is not what should."""
        known = self._said(label_id)
        if (known["issues"], known["sent_back"]) != (ISSUES, True):
            raise ValueError(f"not what should become of the label: {known}")
        return f"{ISSUES} issues raised, asset sent back, {known['requests']} requests to Kili"

    def _said(self, *line: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        for word in line:
            print(word, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def event(body: dict[str, Any], secret: str) -> dict[str, Any]:
    """A POST as API Gateway hands it to a function."""
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
    """Ends when its input does."""
    from local import stack

    out, sys.stdout = sys.stdout, sys.stderr

    def say(what: Any) -> None:
        print(json.dumps(what), file=out, flush=True)

    with stack.running() as running:
        kili = running.kili
        kili.add_project(PROJECT, json_interface=INTERFACE)
        ours = {
            "KILI_ENDPOINT": kili.endpoint,
            "KILI_STORAGE_ORIGINS": kili.storage,
            "KILI_TABLE": stack.RESOURCES["IdempotencyTable"],
        }
        theirs = {"KILI_API_ENDPOINT": kili.endpoint, "KILI_API_KEY": kili.api_key}
        say({"ours": running.environment | ours, "theirs": theirs})
        numbers = count()
        for line in map(str.strip, sys.stdin):
            if line == "submit":
                asset = kili.add_asset(PROJECT, f"bench-{next(numbers)}", width=1920, height=1080)
                label = kili.submit(asset, json_response())
                kili.calls.clear()
                say({"id": label, "event": event(kili.event(label), stack.KILI_SECRET)})
            else:
                issues = [issue for issue in kili.issues if issue["label"] == line and issue["status"] == "OPEN"]
                sent_back = kili.labels[line]["asset"] in kili.sent_back
                say({"issues": len(issues), "sent_back": sent_back, "requests": len(kili.calls)})


if __name__ == "__main__":
    main()
