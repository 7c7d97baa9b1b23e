"""The request body, from the body templates of both generations, and in bad shape."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import BadRequest
from annohooks.slidescore import request

PERSONAL = {"imagename": "canary-slide.svs", "casename": "canary-case", "email": "canary@example.org"}
IDS = {"studyid": 1, "imageid": 2, "caseid": 3, "analysisid": 4}
BODY = {
    "host": "https://slides.example.org",
    "apitoken": "canary-token",
    "analysisname": "annohooks",
    "answers": [{"name": "ROI", "value": "[]"}, {"name": "Analysis", "value": "Nuclei"}],
    **IDS,
    **PERSONAL,
}
USED = ("host", "imageid", "answers", "apitoken")


def read(fields):
    return request.sender(fields), request.trigger(fields)


def without(*keys, **changed):
    return {key: value for key, value in {**BODY, **changed}.items() if key not in keys}


def test_a_body_of_the_present_template_is_read_and_numbers_may_be_text():
    fields = request.decode(json.dumps(BODY).encode())
    assert request.sender(fields) == request.Sender("https://slides.example.org", "canary-token")
    trigger = request.trigger(fields)
    assert (trigger.image_id, trigger.study_id, trigger.analyzer) == (2, 1, None)
    assert read(without(imageid="2")) == read(BODY)


def test_a_body_of_the_older_template_is_read():
    older = without("analysisid", "analysisname", webhookid=4, webhookname="annohooks")
    assert read(older) == read(BODY)


@pytest.mark.parametrize("key", sorted(BODY.keys() - set(USED) - {"studyid"}))
def test_unused_keys_may_be_missing_or_hold_anything(key):
    assert read(without(key)) == read(BODY)
    for value in (None, "", {}, [1], "\ud800"):
        assert read(without(**{key: value})) == read(BODY)


@pytest.mark.parametrize("key", USED)
def test_a_missing_key_is_named(key):
    with pytest.raises(BadRequest, match=f"`{key}`"):
        read(without(key))


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("imageid", "canary", "$.imageid"),
        ("imageid", 1.5, "$.imageid"),
        ("host", "", "$.host"),
        ("apitoken", "", "$.apitoken"),
        ("apitoken", 12345, "$.apitoken"),
        ("answers", ["canary"], "$.answers[0]"),
        ("answers", [{"value": "canary"}], "`name` - at `$.answers[0]`"),
        ("analyzer", ["canary"], "$.analyzer"),
    ],
)
def test_a_key_of_the_wrong_type_is_named_without_its_value(key, value, named):
    with pytest.raises(BadRequest) as raised:
        read(without(**{key: value}))
    assert named in raised.value.message
    assert "canary" not in raised.value.message
    assert "12345" not in raised.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b'{"host": "canary\xff"}', "not JSON"),
        (b'["canary"]', "not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_without_repeating_it(body, message):
    with pytest.raises(BadRequest, match=message) as raised:
        request.decode(body)
    assert "canary" not in raised.value.message


def test_the_message_about_an_empty_parameter_of_the_template_says_where_it_is_and_what_helps():
    with pytest.raises(BadRequest, match=r'\(byte 11\).*put quotes around.*"caseid": "%CASE_ID%"'):
        request.decode(b'{"caseid": , "host": "https://slides.example.org"}')


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_an_object_or_refused(body):
    with suppress(BadRequest):
        assert isinstance(request.decode(body), dict)


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
        sender, trigger = read(fields)
        assert sender.host
        assert sender.token
        assert isinstance(trigger.image_id, int)


def test_the_case_of_a_questions_name_does_not_matter():
    assert [request.trigger(BODY).answer(name) for name in ("ROI", "roi", " Roi ", "Show")] == ["[]", "[]", "[]", None]
    assert request.trigger(without(answers=[{"name": "Show"}])).answer("Show") is None


def test_personal_values_are_the_token_the_secret_and_the_names_that_are_text():
    values = request.personal({**BODY, "secret": "canary-secret", "extra": "not personal"})
    assert sorted(values) == sorted([*PERSONAL.values(), "canary-secret", "canary-token"])
    assert request.personal({"apitoken": 5, "casename": None, "email": ["a"]}) == []
