"""The secret and the body of a request. A refused request calls nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from triggers import accepted, refusal, trigger_body

from annohooks.core import auth, observability
from local.simulators.slidescore import SlideScore
from local.stack import SECRET

CANARY = "canary-4711"
OTHER_SECRET = "another-secret-of-32-characters!"
WRONG_SECRET = (401, "The secret is missing or wrong.")
Start = Callable[..., Any]


def post(url: str, body: bytes | dict[str, object]) -> tuple[int, str]:
    """Posts a body without the host and the token that the simulated server would fill in."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = urllib3.request("POST", url, body=content, headers={"Content-Type": "application/json"}, retries=False)
    return reply.status, reply.data.decode()


class TestSecret:
    def test_wrong_or_missing_is_refused_before_anything_else(self, bundle: Start, slidescore: SlideScore) -> None:
        started = bundle()
        for secret in (SECRET[:-1], SECRET + " ", SECRET.upper(), "", ..., None, 7, [SECRET]):
            assert refusal(started.trigger(trigger_body(secret=secret), given_up=0)) == WRONG_SECRET
        assert refusal(started.trigger({"secret": CANARY}, given_up=0)) == WRONG_SECRET
        assert slidescore.calls == []

    @pytest.mark.parametrize("stored", ["too-short", "two are enough, three-of-them-are-not", " ", None])
    def test_is_refused_when_the_parameter_holds_no_usable_one(
        self, bundle: Start, secrets: Start, slidescore: SlideScore, stored: str | None
    ) -> None:
        started = bundle(SLIDESCORE_SECRET_PARAMETER=secrets(stored) if stored else "/annohooks/tests/none")
        for secret in (*(stored or "").split(), stored, SECRET, "", ...):
            assert refusal(started.trigger(trigger_body(secret=secret), given_up=0)) == WRONG_SECRET
        assert slidescore.calls == []

    def test_may_be_either_of_two(self, bundle: Start, secrets: Start) -> None:
        started = bundle(SLIDESCORE_SECRET_PARAMETER=secrets(f"{OTHER_SECRET}\n{SECRET}"))
        for secret in (SECRET, OTHER_SECRET):
            accepted(started.trigger(trigger_body(secret=secret)))
        both = trigger_body(secret=f"{OTHER_SECRET}\n{SECRET}")
        assert refusal(started.trigger(both, given_up=0)) == WRONG_SECRET

    def test_may_be_in_the_url_unless_the_body_holds_one(self, bundle: Start) -> None:
        started = bundle()
        accepted(started.trigger(trigger_body(secret=...), query=f"?key={SECRET}"))
        wrong = trigger_body(secret="not-the-secret-of-this-bundle")
        assert refusal(started.trigger(wrong, query=f"?key={SECRET}", given_up=0)) == WRONG_SECRET
        for query in ("?key=not-the-secret-of-this-bundle", "?key=", f"?secret={SECRET}"):
            assert refusal(started.trigger(trigger_body(secret=...), query=query, given_up=0)) == WRONG_SECRET

    def test_that_cannot_be_read_is_no_error_of_the_caller(
        self, bundle: Start, slidescore: SlideScore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Unreachable:
            def get_parameter(self, **_: object) -> None:
                raise ConnectionError

        started = bundle()
        auth.ssm.cache_clear()
        monkeypatch.setattr(auth.ssm(), "client", Unreachable())
        refused = refusal(started.trigger(trigger_body(), given_up=0))
        auth.ssm.cache_clear()
        assert refused == (503, "The secret of this webhook cannot be read at the moment.")
        assert slidescore.calls == []

    def test_that_is_wrong_is_refused_before_personal_values_are_redacted(
        self, bundle: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spelled: list[str] = []
        monkeypatch.setattr(observability, "_spellings", lambda value: spelled.append(value) or {value})
        body = trigger_body(secret="wrong", imagename="\u00e9" * 400_000)
        assert refusal(bundle().trigger(body, given_up=0)) == WRONG_SECRET
        assert spelled == []


class TestBody:
    def test_that_is_no_json_object_is_refused_without_repeating_it(
        self, bundle: Start, slidescore: SlideScore
    ) -> None:
        url = bundle().url
        for body, message in (
            (b"", "not JSON"),
            (f'{{"email": "{CANARY}", "caseid": }}'.encode(), "not JSON"),
            (f'["{CANARY}"]'.encode(), "not a JSON object"),
            (b"[" * 100_000, "nested too deeply"),
        ):
            status, text = post(url, body)
            assert status == 400
            assert message in text
            assert CANARY not in text
        assert slidescore.calls == []

    @pytest.mark.parametrize(
        ("key", "value"), [("imageid", ...), ("answers", ...), ("imageid", CANARY), ("analyzer", [CANARY])]
    )
    def test_with_an_unusable_key_is_refused_with_its_name_and_the_token_is_given_up(
        self, bundle: Start, slidescore: SlideScore, key: str, value: object
    ) -> None:
        status, text = refusal(bundle().trigger(trigger_body(**{key: value})))
        assert status == 400
        assert key in text
        assert CANARY not in text
        assert [call.path for call in slidescore.calls] == ["/Api/GiveUpToken"]

    @pytest.mark.parametrize("key", ["host", "apitoken"])
    def test_with_an_unusable_host_or_token_is_refused_and_nothing_is_called(
        self, bundle: Start, slidescore: SlideScore, key: str
    ) -> None:
        url = bundle().url
        for value in (..., "", None, 7, [CANARY], {CANARY: CANARY}, CANARY + "\r\nX-Other: 1", CANARY + "\u20ac"):
            status, text = post(url, trigger_body(**{"host": slidescore.origin, "email": CANARY, key: value}))
            assert status in (400, 403)
            assert CANARY not in text
        assert slidescore.calls == []

    def test_over_the_limit_is_refused(self, bundle: Start, slidescore: SlideScore) -> None:
        started = bundle(MAX_BODY_BYTES="5000")
        accepted(started.trigger(trigger_body(imagename="x" * 3000)))
        slidescore.calls.clear()
        refused = refusal(started.trigger(trigger_body(imagename="x" * 5000), given_up=0))
        assert refused == (413, "The request body is over 5000 bytes.")
        assert slidescore.calls == []

    def test_may_come_from_the_templates_of_both_generations_and_lack_unused_keys(self, bundle: Start) -> None:
        started = bundle()
        older = {"analysisid": ..., "analysisname": ..., "webhookid": 4, "webhookname": "annohooks"}
        unused = ("studyid", "imagename", "caseid", "casename", "email", "analysisid", "analysisname")
        for changed in ({}, older, dict.fromkeys(unused, ...), dict.fromkeys(unused, None)):
            assert accepted(started.trigger(trigger_body(**changed))) == [["polygons", "Nuclei"], ["text", "Nuclei"]]
