"""Time runs out: through API Gateway when the API's does, through the function's URL when the function's does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from webhooks import WITH_HOLES, through_api, through_url, webhook

from annohooks.slidescore import client
from local.lambdas import Context
from local.simulators.slidescore import SlideScore

Start = Callable[..., Any]
EVENTS = pytest.mark.parametrize("event", [through_api, through_url])
PLENTY_S = 300.0
STARTED_LATE = "The time for this request ran out while reading the slide's metadata."


class Caller:
    """Calls the handler for a trigger of its own."""

    def __init__(self, slidescore: SlideScore) -> None:
        self.token = slidescore.token()
        self.body = json.dumps(webhook(answered=WITH_HOLES, host=slidescore.origin, apitoken=self.token))

    def status_and_text(self, handler: Callable[..., Any], event: dict[str, Any], left_s: float) -> tuple[int, str]:
        answer = handler(event, Context("SlideScoreFunction", left_s))
        kinds = answer.get("multiValueHeaders", {}).get("content-type") or [answer["headers"]["content-type"]]
        assert kinds == ["application/json" if answer["statusCode"] == 200 else "text/plain; charset=utf-8"]
        return answer["statusCode"], answer["body"]


@pytest.fixture
def caller(slidescore: SlideScore) -> Caller:
    return Caller(slidescore)


@EVENTS
def test_with_time_enough_there_are_results(
    bundle: Start, slidescore: SlideScore, caller: Caller, event: Callable[..., dict[str, Any]]
) -> None:
    status, body = caller.status_and_text(bundle().handler, event(caller.body), PLENTY_S)
    assert status == 200
    assert [result["type"] for result in json.loads(body)] == ["anno2", "text"]
    assert slidescore.given_up == [caller.token]


@EVENTS
@pytest.mark.parametrize("left_s", [0.0, 0.5, 4.9])
def test_with_no_time_to_begin_nothing_is_asked_and_the_token_is_given_up(
    bundle: Start, slidescore: SlideScore, caller: Caller, event: Callable[..., dict[str, Any]], left_s: float
) -> None:
    assert caller.status_and_text(bundle().handler, event(caller.body), left_s) == (504, STARTED_LATE)
    assert slidescore.given_up == [caller.token]
    assert [call.path for call in slidescore.calls] == ["/Api/GiveUpToken"]


@EVENTS
def test_time_that_runs_out_in_the_middle_ends_the_work_and_leaves_enough_to_give_the_token_up(
    bundle: Start, slidescore: SlideScore, caller: Caller, event: Callable[..., dict[str, Any]]
) -> None:
    slidescore.faults.add("slow_pixels")
    started = time.monotonic()
    answer = caller.status_and_text(bundle().handler, event(caller.body), 6.0)
    assert answer == (504, "The time for this request ran out while reading the pixels.")
    assert time.monotonic() - started < 3
    assert slidescore.given_up == [caller.token]


def test_the_api_ends_sooner_than_the_function_and_its_url(bundle: Start, caller: Caller) -> None:
    handler = bundle(API_TIMEOUT_S="5").handler
    assert caller.status_and_text(handler, through_api(caller.body), PLENTY_S) == (504, STARTED_LATE)


def test_the_url_knows_no_end_but_the_functions(bundle: Start, caller: Caller) -> None:
    handler = bundle(API_TIMEOUT_S="5").handler
    assert caller.status_and_text(handler, through_url(caller.body), PLENTY_S)[0] == 200


def test_time_a_request_waited_for_its_function_counts(bundle: Start, slidescore: SlideScore, caller: Caller) -> None:
    event = through_api(caller.body, waited_s=26)
    assert caller.status_and_text(bundle().handler, event, PLENTY_S) == (504, STARTED_LATE)
    assert slidescore.given_up == [caller.token]


def test_a_recorded_event_is_answered_in_spite_of_its_age(bundle: Start, caller: Caller) -> None:
    event = through_api(caller.body, waited_s=86_400)
    assert caller.status_and_text(bundle().handler, event, PLENTY_S)[0] == 200


def test_a_server_that_never_answers_is_not_waited_for_when_the_token_is_given_up(
    bundle: Start, slidescore: SlideScore, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GIVE_UP_S", 0.3)
    slidescore.faults.add("slow")
    started = time.monotonic()
    answer = caller.status_and_text(bundle().handler, through_url(caller.body), 5.2)
    assert answer == (504, STARTED_LATE)
    assert 0.3 < time.monotonic() - started < 2
    assert slidescore.given_up == [caller.token]
