"""Every sample event over sockets, through the whole stack, and the demo that shows them to a person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import urllib3

from annohooks.imaging.analyzers import ANALYZERS
from local import demo, slides
from local.demo import __main__ as whole_demo
from local.demo import aiware as demo_of_aiware
from local.demo import kili as demo_of_kili
from local.demo import slidescore as demo_of_slidescore
from local.simulators.aiware import Toolkit, samples
from local.simulators.kili import Kili
from local.simulators.slidescore import SlideScore
from local.stack import Stack

EVENTS = {
    path.relative_to(demo.EVENTS).with_suffix("").as_posix(): path
    for path in sorted(demo.EVENTS.glob("*/*.json"))
}  # fmt: skip
REPLIES = json.loads((demo.EVENTS / "replies.json").read_text())


def read(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(EVENTS[name].read_text())
    return event


def test_every_event_has_a_reply_and_every_reply_an_event() -> None:
    assert EVENTS
    assert EVENTS.keys() == REPLIES.keys()


@pytest.fixture(scope="module")
def running_stack(another_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    """A stack with the template's defaults, to which nobody has posted an event."""
    with another_stack() as running:
        yield running


@pytest.fixture(scope="module")
def sampled(running_stack: Stack) -> None:
    """The media server has what the events name."""
    samples.fill(running_stack.media)


@pytest.fixture
def toolkit(running_stack: Stack, sampled: None) -> Iterator[Toolkit]:
    """The stack's toolkit. Nobody may call it, or answer it, against its protocol."""
    toolkit = running_stack.toolkit
    toolkit.violations.clear()
    yield toolkit
    assert toolkit.violations == []


PLATFORMS = {"aiware": demo_of_aiware, "kili": demo_of_kili, "slidescore": demo_of_slidescore}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_gets_its_reply(
    name: str, running_stack: Stack, slidescore: SlideScore, kili: Kili, toolkit: Toolkit
) -> None:
    platform = PLATFORMS[name.partition("/")[0]]
    assert list(platform.differences(platform.post(running_stack, read(name)), REPLIES[name])) == []


def questions(origin: str, query: str = "") -> list[list[str]]:
    """The questions string, as Slide Score's editor reads it: a question a line, parted by tabs."""
    reply = urllib3.request("GET", f"{origin}/slidescore/questions{query}", retries=False)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    return [line.split("\t") for line in reply.data.decode().splitlines()]


class TestTheQuestionsString:
    def test_asks_for_the_region_first_and_then_for_the_analysis(self, running_stack: Stack) -> None:
        first, second, *_ = questions(running_stack.origin)
        assert first == ["ROI", "AnnoShapes", "#FF0000"]
        titles = {"Dark regions", "DAB positivity", "Density of nuclei", "Nuclei", "Tissue"}  # and a team's own
        assert second[:2] == ["Analysis", "DropDown"]
        assert set(second[2].split(";;")) >= titles

    @pytest.mark.parametrize("analyzer", ANALYZERS)
    def test_asks_for_every_parameter_of_an_analyzer_and_of_no_other(self, running_stack: Stack, analyzer: str) -> None:
        chosen = ANALYZERS[analyzer]
        asked = questions(running_stack.origin, f"?analyzer={analyzer}")[3:]
        assert len(asked) == len(chosen.parameters.__struct_fields__)
        assert all(question[0].startswith(f"{chosen.title}: ") for question in asked)

    def test_has_only_types_that_slide_score_knows_with_options_where_they_are_needed(
        self, running_stack: Stack
    ) -> None:
        for _, kind, *specification in questions(running_stack.origin)[1:]:
            if kind == "DropDown":
                assert all(specification[0].split(";;"))
            else:
                assert (kind, specification) in [("Integer", []), ("Real", [])]

    def test_of_an_analyzer_that_is_not_there_is_an_error_that_names_those_that_are(self, running_stack: Stack) -> None:
        reply = urllib3.request("GET", f"{running_stack.origin}/slidescore/questions?analyzer=astrology", retries=False)
        assert (reply.status, reply.data.decode()) == (
            400,
            f"There is no such analyzer; there are {', '.join(ANALYZERS)}.\n",
        )

    def test_answered_with_the_defaults_it_shows_gives_what_no_answers_give(
        self, running_stack: Stack, slidescore: SlideScore
    ) -> None:
        body = json.loads(read("slidescore/dark_regions_of_an_older_server")["body"])
        with_defaults = [
            {"name": name, "value": default[:-1]}
            for name, _, default in (
                question[0].partition(" (default ") for question in questions(running_stack.origin)
            )
            if default
        ]
        assert len(with_defaults) == sum(len(analyzer.parameters.__struct_fields__) for analyzer in ANALYZERS.values())
        answered = body | {"answers": [*body["answers"], *with_defaults]}
        plain, chosen = (slidescore.trigger(f"{running_stack.origin}/slidescore", each) for each in (body, answered))
        assert plain.status == chosen.status == 200
        assert [each for each in chosen.results if each["type"] != "anno2"] == [
            result for result in plain.results if result["type"] != "anno2"
        ]
        first, second = slidescore.annos.values()
        assert first == second


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the demo's pictures."""
    monkeypatch.setattr(demo, "OUT", tmp_path / "out")
    demo.OUT.mkdir()
    return demo.OUT


class TestThePicturesOfTheDemo:
    @pytest.mark.parametrize(
        "name", ["nuclei_in_a_rectangle", "dab_positivity_in_a_rectangle", "density_in_a_rectangle"]
    )
    def test_show_what_the_viewer_of_slide_score_got(self, running_stack: Stack, out: Path, name: str) -> None:
        event = read(f"slidescore/{name}")
        viewed = demo_of_slidescore.post(running_stack, event)
        demo_of_slidescore.draw(name, event, viewed, running_stack.slidescore)
        assert_drawn(name)

    def test_show_the_label_that_kili_sent_back(self, running_stack: Stack, out: Path) -> None:
        assert list(demo_of_kili.story(running_stack)) == []
        assert (out / "kili_motorcycle.png").exists()

    def test_show_the_face_that_aiware_was_told(self, running_stack: Stack, out: Path) -> None:
        assert list(demo_of_aiware.picture_at_once(running_stack)) == []
        assert_drawn("aiware_face")


@pytest.mark.thorough
@pytest.mark.usefixtures("forgetful")
def test_the_demo_finds_everything_as_expected_and_draws_it(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert whole_demo.main() == 0
    printed, complaints = capfd.readouterr()
    assert complaints == ""
    assert all(path.stem in printed for path in EVENTS.values())
    with_results = {name.partition("/")[2] for name, reply in REPLIES.items() if reply.get("results")}
    pictures = {path.stem for path in out.glob("*.png")}
    assert pictures == with_results | {"kili_motorcycle", "aiware_face", "aiware_minute"}
    for name in ASSERTIONS:
        assert_drawn(name)


def assert_drawn(name: str) -> None:
    """A picture of the demo shows its result, as far as colours and places tell."""
    ASSERTIONS[name](name)


def _nuclei(name: str) -> None:
    blue, green, red = changed(name, slides.immunohistochemistry().pixels).astype(int).T
    assert 0.02 < len(red) / (3 * 512) ** 2 < 0.5
    assert np.mean(green > np.maximum(blue, red)) > 0.5  # the colour of nuclei


def _grades(name: str) -> None:
    points = changed(name, slides.immunohistochemistry().pixels)
    for grade in ANALYZERS["dab_positivity"].classes:
        bgr = np.frombuffer(bytes.fromhex(grade.color[1:]), np.uint8)[::-1]
        assert np.all(points == bgr, axis=1).sum() > 100


def _map(name: str) -> None:
    _, _, width, height = MAPPED
    over = changed(name, slides.mosaic(5000, 4000).pixels)
    assert 0.5 < len(over) / (0.4 * width * 0.4 * height) < 1.1
    assert len(np.unique(over // 32, axis=0)) > 50  # many colours


def _face(name: str) -> None:
    left, _, right, bottom = samples.FACE
    assert outlined(name) == pytest.approx((left, right, bottom), abs=12)


def _face_in_the_film(name: str) -> None:
    film = samples.video()
    faces = [np.array(face)[[0, 2, 3]] * (film.width, film.width, film.height) for face in film.faces[:100] if face]
    assert min(np.abs(face - outlined(name)).max() for face in faces) < 25


ASSERTIONS = {
    "nuclei_in_a_rectangle": _nuclei,
    "dab_positivity_in_a_rectangle": _grades,
    "density_in_a_rectangle": _map,
    "aiware_face": _face,
    "aiware_minute": _face_in_the_film,
}
MAPPED = (300, 200, 2600, 1800)
"""The region of events/slidescore/density_in_a_rectangle.json, on a slide that is drawn at 0.4."""


def changed(name: str, plain: slides.Pixels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels [K, 3], BGR, of a picture that the demo drew where they are not the slide's."""
    drawn = cv2.imread(str(demo.OUT / f"{name}.png"))
    assert drawn is not None
    smooth = cv2.INTER_CUBIC if drawn.shape[0] > plain.shape[0] else cv2.INTER_AREA
    expected = cv2.resize(plain[:, :, ::-1], drawn.shape[1::-1], interpolation=smooth)
    return np.asarray(drawn[np.any(drawn != expected, axis=2)])


def outlined(name: str) -> tuple[int, int, int]:
    """Left, right and bottom of what the demo outlined in a picture."""
    drawn = cv2.imread(str(demo.OUT / f"{name}.png"))
    assert drawn is not None
    rows, columns = np.nonzero(np.all(drawn == demo_of_aiware.OUTLINE, axis=2))
    sides = columns[rows > rows.max() - 20]  # its name is above it, and may be wider
    return sides.min(), sides.max(), rows.max()
