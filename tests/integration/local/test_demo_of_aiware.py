"""What the demo shows of aiWARE, and what it says is off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from local import demo
from local.demo import aiware
from local.demo.aiware import Answer
from local.simulators.aiware import samples
from local.stack import Stack


def square(left: float, top: float, right: float, bottom: float) -> list[dict[str, float]]:
    return [{"x": left, "y": top}, {"x": right, "y": top}, {"x": right, "y": bottom}, {"x": left, "y": bottom}]


FACE = {"type": "face", "confidence": 0.97, "boundingPoly": square(0.25, 0.5, 0.5, 0.75)}
AION = {"generatedDateUTC": "2026-11-21T07:00:00Z", "object": [FACE]}
EXPECTED = {"status": 200, "says": "generatedDateUTC", "objects": ["face"]}


class TestDifferences:
    def test_there_are_none_when_the_answer_is_as_expected(self) -> None:
        assert list(aiware.differences(Answer(200, json.dumps(AION)), EXPECTED)) == []

    @pytest.mark.parametrize(
        ("answer", "expected", "says"),
        [
            (Answer(503, "not now"), {"status": 200}, "status 503, not 200: not now"),
            (Answer(400, "the form"), {"status": 400, "says": "maxTTL"}, "does not say 'maxTTL': the form"),
            (Answer(200, json.dumps(AION)), {**EXPECTED, "objects": []}, "objects ['face'], not []"),
            (Answer(200, json.dumps({**AION, "object": [{**FACE, "confidence": 2}]})), EXPECTED, "confidence"),
            (Answer(200, "{}", "FAILED"), {"status": 200, "state": "COMPLETE"}, "the job is FAILED, not COMPLETE"),
        ],
    )
    def test_are_said_one_by_one(self, answer: Answer, expected: dict[str, Any], says: str) -> None:
        (difference,) = aiware.differences(answer, expected)
        assert says in difference


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Answer(204, ""), "-"),
        (Answer(401, "No.\n"), "No."),
        (Answer(200, json.dumps(AION)), "face 0.97"),
        (Answer(200, json.dumps({**AION, "object": []})), "no objects"),
        (
            Answer(200, '{"estimatedProcessingTimeInSeconds":9}', "COMPLETE"),
            '{"estimatedProcessingTimeInSeconds":9}, and then COMPLETE',
        ),
    ],
)
def test_an_answer_is_a_line(answer: Answer, line: str) -> None:
    assert aiware.summary(answer) == line


def outline(picture: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Left, right and bottom of what is outlined."""
    rows, columns = np.nonzero(np.all(picture == aiware.OUTLINE, axis=2))
    sides = columns[rows > rows.max() - 20]  # the caption above may be wider
    return sides.min(), sides.max(), rows.max()


def test_an_object_is_outlined_where_its_polygon_is() -> None:
    picture = aiware.drawing(np.zeros((400, 600, 3), np.uint8), [FACE], "a title")
    assert outline(picture) == pytest.approx((150, 300, 300), abs=2)
    assert (picture[400:] == 255).mean() > 0.9  # the title's place
    assert (picture[400:] < 128).any()
    assert not picture[310:400].any()


def test_the_frame_is_that_of_which_a_result_is_surest_with_what_is_there_at_that_time(tmp_path: Path) -> None:
    film = samples.video(20)
    number = next(number for number, face in enumerate(film.faces) if face and number % film.fps == 5)
    face, at_ms = film.faces[number], number * 1000 // film.fps
    assert face is not None
    surest = {"startTimeMs": at_ms, "stopTimeMs": at_ms + 500, "object": {**FACE, "boundingPoly": square(*face)}}
    others = [
        {**surest, "startTimeMs": start_ms, "stopTimeMs": stop_ms, "object": {**FACE, "confidence": 0.5}}
        for start_ms, stop_ms in ((at_ms - 500, at_ms), (at_ms + 500, at_ms + 1000))
    ]
    result = {
        "index": 1,
        "startOffsetMs": 0,
        "endOffsetMs": 20_000,
        "output": {"series": [others[0], surest, others[1]]},
    }
    drawn = aiware.first_frame(film.content, result)
    left, _, right, bottom = np.multiply(face, (film.width, film.height) * 2)
    assert outline(drawn) == pytest.approx((left, right, bottom), abs=3)

    (tmp_path / "film.mp4").write_bytes(film.content)
    capture = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    frames = [capture.read()[1] for _ in range(number + 1)]
    below = slice(int(bottom) + 5, film.height)
    assert np.array_equal(drawn[below], frames[number][below])
    assert not np.array_equal(drawn[below], frames[number - 1][below])


@pytest.mark.thorough
def test_a_job_that_goes_wrong_is_shown_to_its_end_and_said_to_be_off(
    running_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(aiware, "say", shown.append)
    monkeypatch.setattr(demo, "OUT", tmp_path)
    running_stack.media.faults.add("status_404")
    try:
        problems = list(aiware.minute_of_video(running_stack))
    finally:
        running_stack.media.faults.clear()
    assert len(problems) == 2
    assert problems[0].startswith("the job is FAILED: url_not_found")
    assert problems[1] == "results [], not [1, 2, 3, 4, 5, 6]"
    assert shown[-1].split()[1:3] == ["heartbeat", "failed"]
    assert list(tmp_path.iterdir()) == []
