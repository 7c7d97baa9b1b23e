"""The time limit of a request: that of the API through API Gateway, that of the function through its URL."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from triggers import WITH_HOLES, through_api, through_url, trigger_body

from annohooks.slidescore import client
from local.lambdas import Context
from local.simulators.slidescore import SlideScore

Start = Callable[..., Any]
EVENTS = pytest.mark.parametrize("event", [through_api, through_url])
PLENTY_S = 300.0
STARTED_LATE = "The time for this request ran out while reading the slide's metadata."


class Caller:
    """Calls a handler with a trigger of its own."""

    def __init__(self, slidescore: SlideScore) -> None:
        self.token = slidescore.token()
        self.body = json.dumps(trigger_body(answered=WITH_HOLES, host=slidescore.origin, apitoken=self.token))

    def status_and_text(self, handler: Callable[..., Any], event: dict[str, Any], left_s: float) -> tuple[int, str]:
        answer = handler(event, Context("SlideScoreFunction", left_s))
        kinds = answer.get("multiValueHeaders", {}).get("content-type") or [answer["headers"]["content-type"]]
        assert kinds == ["application/json" if answer["statusCode"] == 200 else "text/plain; charset=utf-8"]
        return answer["statusCode"], answer["body"]


@pytest.fixture
def caller(slidescore: SlideScore) -> Caller:
    return Caller(slidescore)


@EVENTS
def test_with_enough_time_there_are_results(
    bundle: Start, slidescore: SlideScore, caller: Caller, event: Callable[..., dict[str, Any]]
) -> None:
    status, body = caller.status_and_text(bundle().handler, event(caller.body), PLENTY_S)
    assert status == 200
    assert [result["type"] for result in json.loads(body)] == ["anno2", "text"]
    assert slidescore.given_up == [caller.token]


@EVENTS
@pytest.mark.parametrize("left_s", [0.0, 4.9])
def test_without_time_to_begin_only_the_token_is_given_up(
    bundle: Start, slidescore: SlideScore, caller: Caller, event: Callable[..., dict[str, Any]], left_s: float
) -> None:
    assert caller.status_and_text(bundle().handler, event(caller.body), left_s) == (504, STARTED_LATE)
    assert slidescore.given_up == [caller.token]
    assert [call.path for call in slidescore.calls] == ["/Api/GiveUpToken"]


@EVENTS
def test_the_work_ends_early_enough_to_give_up_the_token(
    bundle: Start, slidescore: SlideScore, caller: Caller, event: Callable[..., dict[str, Any]]
) -> None:
    slidescore.faults.add("slow_pixels")
    started = time.monotonic()
    answer = caller.status_and_text(bundle().handler, event(caller.body), 5.4)
    assert answer == (504, "The time for this request ran out while reading the pixels.")
    assert time.monotonic() - started < 3
    assert slidescore.given_up == [caller.token]


def test_through_the_api_the_limit_is_that_of_the_api(bundle: Start, caller: Caller) -> None:
    handler = bundle(API_TIMEOUT_S="5").handler
    assert caller.status_and_text(handler, through_api(caller.body), PLENTY_S) == (504, STARTED_LATE)


def test_through_the_url_the_limit_is_that_of_the_function(bundle: Start, caller: Caller) -> None:
    handler = bundle(API_TIMEOUT_S="5").handler
    assert caller.status_and_text(handler, through_url(caller.body), PLENTY_S)[0] == 200


def test_the_time_a_request_waited_for_its_function_counts(
    bundle: Start, slidescore: SlideScore, caller: Caller
) -> None:
    event = through_api(caller.body, waited_s=26)
    assert caller.status_and_text(bundle().handler, event, PLENTY_S) == (504, STARTED_LATE)
    assert slidescore.given_up == [caller.token]


def test_a_recorded_event_is_answered_despite_its_age(bundle: Start, caller: Caller) -> None:
    event = through_api(caller.body, waited_s=86_400)
    assert caller.status_and_text(bundle().handler, event, PLENTY_S)[0] == 200


def test_giving_up_the_token_does_not_wait_for_a_server_that_never_answers(
    bundle: Start, slidescore: SlideScore, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GIVE_UP_S", 0.3)
    slidescore.faults.add("slow")
    started = time.monotonic()
    answer = caller.status_and_text(bundle().handler, through_url(caller.body), 5.2)
    assert answer == (504, STARTED_LATE)
    assert 0.3 < time.monotonic() - started < 2
    assert slidescore.given_up == [caller.token]
