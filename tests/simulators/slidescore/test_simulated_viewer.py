"""The simulated viewer: what it sends to a webhook, and what it objects to in an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from slidescore_client import IMAGE, Client, anno2_zip

from local.listener import Dropped, Listener, Reply, Request
from local.simulators.slidescore import SlideScore

pytestmark = pytest.mark.thorough

BODY = {"host": "", "imageid": IMAGE, "answers": [], "apitoken": ""}
TRIANGLE = [{"x": 0, "y": 0}, {"x": 700, "y": 0}, {"x": 0, "y": 500}]
POLYGON = {"type": "polygon", "points": TRIANGLE}


class Webhook:
    """A webhook with a chosen answer. times_given_up: how often it gives its token up."""

    def __init__(self, server: SlideScore) -> None:
        self.received: list[dict[str, object]] = []
        self.answer: Callable[[Client], Reply] = lambda _: results([])
        self.times_given_up = 1
        self._server = server

    def __call__(self, request: Request) -> Reply:
        body = json.loads(request.read(request.unread))
        self.received.append(body)
        client = Client(self._server)
        client.token = body.get("apitoken", client.token)
        reply = self.answer(client)
        for _ in range(self.times_given_up):
            client.api("GiveUpToken", "POST")
        return reply


def results(items: object) -> Reply:
    return Reply(body=json.dumps(items).encode())


@pytest.fixture
def webhook(server: SlideScore) -> Webhook:
    return Webhook(server)


@pytest.fixture
def url(webhook: Webhook) -> Iterator[str]:
    with Listener("127.0.0.1", 0, webhook) as listener:
        yield f"{listener.origin}/slidescore"


class TestTrigger:
    def test_fills_in_its_origin_and_a_fresh_token(self, server: SlideScore, webhook: Webhook, url: str) -> None:
        first, second = server.trigger(url, BODY), server.trigger(url, BODY)
        assert [body["host"] for body in webhook.received] == [server.origin] * 2
        assert [body["apitoken"] for body in webhook.received] == [first.token, second.token]
        assert first.token != second.token
        assert BODY["apitoken"] == ""

    def test_tells_status_results_text_size_and_time(self, server: SlideScore, webhook: Webhook, url: str) -> None:
        item = {"type": "text", "name": "Count", "value": "12 µm"}
        webhook.answer = lambda _: results([item])
        viewed = server.trigger(url, BODY)
        assert (viewed.status, viewed.results, json.loads(viewed.text)) == (200, [item], [item])
        assert viewed.bytes == len(json.dumps([item]))
        assert viewed.seconds > 0
        assert viewed.problems == []

    def test_no_answer_is_a_problem(self, server: SlideScore, webhook: Webhook, url: str) -> None:
        def hangs_up(_: Client) -> Reply:
            raise Dropped

        webhook.answer = hangs_up
        viewed = server.trigger(url, BODY)
        assert (viewed.status, viewed.results) == (0, [])
        assert viewed.problems == ["no answer: ProtocolError", "the token was given up 0 times, not once"]

    @pytest.mark.parametrize("times", [0, 2])
    def test_a_token_not_given_up_once_is_a_problem(
        self, server: SlideScore, webhook: Webhook, url: str, times: int
    ) -> None:
        webhook.times_given_up = times
        assert server.trigger(url, BODY).problems == [f"the token was given up {times} times, not once"]


class TestObjections:
    @pytest.mark.parametrize(
        "item",
        [
            {"type": "polygons", "name": "Nuclei", "value": [POLYGON, POLYGON], "color": "#00ffAA"},
            {"type": "points", "name": "Centres", "value": TRIANGLE},
            {"type": "text", "name": "Count", "value": "No nuclei found"},
        ],
    )
    def test_none_to_a_good_result(self, server: SlideScore, webhook: Webhook, url: str, item: object) -> None:
        webhook.answer = lambda _: results([item])
        assert server.trigger(url, BODY).problems == []

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"<html>", "the answer is not JSON"),
            (b"[NaN]", "the answer is not JSON"),
            (b'{"status":"processing"}', "the answer is not a JSON array of objects"),
            (b"[1]", "the answer is not a JSON array of objects"),
        ],
    )
    def test_to_a_body_that_is_no_list_of_results(
        self, server: SlideScore, webhook: Webhook, url: str, body: bytes, problem: str
    ) -> None:
        webhook.answer = lambda _: Reply(body=body)
        viewed = server.trigger(url, BODY)
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
    def test_to_a_bad_result(
        self, server: SlideScore, webhook: Webhook, url: str, change: dict[str, object], problem: str
    ) -> None:
        good = {"type": "polygons", "name": "Nuclei", "value": [POLYGON]}
        webhook.answer = lambda _: results([good, good | change])
        assert server.trigger(url, BODY).problems == [f"result 1: {problem}"]

    @pytest.mark.parametrize("key", ["type", "name", "value"])
    def test_to_a_result_that_lacks_something(self, server: SlideScore, webhook: Webhook, url: str, key: str) -> None:
        item = {"type": "text", "name": "Count", "value": "12"}
        del item[key]
        webhook.answer = lambda _: results([item])
        assert server.trigger(url, BODY).problems == [f"result 0: no {key}"]


class TestAnno2:
    @pytest.mark.parametrize(
        ("items", "kind", "color", "problems"),
        [
            (1, "polygons", "#102030", []),
            (1, "heatmap", "Turbo", []),
            (1, "polygons", "Turbo", ["result 0: color 'Turbo'"]),
            (0, "polygons", "#102030", ["result 0: the anno2 is empty"]),
        ],
    )
    def test_is_judged_by_what_was_uploaded(
        self, server: SlideScore, webhook: Webhook, url: str, items: int, kind: str, color: str, problems: list[str]
    ) -> None:
        def answer(client: Client) -> Reply:
            anno = client.upload(anno2_zip(items, kind))
            return results([{"type": "anno2", "name": "Nuclei", "value": anno, "color": color}])

        webhook.answer = answer
        assert server.trigger(url, BODY).problems == problems

    def test_must_be_finished(self, server: SlideScore, webhook: Webhook, url: str) -> None:
        def answer(client: Client) -> Reply:
            return results([{"type": "anno2", "name": "Nuclei", "value": client.create()[1]}])

        webhook.answer = answer
        (problem,) = server.trigger(url, BODY).problems
        assert problem.endswith("was not finished before the answer")
