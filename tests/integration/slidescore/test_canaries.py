"""No token, secret or name appears in a log, an answer or an anno2, whatever the outcome of a request."""

from __future__ import annotations

import io
import json
import re
import zipfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import urllib3
from triggers import WITH_HOLES, rect, through_url, trigger_body

from annohooks.core import observability
from annohooks.core.observability import logger
from annohooks.slidescore import analysis
from local.lambdas import Context
from local.simulators.slidescore import FAULTS, SlideScore

Start = Callable[..., Any]
SECRET = "canary/Secret+4711=="
TOKEN = "eyJcanary/Token+4711"
NAMES = {
    "imagename": 'canary "Mustermann" \\ 4711.svs',
    "casename": "canary Müller, O'Hara & Söhne 4711",
    "email": "canary.4711+person@example.org",
}
OTHERS = {"webhookname": "canary-webhook-4711", "caseid": "canary-case-4711", "canary-key-4711": {"canary-4711": 1}}
CANARY = re.compile(r"canary|mustermann|o'hara|person@", re.IGNORECASE)


class Outcome(NamedTuple):
    """The outcome of a request: its cause and its status."""

    name: str
    status: int
    body: Mapping[str, Any] = MappingProxyType({})
    faults: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    query: str = ""


CANARY_ANSWERS = {"Comment": "canary-comment-4711", "canary-question-4711": "canary-answer-4711"}
SLOW = ("slow", "slow_pixels")
SHORT_TIMEOUT = {"SLIDESCORE_READ_TIMEOUT_S": "0.2"}
STATUS_OF_FAULT = dict.fromkeys(FAULTS, 502) | dict.fromkeys(
    ("http_503_once", "upload_breaks", "upload_conflict", "absolute_location", "give_up_fails"), 200
)
OUTCOMES = [
    Outcome("outlines", 200),
    Outcome("an anno2", 200, {"answered": WITH_HOLES}),
    Outcome("more answers", 200, {"answered": CANARY_ANSWERS}),
    Outcome("nothing found", 200, {"imageid": 3}),
    Outcome("the secret in the address", 200, {"secret": ...}, query=f"?key={SECRET}".replace("+", "%2B")),
    Outcome("a wrong secret", 401, {"secret": "canary-wrong-secret-4711"}),
    Outcome("a wrong secret in the address", 401, {"secret": ...}, query="?key=canary-wrong-secret-4711"),
    Outcome("a secret of a wrong type", 401, {"secret": {SECRET: SECRET}}),
    Outcome("no secret to compare with", 401, environment={"SLIDESCORE_SECRET_PARAMETER": "/annohooks/tests/none"}),
    Outcome("no image", 400, {"imageid": ...}),
    Outcome("an image of a wrong type", 400, {"imageid": "canary-image-4711"}),
    Outcome("a slide that is not there", 502, {"imageid": 987}),
    Outcome("answers of a wrong type", 400, {"answers": "canary-answers-4711"}),
    Outcome("answers that are nameless", 400, {"answers": [{"canary-4711": "canary-4711"}]}),
    Outcome("an unknown analysis", 400, {"answered": {"Analysis": "canary-analysis-4711"}}),
    Outcome("an unknown analyzer", 400, {"analyzer": "canary-analyzer-4711"}),
    Outcome("a text for a number", 400, {"answered": {"Nuclei: smallest area in um2": "canary-number-4711"}}),
    Outcome("an unknown choice", 400, {"answered": {"Nuclei: stain": "canary-stain-4711"}}),
    Outcome("an unknown question", 400, {"answered": {"Nuclei: canary-question-4711": "canary-answer-4711"}}),
    Outcome("a region that is no shape", 400, {"answered": {"ROI": "canary-region-4711"}}),
    Outcome("a region of an unknown type", 400, {"answered": {"ROI": '[{"type": "canary-4711"}]'}}),
    Outcome("an unfinished region", 400, {"answered": {"ROI": json.dumps([rect(None, None, None, None)])}}),
    Outcome("a body over the limit", 413, {"casename": "canary " * 200}, environment={"MAX_BODY_BYTES": "1000"}),
    Outcome("a server that is not allowed", 403, environment={"SLIDESCORE_ORIGINS": "https://slides.example.org"}),
    Outcome("no study for raw tiles", 400, {"studyid": ...}, environment={"SLIDESCORE_PIXELS": "raw_tiles"}),
    Outcome("no bucket", 503, {"answered": WITH_HOLES}, environment={"STAGING_BUCKET": "no-such-bucket-4711"}),
    *(
        Outcome(fault, status, {"answered": WITH_HOLES}, (fault,), SHORT_TIMEOUT if fault in SLOW else {})
        for fault, status in STATUS_OF_FAULT.items()
    ),
]


@pytest.fixture
def start(bundle: Start, secrets: Start) -> Start:
    """The function with a secret that is a canary."""

    def start(**environment: str) -> Any:
        parameter = environment.pop("SLIDESCORE_SECRET_PARAMETER", None) or secrets(SECRET)
        return bundle(SLIDESCORE_SECRET_PARAMETER=parameter, **environment)

    return start


def assert_no_canary(*texts: str, token: str = TOKEN) -> None:
    for text in texts:
        canary = CANARY.search(text)
        assert canary is None, text[max(0, canary.start() - 200) : canary.end() + 50]
        for spelling in (token, b64encode(token.encode()).decode(), token[4:]):
            assert spelling not in text


def canary_body(**body: Any) -> dict[str, object]:
    return trigger_body(**{"secret": SECRET, **NAMES, **OTHERS, **body})


@pytest.mark.parametrize("outcome", OUTCOMES, ids=[outcome.name for outcome in OUTCOMES])
def test_no_canary_appears_after(start: Start, slidescore: SlideScore, said: Any, outcome: Outcome) -> None:
    slidescore.faults = set(outcome.faults)
    started = start(**outcome.environment)
    viewed = slidescore.trigger(started.url + outcome.query, canary_body(**outcome.body))
    assert viewed.status == outcome.status
    output = said.text()
    assert '"answered"' in output if outcome.status == 200 else '"refused"' in output
    assert "CloudWatchMetrics" in output
    assert_no_canary(output, viewed.text, token=viewed.token)
    for anno2 in slidescore.annos.values():
        with zipfile.ZipFile(io.BytesIO(anno2)) as members:
            assert_no_canary(*(members.read(name).decode("latin-1") for name in members.namelist()))
    slidescore.violations.clear()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f'{{"apitoken": "{TOKEN}", "caseid": canary-4711}}', 400),
        (f'{{"apitoken": "{TOKEN}", "secret": "{SECRET}", "email": "canary-4711', 400),
        (json.dumps([canary_body(apitoken=TOKEN)]), 400),
        (json.dumps(canary_body(apitoken=TOKEN, host="https://canary-4711.example.org")), 403),
        (json.dumps(canary_body(apitoken=TOKEN, host="canary 4711")), 403),
        (json.dumps(canary_body(apitoken=TOKEN, host=["canary-4711"])), 400),
        (json.dumps(canary_body(apitoken=TOKEN, host=...)), 400),
        (json.dumps(canary_body(apitoken=[TOKEN])), 400),
        (json.dumps(canary_body(apitoken=...)), 400),
        (json.dumps(canary_body(host="ORIGIN", apitoken=f"{TOKEN}\r\nX-Other: canary")), 400),
    ],
)
def test_no_canary_appears_after_an_unusable_body(
    start: Start, slidescore: SlideScore, said: Any, body: str, status: int
) -> None:
    content = body.replace("ORIGIN", slidescore.origin).encode()
    reply = urllib3.request("POST", start().url, body=content, retries=False)
    assert reply.status == status
    output = said.text()
    assert '"refused"' in output
    assert_no_canary(output, reply.data.decode())


def test_no_canary_appears_when_the_time_runs_out(start: Start, slidescore: SlideScore, said: Any) -> None:
    token = slidescore.token()
    event = through_url(json.dumps(canary_body(host=slidescore.origin, apitoken=token)))
    answer = start().handler(event, Context("SlideScoreFunction", 1.0))
    assert answer["statusCode"] == 504
    assert_no_canary(said.text(), answer["body"], token=token)


@pytest.mark.parametrize("place", ["in Lambda", "on a developer's machine"])
@pytest.mark.parametrize("error", [KeyError, OSError])
def test_no_canary_appears_after_an_unexpected_error(
    start: Start, said: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception], place: str
) -> None:
    if place == "in Lambda":
        monkeypatch.setattr(observability, "_IN_LAMBDA", True)
        logger.setLevel("INFO")  # as deployed; `said` sets it back

    def fails(fields: dict[str, Any], *_: object) -> None:
        try:
            raise LookupError(str(fields))
        except LookupError as cause:
            raise error(str(fields)) from cause

    monkeypatch.setattr(analysis, "run", fails)
    viewed = start().trigger(canary_body(), given_up=0)
    assert viewed.status == 500
    assert viewed.text == "Something unexpected went wrong; the log of this webhook says where."
    output = said.text()
    assert f"unexpected {error.__name__}" in output
    assert "test_canaries.py" in output  # the place of the error
    if place == "in Lambda":
        assert_no_canary(output.replace("test_canaries", ""), viewed.text, token=viewed.token)
    else:  # a developer reads the whole traceback, without secrets and names
        assert "raise error(str(fields)) from cause" in output
        for secret in (SECRET, viewed.token, *NAMES.values()):
            assert secret not in output


def test_no_canary_appears_after_an_event_that_is_no_request(start: Start, said: Any) -> None:
    with pytest.raises(RuntimeError) as raised:
        start().handler({"canary-4711": TOKEN, "body": json.dumps(canary_body())}, Context("SlideScoreFunction", 9.0))
    assert_no_canary(said.text(), str(raised.value))
    assert raised.value.__suppress_context__


def test_a_canary_would_be_found() -> None:
    for value in (SECRET, TOKEN, *NAMES.values(), *map(str, OTHERS.items())):
        with pytest.raises(AssertionError):
            assert_no_canary(f"before {json.dumps(value)} after")
    with pytest.raises(AssertionError):
        assert_no_canary("before eyJabcdefg after", token="eyJabcdefg")
