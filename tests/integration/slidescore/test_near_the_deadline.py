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
Call = Callable[..., tuple[int, str]]
ENOUGH_S = 300.0
TOO_LATE = (504, "The time for this request ran out while reading the slide's metadata.")
each_event = pytest.mark.parametrize("event", [through_api, through_url])


@pytest.fixture
def call(bundle: Start, slidescore: SlideScore) -> Call:
    """Calls the function with a trigger whose result is an anno2. Its token is given up in every case."""
    token = slidescore.token()
    body = json.dumps(trigger_body(answered=WITH_HOLES, host=slidescore.origin, apitoken=token))

    def call(event: Callable[..., Any], left_s: float, waited_s: float = 0.0, **settings: str) -> tuple[int, str]:
        arrived = event(body, waited_s=waited_s) if waited_s else event(body)
        answer = bundle(**settings).handler(arrived, Context("SlideScoreFunction", left_s))
        types = answer.get("multiValueHeaders", {}).get("content-type") or [answer["headers"]["content-type"]]
        assert types == ["application/json" if answer["statusCode"] == 200 else "text/plain; charset=utf-8"]
        assert slidescore.given_up == [token]
        return answer["statusCode"], answer["body"]

    return call


@each_event
def test_with_enough_time_there_are_results(call: Call, event: Callable[..., Any]) -> None:
    status, body = call(event, ENOUGH_S)
    assert status == 200
    assert [result["type"] for result in json.loads(body)] == ["anno2", "text"]


@each_event
@pytest.mark.parametrize("left_s", [0.0, 4.9])
def test_without_time_to_begin_only_the_token_is_given_up(
    call: Call, slidescore: SlideScore, event: Callable[..., Any], left_s: float
) -> None:
    assert call(event, left_s) == TOO_LATE
    assert [call.path for call in slidescore.calls] == ["/Api/GiveUpToken"]


@each_event
def test_the_work_ends_early_enough_to_give_up_the_token(
    call: Call, slidescore: SlideScore, event: Callable[..., Any]
) -> None:
    slidescore.faults.add("slow_pixels")
    started = time.monotonic()
    assert call(event, 5.4) == (504, "The time for this request ran out while reading the pixels.")
    assert time.monotonic() - started < 3


def test_through_the_api_the_limit_is_that_of_the_api(call: Call) -> None:
    assert call(through_api, ENOUGH_S, API_TIMEOUT_S="5") == TOO_LATE


def test_through_the_url_the_limit_is_that_of_the_function(call: Call) -> None:
    assert call(through_url, ENOUGH_S, API_TIMEOUT_S="5")[0] == 200


def test_the_time_a_request_waited_for_its_function_counts(call: Call) -> None:
    assert call(through_api, ENOUGH_S, waited_s=26) == TOO_LATE


def test_a_recorded_event_is_answered_despite_its_age(call: Call) -> None:
    assert call(through_api, ENOUGH_S, waited_s=86_400)[0] == 200


def test_giving_up_the_token_does_not_wait_for_a_server_that_never_answers(
    call: Call, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GIVE_UP_S", 0.3)
    slidescore.faults.add("slow")
    started = time.monotonic()
    assert call(through_url, 5.2) == TOO_LATE
    assert 0.3 < time.monotonic() - started < 2
