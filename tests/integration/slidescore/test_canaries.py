"""No token, no secret and nobody's name in anything the function prints, logs or answers, however a request ends."""

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
from webhooks import WITH_HOLES, rect, through_url, webhook

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


class Ending(NamedTuple):
    """How a request ends: what leads there, and the status it gets."""

    name: str
    status: int
    body: Mapping[str, Any] = MappingProxyType({})
    faults: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    query: str = ""


TELLTALE_ANSWERS = {"Comment": "canary-comment-4711", "canary-question-4711": "canary-answer-4711"}
SLOW = ("slow", "slow_pixels")
IMPATIENT = {"SLIDESCORE_READ_TIMEOUT_S": "0.2"}
STATUS_OF_FAULT = dict.fromkeys(FAULTS, 502) | dict.fromkeys(
    ("http_503_once", "upload_breaks", "upload_conflict", "absolute_location", "give_up_fails"), 200
)
ENDINGS = [
    Ending("outlines", 200),
    Ending("an anno2", 200, {"answered": WITH_HOLES}),
    Ending("more answers", 200, {"answered": TELLTALE_ANSWERS}),
    Ending("nothing found", 200, {"imageid": 3}),
    Ending("the secret in the address", 200, {"secret": ...}, query=f"?key={SECRET}".replace("+", "%2B")),
    Ending("a wrong secret", 401, {"secret": "canary-wrong-secret-4711"}),
    Ending("a wrong secret in the address", 401, {"secret": ...}, query="?key=canary-wrong-secret-4711"),
    Ending("a secret of a wrong type", 401, {"secret": {SECRET: SECRET}}),
    Ending("no secret to compare with", 401, environment={"SLIDESCORE_SECRET_PARAMETER": "/annohooks/tests/none"}),
    Ending("no image", 400, {"imageid": ...}),
    Ending("an image of a wrong type", 400, {"imageid": "canary-image-4711"}),
    Ending("a slide that is not there", 502, {"imageid": 987}),
    Ending("answers of a wrong type", 400, {"answers": "canary-answers-4711"}),
    Ending("answers that are nameless", 400, {"answers": [{"canary-4711": "canary-4711"}]}),
    Ending("an unknown analysis", 400, {"answered": {"Analysis": "canary-analysis-4711"}}),
    Ending("an unknown analyzer", 400, {"analyzer": "canary-analyzer-4711"}),
    Ending("a number that is none", 400, {"answered": {"Nuclei: smallest area in um2": "canary-number-4711"}}),
    Ending("a choice that is none", 400, {"answered": {"Nuclei: stain": "canary-stain-4711"}}),
    Ending("a question that is none", 400, {"answered": {"Nuclei: canary-question-4711": "canary-answer-4711"}}),
    Ending("a region that is none", 400, {"answered": {"ROI": "canary-region-4711"}}),
    Ending("a region of an unknown type", 400, {"answered": {"ROI": '[{"type": "canary-4711"}]'}}),
    Ending("an unfinished region", 400, {"answered": {"ROI": json.dumps([rect(None, None, None, None)])}}),
    Ending("a body over the limit", 413, {"casename": "canary " * 200}, environment={"MAX_BODY_BYTES": "1000"}),
    Ending("a server that is not allowed", 403, environment={"SLIDESCORE_ORIGINS": "https://slides.example.org"}),
    Ending("no study for raw tiles", 400, {"studyid": ...}, environment={"SLIDESCORE_PIXELS": "raw_tiles"}),
    Ending("no bucket", 503, {"answered": WITH_HOLES}, environment={"STAGING_BUCKET": "nobody-made-this-bucket"}),
    *(
        Ending(fault, status, {"answered": WITH_HOLES}, (fault,), IMPATIENT if fault in SLOW else {})
        for fault, status in STATUS_OF_FAULT.items()
    ),
]


@pytest.fixture
def start(bundle: Start, secrets: Start) -> Start:
    """The function with a secret that can be recognised."""

    def start(**environment: str) -> Any:
        parameter = environment.pop("SLIDESCORE_SECRET_PARAMETER", None) or secrets(SECRET)
        return bundle(SLIDESCORE_SECRET_PARAMETER=parameter, **environment)

    return start


def assert_nothing_tells(*texts: str, token: str = TOKEN) -> None:
    for text in texts:
        found = CANARY.search(text)
        assert found is None, text[max(0, found.start() - 200) : found.end() + 50]
        for spelling in (token, b64encode(token.encode()).decode(), token[4:]):
            assert spelling not in text


def telltale(**body: Any) -> dict[str, object]:
    return webhook(**{"secret": SECRET, **NAMES, **OTHERS, **body})


@pytest.mark.parametrize("ending", ENDINGS, ids=[ending.name for ending in ENDINGS])
def test_nothing_tells_when_a_request_ends_with(
    start: Start, slidescore: SlideScore, said: Any, ending: Ending
) -> None:
    slidescore.faults = set(ending.faults)
    started = start(**ending.environment)
    viewed = slidescore.trigger(started.url + ending.query, telltale(**ending.body))
    assert viewed.status == ending.status
    spoken = said.text()
    assert '"answered"' in spoken if ending.status == 200 else '"refused"' in spoken
    assert "CloudWatchMetrics" in spoken
    assert_nothing_tells(spoken, viewed.text, token=viewed.token)
    for anno2 in slidescore.annos.values():
        with zipfile.ZipFile(io.BytesIO(anno2)) as members:
            assert_nothing_tells(*(members.read(name).decode("latin-1") for name in members.namelist()))
    slidescore.violations.clear()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f'{{"apitoken": "{TOKEN}", "caseid": canary-4711}}', 400),
        (f'{{"apitoken": "{TOKEN}", "secret": "{SECRET}", "email": "canary-4711', 400),
        (json.dumps([telltale(apitoken=TOKEN)]), 400),
        (json.dumps(telltale(apitoken=TOKEN, host="https://canary-4711.example.org")), 403),
        (json.dumps(telltale(apitoken=TOKEN, host="canary 4711")), 403),
        (json.dumps(telltale(apitoken=TOKEN, host=["canary-4711"])), 400),
        (json.dumps(telltale(apitoken=TOKEN, host=...)), 400),
        (json.dumps(telltale(apitoken=[TOKEN])), 400),
        (json.dumps(telltale(apitoken=...)), 400),
    ],
)
def test_nothing_tells_of_a_body_that_cannot_be_used(start: Start, said: Any, body: str, status: int) -> None:
    reply = urllib3.request("POST", start().url, body=body.encode(), retries=False)
    assert reply.status == status
    spoken = said.text()
    assert '"refused"' in spoken
    assert_nothing_tells(spoken, reply.data.decode())


def test_nothing_tells_of_a_token_that_no_header_can_carry(start: Start, slidescore: SlideScore, said: Any) -> None:
    body = telltale(host=slidescore.origin, apitoken=f"{TOKEN}\r\nX-Other: canary")
    reply = urllib3.request("POST", start().url, body=json.dumps(body).encode(), retries=False)
    assert reply.status == 400
    assert_nothing_tells(said.text(), reply.data.decode())


def test_nothing_tells_when_time_runs_out(start: Start, slidescore: SlideScore, said: Any) -> None:
    token = slidescore.token()
    event = through_url(json.dumps(telltale(host=slidescore.origin, apitoken=token)))
    answer = start().handler(event, Context("SlideScoreFunction", 1.0))
    assert answer["statusCode"] == 504
    assert_nothing_tells(said.text(), answer["body"], token=token)


@pytest.mark.parametrize("place", ["in Lambda", "on a developer's machine"])
@pytest.mark.parametrize("error", [ValueError, KeyError, OSError])
def test_nothing_tells_when_the_unforeseen_happens(
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
    viewed = start().trigger(telltale(), given_up=0)
    assert (viewed.status, viewed.text) == (
        500,
        "Something unexpected went wrong; the log of this webhook says where.",
    )
    spoken = said.text()
    assert f"unexpected {error.__name__}" in spoken
    assert "test_canaries.py" in spoken  # where it arose
    if place == "in Lambda":
        assert_nothing_tells(spoken.replace("test_canaries", ""), viewed.text, token=viewed.token)
    else:  # a developer reads the whole traceback, and still no secret and no name
        assert "raise error(str(fields)) from cause" in spoken
        for secret in (SECRET, viewed.token, *NAMES.values()):
            assert secret not in spoken


def test_nothing_tells_of_an_event_that_is_no_request(start: Start, said: Any) -> None:
    with pytest.raises(RuntimeError) as raised:
        start().handler({"canary-4711": TOKEN, "body": json.dumps(telltale())}, Context("SlideScoreFunction", 9.0))
    assert_nothing_tells(said.text(), str(raised.value))
    assert raised.value.__suppress_context__


def test_what_is_looked_for_would_be_found() -> None:
    for value in (SECRET, TOKEN, *NAMES.values(), *map(str, OTHERS.items())):
        with pytest.raises(AssertionError):
            assert_nothing_tells(f"before {json.dumps(value)} after")
    with pytest.raises(AssertionError):
        assert_nothing_tells("before eyJabcdefg after", token="eyJabcdefg")
