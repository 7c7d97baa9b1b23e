"""The simulated viewer: what it sends to a webhook, and what it objects to in an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from slidescore_client import IMAGE, Client, anno2_zip

from local.listener import Dropped, Listener, Reply, Request
from local.simulators.slidescore import SlideScore, Viewed

pytestmark = pytest.mark.thorough

BODY = {"host": "", "imageid": IMAGE, "answers": [], "apitoken": ""}
TRIANGLE = [{"x": 0, "y": 0}, {"x": 700, "y": 0}, {"x": 0, "y": 500}]
POLYGON = {"type": "polygon", "points": TRIANGLE}
POLYGONS = {"type": "polygons", "name": "Nuclei", "value": [POLYGON, POLYGON], "color": "#00ffAA"}
TEXT = {"type": "text", "name": "Count", "value": "12"}


class Webhook(Listener):
    """A webhook with a chosen answer. times_given_up: how often it gives its token up."""

    def __init__(self, server: SlideScore) -> None:
        super().__init__("127.0.0.1", 0, self._answer)
        self.reply: Callable[[Client], object] = lambda _: []
        self.times_given_up = 1
        self._simulated = server

    def viewed(self, reply: Callable[[Client], object] | None = None) -> Viewed:
        self.reply = reply or self.reply
        return self._simulated.trigger(f"{self.origin}/slidescore", BODY)

    def _answer(self, request: Request) -> Reply:
        client = Client(self._simulated)
        client.token = json.loads(request.read(request.unread))["apitoken"]
        content = self.reply(client)
        for _ in range(self.times_given_up):
            client.api("GiveUpToken", "POST")
        return Reply(body=content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.fixture
def webhook(server: SlideScore) -> Iterator[Webhook]:
    with Webhook(server) as webhook:
        yield webhook


class TestTrigger:
    def test_no_answer_is_a_problem(self, webhook):
        def hangs_up(_: Client) -> None:
            raise Dropped

        viewed = webhook.viewed(hangs_up)
        assert (viewed.status, viewed.results) == (0, [])
        assert viewed.problems == ["no answer: ProtocolError", "the token was given up 0 times, not once"]

    @pytest.mark.parametrize("times", [0, 2])
    def test_a_token_not_given_up_once_is_a_problem(self, webhook, times):
        webhook.times_given_up = times
        assert webhook.viewed().problems == [f"the token was given up {times} times, not once"]


class TestObjections:
    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"<html>", "the answer is not JSON"),
            (b"[NaN]", "the answer is not JSON"),
            (b'{"status":"processing"}', "the answer is not a JSON array of objects"),
            (b"[1]", "the answer is not a JSON array of objects"),
        ],
    )
    def test_to_a_body_that_is_no_list_of_results(self, webhook, body, problem):
        viewed = webhook.viewed(lambda _: body)
        assert (viewed.results, viewed.problems) == ([], [problem])

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"type": "heatmap"}, "unknown type 'heatmap'"),
            ({"name": ""}, "the name is no text"),
            ({"color": "blue"}, "color 'blue'"),
            ({"color": "Turbo"}, "color 'Turbo'"),
            ({"value": []}, "polygons is not a list with something in it"),
            ({"value": [{"type": "brush", "points": TRIANGLE}]}, "an entry of polygons is not of type polygon"),
            ({"value": [{"type": "polygon", "points": TRIANGLE[:2]}]}, "a polygon has fewer than three points"),
            ({"type": "points", "value": []}, "points is not a list with something in it"),
            ({"type": "points", "value": [[1, 2]]}, "[1, 2] is no point"),
            ({"type": "points", "value": [{"x": 1.0, "y": 2}]}, "point {'x': 1.0, 'y': 2} is not in whole pixels"),
            ({"type": "points", "value": [{"x": True, "y": 2}]}, "point {'x': True, 'y': 2} is not in whole pixels"),
            ({"type": "points", "value": [{"x": -1, "y": 2}]}, "point {'x': -1, 'y': 2} lies off the slide"),
            ({"type": "points", "value": [{"x": 1, "y": 501}]}, "point {'x': 1, 'y': 501} lies off the slide"),
            ({"type": "text", "value": " "}, "text is not a text with something in it"),
            ({"type": "anno2", "value": "unknown"}, "anno2 'unknown' was not finished before the answer"),
        ],
    )
    def test_to_a_bad_result(self, webhook, change, problem):
        assert webhook.viewed(lambda _: [POLYGONS, POLYGONS | change]).problems == [f"result 1: {problem}"]

    @pytest.mark.parametrize("key", ["type", "name", "value"])
    def test_to_a_result_that_lacks_something(self, webhook, key):
        item = {name: value for name, value in TEXT.items() if name != key}
        assert webhook.viewed(lambda _: [item]).problems == [f"result 0: no {key}"]

    @pytest.mark.parametrize(
        ("items", "kind", "color", "problems"),
        [
            (1, "heatmap", "Turbo", []),
            (1, "polygons", "Turbo", ["result 0: color 'Turbo'"]),
            (0, "polygons", "#102030", ["result 0: the anno2 is empty"]),
        ],
    )
    def test_to_an_anno2_are_of_what_was_uploaded(self, webhook, items, kind, color, problems):
        def answer(client: Client) -> object:
            anno = client.upload(anno2_zip(items, kind))
            return [{"type": "anno2", "name": "Nuclei", "value": anno, "color": color}]

        assert webhook.viewed(answer).problems == problems

    def test_to_an_anno2_that_is_not_finished(self, webhook):
        viewed = webhook.viewed(lambda client: [{"type": "anno2", "name": "Nuclei", "value": client.create()[1]}])
        (problem,) = viewed.problems
        assert problem.endswith("was not finished before the answer")
