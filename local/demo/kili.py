"""Kili in the demo: the sample events; then a label that is submitted, sent back and corrected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import urllib3
from numpy.typing import NDArray

from local import demo, pictures, stack
from local.demo import EVENTS, say
from local.simulators.kili import Kili, samples

ASSET = "motorcycle"
_ROW = "{:<32} {:>6}  {}"
_RED, _GREEN = (60, 60, 230), (80, 200, 80)
_PANEL_PX = 60  # height of the text below a picture


def run(running: stack.Stack) -> list[str]:
    """Posts every event and plays the story. Returns what is not as expected."""
    replies = json.loads((EVENTS / "replies.json").read_text())
    say(_ROW.format("event", "status", "answer"))
    problems = []
    for path in sorted((EVENTS / "kili").glob("*.json")):
        reply = post(running, json.loads(path.read_text()))
        say(_ROW.format(path.stem, reply.status, summary(reply.data.decode())))
        problems += [f"{path.stem}: {problem}" for problem in differences(reply, replies[f"kili/{path.stem}"])]
    problems += [f"the story: {problem}" for problem in story(running)]
    return problems + [f"protocol violation: {violation}" for violation in running.kili.violations]


def post(running: stack.Stack, event: dict[str, Any]) -> urllib3.BaseHTTPResponse:
    """Posts an event over a socket as Kili does."""
    url = f"{running.origin}{event['path']}"
    return urllib3.request(
        event["httpMethod"], url, body=event["body"], headers=event["headers"], timeout=60, retries=False
    )


def differences(reply: urllib3.BaseHTTPResponse, expected: dict[str, Any]) -> Iterator[str]:
    """The differences from events/replies.json: status, text, and changes in Kili."""
    text = reply.data.decode()
    if reply.status != expected["status"]:
        yield f"status {reply.status}, not {expected['status']}: {text[:200]}"
    if expected.get("says", "") not in text:
        yield f"the answer does not say {expected['says']!r}: {text[:200]}"
    if "done" in expected and json.loads(text).get("done") != expected["done"]:
        yield f"done {json.loads(text).get('done')}, not {expected['done']}"


def summary(text: str) -> str:
    """An answer in one line."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text.strip()
    if "done" not in answer:
        return ", ".join(f"{key}: {answer[key]}" for key in ("error", "ignored") if key in answer)
    done = answer["done"]
    words = [f"{done[what]} {what}" for what in ("created", "kept", "resolved")]
    words += ["sent back"] * done["sent_back"] + [fault["reason"] for fault in answer.get("left_out", [])]
    return ", ".join(words) + "".join(f"; {finding['text']}" for finding in answer.get("findings", []))


def story(running: stack.Stack) -> Iterator[str]:
    """Registers a webhook, submits a label with two mistakes, then a corrected one. Yields what is not as expected.

    Kili posts every event three times at once. Its effects must come once.
    """
    kili = running.kili
    kili.add_asset(samples.PROJECT, ASSET, external_id="motorcycle.png", width=741, height=500)
    registered = register(running)
    if registered.returncode:
        yield f"the webhook could not be registered: {registered.stderr}"
    say("\nmake register-kili\n" + registered.stdout.strip())
    kili.faults.add("duplicate_delivery")
    drawings = []
    for title, label, statuses, asset_status, times_sent_back in (
        ("submitted, two mistakes", samples.WITH_TWO_MISTAKES, ["OPEN", "OPEN"], "ONGOING", 1),
        ("submitted again, corrected", samples.CORRECTED, ["SOLVED", "SOLVED"], "LABELED", 1),
    ):
        before = len(kili.deliveries)
        kili.submit(ASSET, label)
        kili.settle()
        say(f"\n{title}: the event was posted {len(kili.deliveries) - before} times")
        for issue in issues(kili):
            say(f"    issue {issue['status']:<7} on {issue['mid'] or 'the label'}: {issue['text']}")
        status, sent_back = kili.assets[ASSET]["status"], kili.sent_back.count(ASSET)
        say(f"    asset {status}, sent back {sent_back} time{'s' if sent_back != 1 else ''} in all")
        issue_statuses = [issue["status"] for issue in issues(kili)]
        if (issue_statuses, status, sent_back) != (statuses, asset_status, times_sent_back):
            yield f"{title}: {issue_statuses}, {status}, sent back {sent_back} times"
        if refused := [delivery.text for delivery in kili.deliveries[before:] if delivery.status != 200]:
            yield f"{title}: {refused}"
        drawings.append(drawing(title, label, issues(kili), status))
    kili.faults.clear()
    cv2.imwrite(str(demo.OUT / "kili_motorcycle.png"), np.vstack(drawings))


def register(running: stack.Stack) -> subprocess.CompletedProcess[str]:
    """Registers the webhook as `make register-kili` does."""
    command = [sys.executable, "-m", "annohooks.kili.register", "--url", f"{running.origin}/kili"]
    command += ["--project", samples.PROJECT, "--endpoint", running.kili.endpoint]
    secrets = {"KILI_API_KEY": running.kili.api_key, "KILI_WEBHOOK_SECRET": stack.KILI_SECRET}
    return subprocess.run(command, env={**os.environ, **secrets}, capture_output=True, text=True, check=False)


def issues(kili: Kili) -> list[dict[str, Any]]:
    return [issue for issue in kili.issues if issue["asset"] == ASSET]


def drawing(title: str, label: dict[str, Any], raised: list[dict[str, Any]], status: str) -> NDArray[np.uint8]:
    """The picture with the label's boxes, and the issues' texts below. A box with an open issue is red."""
    picture = pictures.read("motorcycle_left.png")[:, :, ::-1].copy()
    height, width = picture.shape[:2]
    open_issues = [issue for issue in raised if issue["status"] == "OPEN"]
    wrong = {issue["mid"] for issue in open_issues}
    for annotation in label["JOB_0"]["annotations"]:
        vertices = annotation["boundingPoly"][0]["normalizedVertices"]
        ring = np.array([(vertex["x"] * width, vertex["y"] * height) for vertex in vertices])
        color = _RED if annotation["mid"] in wrong else _GREEN
        cv2.polylines(picture, [np.rint(ring).astype(np.int32)], True, color, 3, cv2.LINE_AA)
    panel = np.full((_PANEL_PX, width, 3), 255, np.uint8)
    lines = [f"{title}; asset {status}", *(issue["text"] for issue in open_issues or raised)]
    for number, line in enumerate(lines):
        text = line if not number else f"{raised[number - 1]['status'].lower()}: {line}"
        color = (0, 0, 0) if not number else _RED if open_issues else _GREEN
        cv2.putText(panel, text, (8, 18 + 18 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.38, color, 1, cv2.LINE_AA)
    return np.vstack([picture, panel])
