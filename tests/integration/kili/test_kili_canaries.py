"""Neither the API key nor the secret is in anything that the function prints, logs, answers or writes into Kili."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import boto3
import pytest

from annohooks.kili import checking
from local.lambdas import Context
from local.simulators.kili import FAULTS, Kili, samples

Start = Callable[..., Any]
Submit = Callable[..., tuple[str, str]]
SECRET = "canary/Secret+4711=="
KEY = "canary-api-key.4711_x"
IMPATIENT = {"KILI_READ_TIMEOUT_S": "0.2", "API_TIMEOUT_S": "12"}


class Ending(NamedTuple):
    """How a request ends, and what makes it end so."""

    name: str
    faults: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    body: object = None
    secret: str = SECRET


ENDINGS = [
    Ending("issues"),
    Ending("a dry run", environment={"KILI_DRY_RUN": "true"}),
    Ending("a secret with Bearer", secret=f"Bearer {SECRET}"),
    Ending("a wrong secret", secret="canary-wrong-secret-4711"),
    Ending("no table", environment={"KILI_TABLE": "there-is-no-such-table"}),
    Ending("no rules", environment={"KILI_RULES": "ssm:/annohooks/tests/none"}),
    Ending("no JSON", body=f"{{{SECRET}".encode()),
    Ending("no event", body={"key": KEY, "secret": SECRET}),
    Ending("an unknown event", body={"event": "some.thing", "projectId": KEY, "userId": SECRET}),
    Ending("an invalid id", body={"eventType": "onSubmit", "logPayload": {"projectId": SECRET}}),
    Ending("storage that is not allowed", environment={"KILI_STORAGE_ORIGINS": "https://storage.example.org"}),
    *(Ending(fault, (fault,), IMPATIENT) for fault in FAULTS if fault != "duplicate_delivery"),
]


@pytest.fixture
def start(webhook: Start, kili: Kili, secrets: Start) -> Start:
    """The function with a key and a secret that can be recognised."""
    kili.add_user("canary-user", api_key=KEY)
    kili.retry_after = "0"
    given = {"KILI_SECRET_PARAMETER": secrets(SECRET), "KILI_API_KEY_PARAMETER": secrets(KEY)}
    return lambda **environment: webhook(**given, **environment)


def assert_no_secret_in(*texts: str) -> None:
    for text in texts:
        for value in (SECRET, KEY, "canary-wrong-secret-4711"):
            for spelling in (value, value[4:], b64encode(value.encode()).decode(), json.dumps(value)[1:-1]):
                assert spelling not in text, text[max(0, text.find(spelling) - 200) :][:400]


def written(kili: Kili) -> str:
    return json.dumps([kili.issues, kili.assets])


@pytest.mark.parametrize("ending", ENDINGS, ids=[ending.name for ending in ENDINGS])
def test_no_secret_leaks_when_an_event_ends_with(start, kili, submitted, said, ending):
    _, label_id = submitted()
    kili.faults = set(ending.faults)
    answer = start(**ending.environment).post(ending.body or kili.event(label_id), ending.secret)
    spoken = said.text()
    assert '"answered"' in spoken or '"refused"' in spoken
    assert_no_secret_in(
        spoken,
        answer.text,
        written(kili),
        json.dumps(boto3.client("dynamodb").scan(TableName="annohooks-idempotency")["Items"], default=str),
    )


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError])
def test_no_secret_leaks_with_an_unexpected_error(start, kili, submitted, said, monkeypatch, error):
    def fails(*_: object, **__: object) -> None:
        raise error(KEY + SECRET)

    monkeypatch.setattr(checking, "handle", fails)
    answer = start().post(kili.event(submitted()[1]), SECRET)
    spoken = said.text()
    assert (answer.status, f"unexpected {error.__name__}" in spoken) == (500, True)
    assert_no_secret_in(spoken, answer.text)


def test_no_secret_leaks_when_reconciling(start, kili, submitted, said):
    project = kili.add_project("canary-project", json_interface=samples.INTERFACE)
    submitted(project=project)
    kili.faults.plan("http_500", on="createIssues")
    handler = start(KILI_PROJECTS=project).handler("KiliReconcileFunction")
    tally = handler({"secret": SECRET}, Context("reconcile", 600))
    assert tally["found"] == 1
    assert_no_secret_in(said.text(), json.dumps(tally), written(kili))


def test_a_leak_would_be_found():
    for value in (SECRET, KEY):
        with pytest.raises(AssertionError):
            assert_no_secret_in(f"before {json.dumps(value)} after")
