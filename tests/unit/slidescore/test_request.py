"""The body of a trigger, in both generations of the template and in worse shape."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import BadRequest
from annohooks.slidescore import request

BODY = {
    "host": "https://slides.example.org",
    "studyid": 1,
    "imageid": 2,
    "imagename": "canary-slide.svs",
    "caseid": 3,
    "casename": "canary-case",
    "email": "canary@example.org",
    "analysisid": 4,
    "analysisname": "annohooks",
    "answers": [{"name": "ROI", "value": "[]"}, {"name": "Analysis", "value": "Nuclei"}],
    "apitoken": "canary-token",
}
USED = ("host", "imageid", "answers", "apitoken")


def read(fields):
    """What a request is read into: who sent it, and what it asks for."""
    return request.sender(fields), request.parse(fields)


def without(*keys, **changed):
    return {key: value for key, value in {**BODY, **changed}.items() if key not in keys}


def test_request_of_the_present_template_is_read():
    fields = request.decode(json.dumps(BODY).encode())
    assert request.sender(fields) == request.Sender("https://slides.example.org", "canary-token")
    webhook = request.parse(fields)
    assert (webhook.image_id, webhook.study_id) == (2, 1)
    assert webhook.analyzer is None


def test_request_of_the_older_template_is_read():
    older = without("analysisid", "analysisname", webhookid=4, webhookname="annohooks")
    assert read(older) == read(BODY)


@pytest.mark.parametrize("key", sorted(BODY.keys() - set(USED) - {"studyid"}))
@pytest.mark.parametrize("value", [None, "", {}, [1], "\ud800"], ids=repr)
def test_keys_that_are_not_used_are_not_looked_at(key, value):
    assert read(without(**{key: value})) == read(BODY)
    assert read(without(key)) == read(BODY)


@pytest.mark.parametrize("key", USED)
def test_missing_key_is_named(key):
    with pytest.raises(BadRequest, match=f"`{key}`"):
        read(without(key))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"imageid": "canary"}, "imageid"),
        ({"imageid": None}, "imageid"),
        ({"imageid": 1.5}, "imageid"),
        ({"imageid": ""}, "imageid"),
        ({"host": ""}, "host"),
        ({"host": ["canary"]}, "host"),
        ({"apitoken": ""}, "apitoken"),
        ({"apitoken": 12345}, "apitoken"),
        ({"answers": "canary"}, "answers"),
        ({"answers": None}, "answers"),
        ({"answers": ["canary"]}, "answers"),
        ({"answers": [{"value": "canary"}]}, "answers"),
        ({"answers": [{"name": None}]}, "name"),
        ({"analyzer": ["canary"]}, "analyzer"),
    ],
)
def test_key_of_the_wrong_type_is_named_and_its_value_is_not_repeated(changed, named):
    with pytest.raises(BadRequest) as raised:
        read(without(**changed))
    assert named in raised.value.message
    assert "canary" not in raised.value.message
    assert "12345" not in raised.value.message


def test_numbers_may_be_text():
    assert request.parse(without(imageid="2")).image_id == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"canary",
        b'{"host": canary',
        b'{"caseid": , "host": "canary"}',
        b'{"host": "canary\xff"}',
        b"\xff\xfe{\0}\0",
    ],
)
def test_what_is_not_json_is_refused_with_the_place_and_without_the_text(body):
    with pytest.raises(BadRequest, match="not JSON") as raised:
        request.decode(body)
    assert "canary" not in raised.value.message


def test_empty_parameter_of_the_template_is_pointed_out():
    with pytest.raises(BadRequest, match=r"\(byte 11\).*put quotes around"):
        request.decode(b'{"caseid": , "host": "https://slides.example.org"}')


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null"])
def test_json_that_is_no_object_is_refused(body):
    with pytest.raises(BadRequest, match="not a JSON object"):
        request.decode(body)


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_an_object_or_refused(body):
    with suppress(BadRequest):
        assert isinstance(request.decode(body), dict)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000], ids=["lists", "objects"])
def test_body_nested_too_deeply_is_refused(body):
    with pytest.raises(BadRequest):
        request.decode(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*BODY, "analyzer", "secret"]), json_values))
def test_any_object_is_read_or_refused(changed):
    fields = {**BODY, **changed}
    assert all(isinstance(value, str) for value in request.personal(fields))
    with suppress(BadRequest):
        sender, webhook = read(fields)
        assert sender.host
        assert sender.token
        assert isinstance(webhook.image_id, int)


@pytest.mark.parametrize("name", ["ROI", "roi", " Roi "])
def test_answer_is_found_by_its_questions_name_whatever_its_case(name):
    assert request.parse(BODY).answer(name) == "[]"


def test_question_without_an_answer_has_none():
    assert request.parse(BODY).answer("Show") is None
    assert request.parse(without(answers=[{"name": "Show"}])).answer("Show") is None


def test_personal_values_are_all_of_token_secret_and_names():
    values = request.personal({**BODY, "secret": "canary-secret", "extra": "kept"})
    assert sorted(values) == ["canary-case", "canary-secret", "canary-slide.svs", "canary-token", "canary@example.org"]


def test_personal_values_that_are_missing_or_no_text_are_left_out():
    assert request.personal({"apitoken": 5, "casename": None, "email": ["a"]}) == []
