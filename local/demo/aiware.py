"""aiWARE in the demo: the sample events, a picture that is answered at once, and a minute of video as a job."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import urllib3
from numpy.typing import NDArray

from local import demo, stack, stepfunctions
from local.demo import EVENTS, say
from local.simulators.aiware import Message, Task, aion, events, samples

PARAMETERS = {"AiwareHeartbeatSeconds": "1", "AiwareSegmentsAtOnce": "2"}
"""Parameters of template.yaml. The job takes seconds, and should send several heartbeats on any machine."""
SEGMENT_MS, SAMPLE_MS = 10_000, 250
LIMIT_S = 120
OUTLINE = (80, 200, 80)  # BGR

_ROW = "{:<39} {:>6}  {}"
_MESSAGE = "{:>7}  {:<10} {:<9} {:>15}  {}"
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PANEL_PX = 32  # height of the text below a picture

Document = Mapping[str, Any]


def run(running: stack.Stack) -> list[str]:
    """Posts every event, then a picture and a video. Returns what is not as expected."""
    samples.fill(running.media)
    replies = json.loads((EVENTS / "replies.json").read_text())
    say(_ROW.format("event", "status", "answer"))
    problems = []
    for path in sorted((EVENTS / "aiware").glob("*.json")):
        answer = post(running, json.loads(path.read_text()))
        say(_ROW.format(path.stem, answer.status or "-", summary(answer)))
        problems += [f"{path.stem}: {problem}" for problem in differences(answer, replies[f"aiware/{path.stem}"])]
    problems += [f"the picture: {problem}" for problem in picture_at_once(running)]
    problems += [f"the video: {problem}" for problem in minute_of_video(running)]
    return problems + [f"protocol violation: {violation}" for violation in running.toolkit.violations]


# ---- events


class Answer(NamedTuple):
    """An answer. status: None from a function without an API. state: the final state of the job, if there was one."""

    status: int | None
    text: str
    state: str | None = None


def post(running: stack.Stack, event: dict[str, Any]) -> Answer:
    """Posts an event over a socket as the toolkit does, with the addresses of the local stack.

    The simulated toolkit posts an event that becomes a job, because it must know the job's messages. Then this waits
    for the job's end. An event of EventBridge goes directly to its function.
    """
    if "httpMethod" not in event:
        return Answer(None, json.dumps(stepfunctions.call("AiwareReportFunction", event)))
    posted = events.addressed(event, media=running.media.origin, toolkit=running.toolkit.origin)
    if running.media.origin.encode() in events.form(posted):
        item = {name: text for name, text in events.fields(posted).items() if not name.endswith("Webhook")}
        task = running.toolkit.process(f"{running.engine}/process", **item).wait()
        return Answer(task.status, task.text, task.state)
    url, body = f"{running.origin}{event['path']}", events.form(posted) or None
    reply = urllib3.request(event["httpMethod"], url, body=body, headers=event["headers"], timeout=30, retries=False)
    return Answer(reply.status, reply.data.decode())


def differences(answer: Answer, expected: dict[str, Any]) -> Iterator[str]:
    """The differences from events/replies.json (status, text, types of the objects, state of the job), and the
    violations of AION."""
    if answer.status != expected.get("status"):
        yield f"status {answer.status}, not {expected.get('status')}: {answer.text[:200]}"
    if expected.get("says", "") not in answer.text:
        yield f"the answer does not say {expected['says']!r}: {answer.text[:200]}"
    if "objects" in expected and answer.status == 200:
        document = json.loads(answer.text)
        types = [item["type"] for item in objects(document)]
        if types != expected["objects"]:
            yield f"objects {types}, not {expected['objects']}"
        yield from aion.problems(document)
    if answer.state != expected.get("state"):
        yield f"the job is {answer.state}, not {expected.get('state')}"


def summary(answer: Answer) -> str:
    """An answer in one line."""
    if not answer.text.startswith("{"):
        return answer.text.strip() or "-"
    document = json.loads(answer.text)
    if "generatedDateUTC" in document:
        return ", ".join(map(caption, objects(document))) or "no objects"
    return answer.text + (f", and then {answer.state}" if answer.state else "")


def objects(document: Document) -> list[Document]:
    """The objects of an AION document, with or without times."""
    return [*document.get("object", []), *(item["object"] for item in document.get("series", []))]


def caption(item: Document) -> str:
    """An object in a few words."""
    words = [item["type"], item.get("label", "")]
    return " ".join([*filter(None, words), *([f"{item['confidence']:.2f}"] if "confidence" in item else [])])


# ---- a picture, and a minute of video


def picture_at_once(running: stack.Stack) -> Iterator[str]:
    """Posts a picture, which is answered at once with its objects. Yields what is not as expected."""
    task = running.toolkit.process(
        f"{running.engine}/process", chunk=samples.face_jpeg(), chunkMimeType="image/jpeg", maxTTL=LIMIT_S
    )
    items = objects(task.output or {})
    say(f"\na picture: {', '.join(map(caption, items)) or 'no objects'}, answered at once ({task.state})")
    if task.state != "DONE_SYNC" or [item["type"] for item in items] != ["face"]:
        yield f"{task.state}, {len(items)} objects: {task.failure_message or task.text[:200]}"
        return
    pixels = cv2.imdecode(np.frombuffer(samples.face_jpeg(), np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(demo.OUT / "aiware_face.png"), drawing(pixels, items, "a picture, answered at once"))


def minute_of_video(running: stack.Stack) -> Iterator[str]:
    """Posts a video, which becomes a job, and prints its messages as they come. Yields what is not as expected."""
    film = samples.video()
    task = running.toolkit.process(
        f"{running.engine}/process",
        cacheURI=running.media.url("minute.mp4"),
        chunkMimeType="video/mp4",
        endOffsetMS=film.duration_ms,
        maxTTL=LIMIT_S,
        payload={"segmentMs": SEGMENT_MS, "sampleMs": SAMPLE_MS},
    )
    say(f"\na minute of video: answered with {task.text}; a sample every {SAMPLE_MS} ms is analysed")
    say(_MESSAGE.format("seconds", "message", "status", "messagesWritten", "infoMs"))
    for message in arriving(task):
        say(line(message, message.at_s - task.called_at_s))
    results = [result.body for result in task.results]
    if task.state != "COMPLETE":
        yield f"the job is {task.state}: {task.failure} {task.failure_message}"
    expected = list(range(1, film.duration_ms // SEGMENT_MS + 1))
    if [result["index"] for result in results] != expected:
        yield f"results {[result['index'] for result in results]}, not {expected}"
    for result in results:
        if not objects(result["output"]):  # every segment has a face
            yield f"no objects in result {result['index']}"
    if results and results[0]["output"]["series"]:
        cv2.imwrite(str(demo.OUT / "aiware_minute.png"), first_frame(film.content, results[0]))


def arriving(task: Task) -> Iterator[Message]:
    """The heartbeats and results of a task, as they come, until it is over."""
    received: list[Message] = []

    def is_news(task: Task) -> bool:
        return task.over or len(task.heartbeats) + len(task.results) > len(received)

    while True:
        is_over = task.wait(2 * LIMIT_S, is_news).over
        beats = sum("status" in message.body for message in received)
        news = [*task.heartbeats[beats:], *task.results[len(received) - beats :]]
        received += sorted(news, key=lambda message: message.at_s)
        yield from received[len(received) - len(news) :]
        if is_over:
            return


def line(message: Message, seconds: float) -> str:
    """A message as one line of the table. seconds: its time after the request."""
    body = message.body
    if "status" in body:
        columns = ("heartbeat", body["status"], body["messagesWritten"], body["infoMs"])
    else:
        columns = (f"result {body['index']}", "", "", f"{span(body)}: {len(objects(body['output']))} objects")
    return _MESSAGE.format(f"{seconds:.2f}", *columns)


def span(result: Document) -> str:
    """The part of the video that a result covers."""
    return f"{result['startOffsetMs'] / 1000:g} to {result['endOffsetMs'] / 1000:g} s"


# ---- drawing


def first_frame(film: bytes, result: Document) -> NDArray[np.uint8]:
    """The frame in which a result has its most confident object, with all objects of that moment."""
    series = result["output"]["series"]
    at_ms = max(series, key=lambda item: item["object"].get("confidence", 0))["startTimeMs"]
    visible = [item["object"] for item in series if item["startTimeMs"] <= at_ms < item["stopTimeMs"]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        path.write_bytes(film)
        capture = cv2.VideoCapture(str(path))
        capture.set(cv2.CAP_PROP_POS_MSEC, at_ms)
        _, pixels = capture.read()
        capture.release()
    title = f"{at_ms / 1000:g} s into the video; result {result['index']}, {span(result)}: {len(series)} objects"
    return drawing(pixels, visible, title)


def drawing(pixels: NDArray[np.uint8], items: Iterable[Document], title: str) -> NDArray[np.uint8]:
    """A picture BGR [h, w, 3] with AION's objects outlined and named, and a title below."""
    picture = pixels.copy()
    height, width = picture.shape[:2]
    for item in items:
        ring = np.array([(point["x"] * width, point["y"] * height) for point in item["boundingPoly"]])
        outline = np.rint(ring).astype(np.int32)
        cv2.polylines(picture, [outline], True, OUTLINE, 3, cv2.LINE_AA)
        (length, tall), _ = cv2.getTextSize(caption(item), _FONT, 0.6, 1)
        x, y = outline.min(axis=0).tolist()
        y = max(y, tall + 12)  # stays inside the picture
        cv2.rectangle(picture, (x - 1, y - tall - 12), (x + length + 12, y), OUTLINE, cv2.FILLED)
        cv2.putText(picture, caption(item), (x + 5, y - 7), _FONT, 0.6, _WHITE, 1, cv2.LINE_AA)
    panel = np.full((_PANEL_PX, width, 3), 255, np.uint8)
    cv2.putText(panel, title, (8, 21), _FONT, 0.5, _BLACK, 1, cv2.LINE_AA)
    return np.vstack([picture, panel])
