"""The request of a form: typed fields, and the values that the toolkit writes and others may write."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests_sent import CONTEXT, METADATA, PAYLOAD, TEST_CONSOLE, TOOLKIT, UNSET, fields, parsed, payload

from annohooks.aiware import request
from annohooks.aiware.form import Form
from annohooks.aiware.request import ProcessRequest
from annohooks.core.errors import BadRequest


def test_every_field_is_read():
    texts = fields("""
    internal_job_id=job-1 internal_task_id=task-1 chunk_uuid=uuid-1 mime_type=image/jpeg token=token-1
    cache_uri=https://edge.example.org/chunk/a.out api_base_url=https://api.example.org library_id=library-1
    controller_token=controller-token-1 library_engine_model_id=model-1 input_folder_id=folder-1
    redis_url=http://localhost:33193 heartbeat_webhook=http://localhost:1234/heartbeat/task1234
    result_webhook=http://localhost:1234/result/task1234 external_callback_webhook=https://callback.example.org/x
    """)
    numbers = {"chunk_index": 0, "start_ms": 1000, "end_ms": 2000, "width": 640, "height": 480, "max_ttl_s": 3600}
    unknown = fields("taskTmpDir=/tmp/task-1 engineDir=/opt/engine chunkTimestamp=1604611231892 libraryModelDirectory=")
    others = {"chunk_context": CONTEXT, "payload": PAYLOAD, "chunk_metadata": METADATA, "unknown": unknown}
    assert parsed(chunk=b"\xff\xd8") == ProcessRequest(**texts, **numbers, **others, chunk=b"\xff\xd8")


def test_fields_that_are_unset_are_as_if_absent():
    unknown = fields("taskTmpDir= engineDir= chunkTimestamp= libraryModelDirectory=")
    assert parsed(UNSET) == ProcessRequest(unknown=unknown)
    assert request.parse(Form({})) == ProcessRequest()


LONGEST_URL = "https://example.org/" + "~" * 2028
TTLS = {"": None, " ": None, "0.0": None, " 60 ": 60, "060": 60, "1e+09": 10**9, "1.5e+03": 1500, str(2**53): 2**53}
MIME_TYPES = {"": "", "IMAGE/JPG": "image/jpeg", "lies": "lies", " video/mp4 ;a=b": "video/mp4"}


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        *(("maxTTL", text, "max_ttl_s", seconds) for text, seconds in TTLS.items()),
        *(("chunkMimeType", text, "mime_type", mime_type) for text, mime_type in MIME_TYPES.items()),
        *(("endOffsetMS", text, "end_ms", end_ms) for text, end_ms in {"": 0, "0": 0, str(2**53): 2**53}.items()),
        *(("payload", text, "payload", {}) for text in ("", " ", "\ufeff", "\ufeff{}", "\n{ }\n")),
        ("payload", '{"a": 1, "a": 2}', "payload", {"a": 2}),  # as Go reads it
        ("cacheURI", LONGEST_URL, "cache_uri", LONGEST_URL),
    ],
)
def test_value_is_read_however_it_is_written(name, text, attribute, value):
    assert getattr(parsed(**{name: text}), attribute) == value


NUMBERS = ["maxTTL", "startOffsetMS", "endOffsetMS", "width", "height", "chunkIndex"]
NO_NUMBERS = [
    *("-1", "60.5", "1e-3", "NaN", "1_000", "1,000", "\u0661", "1 2", "+1"),
    *("9007199254740993", "1e99", "9" * 5000),
]
URLS = ["cacheURI", "heartbeatWebhook", "resultWebhook", "externalCallbackWebhook"]
NO_URLS = [LONGEST_URL + "a", "https://example.org/ä", "http://a\r\nHost: canary/", "http://a b", "\x7f"]
NO_JSON = ["canary", '{"a": canary}', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "{} {}"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        *((name, "canary", f"`{name}` is not a whole number from 0 to 9007199254740992") for name in NUMBERS),
        *(("maxTTL", text, "`maxTTL` is not a whole number") for text in NO_NUMBERS),
        *((name, "canary ä", f"`{name}` is not a URL") for name in URLS),
        *(("cacheURI", text, "`cacheURI` is not a URL") for text in NO_URLS),
        *(("payload", text, "`payload` is not JSON: ") for text in (*NO_JSON, "\ufffd{}")),
        *(("payload", text, "`payload` is not a JSON object") for text in ("[]", "null", '"canary"')),
        *(("payload", '{"a":' * depth + "1" + "}" * depth, "nested too deeply") for depth in (65, 100_000)),
        *(("payload", '{"a":[' * depth + "1" + "]}" * depth, "nested too deeply") for depth in (33, 100_000)),
        ("endOffsetMS", "999", "`startOffsetMS` is greater than its `endOffsetMS`"),
        ("resultwebhook", "https://canary.example.org/", "`resultWebhook` is there in two spellings"),
    ],
    ids=lambda value: value[:40],
)
def test_value_that_cannot_be_used_is_refused_with_the_name_of_its_field_and_not_repeated(name, text, message):
    with pytest.raises(BadRequest, match=message) as refused:
        parsed(**{name: text})
    assert "canary" not in refused.value.message


def test_payload_may_be_nested_as_deeply_as_any_real_one():
    deep = parsed(payload='{"a":' * 64 + "1" + "}" * 64)
    assert msgspec.json.decode(msgspec.json.encode(deep), type=ProcessRequest) == deep
    assert deep.identity()
    assert deep.confidential()


@pytest.mark.parametrize(
    ("spelling", "documented", "text"),
    [("startOffsetMs", "startOffsetMS", "1500"), ("libraryID", "libraryId", "library-2"), ("MAXTTL", "maxTTL", "60")],
)
def test_other_spelling_of_a_name_is_the_same_field(spelling, documented, text):
    spelled = {name: value for name, value in TOOLKIT.items() if name != documented} | {spelling: text}
    assert parsed(spelled) == parsed(**{documented: text})
    assert parsed(**{documented: "", spelling: text}) == parsed(**{documented: text})
    assert parsed(**{documented: text, spelling: text}) == parsed(**{documented: text})


def test_metadata_and_unknown_fields_keep_their_spelling():
    sent = parsed({"Chunk-Metadata-Index": "1", "futureField": "a", "FutureField": "b"})
    assert sent.chunk_metadata == {"Chunk-Metadata-Index": "1"}
    assert sent.unknown == {"futureField": "a", "FutureField": "b"}


def test_media_type_is_that_of_the_chunks_part_if_the_form_names_none():
    assert request.parse(Form({}, b"x", "Image/JPG; q=1")).mime_type == "image/jpeg"
    assert request.parse(Form({"chunkMimeType": ""}, b"x", "video/mp4")).mime_type == "video/mp4"
    assert request.parse(Form({"chunkMimeType": "image/png"}, b"x", "video/mp4")).mime_type == "image/png"
    assert request.parse(Form({}, b"x", "application/octet-stream")).mime_type == ""


def test_answer_is_wanted_later_only_when_both_webhooks_are_there():
    assert parsed().wants_async
    assert not any(parsed(**{name: ""}).wants_async for name in ("heartbeatWebhook", "resultWebhook"))
    assert not parsed(TEST_CONSOLE).wants_async


def test_parameter_is_found_at_the_top_level_of_the_payload_or_in_its_task_payload():
    sent = payload({"a": 1, "b": None, "taskPayload": {"a": 2, "b": 3, "verbose": "false"}})
    assert (sent.parameter("a"), sent.parameter("b", 9), sent.parameter("verbose")) == (1, None, "false")
    assert (sent.parameter("c"), sent.parameter("c", 9)) == (None, 9)
    assert [payload({"taskPayload": inner}).parameter("b", 9) for inner in (None, "text", [1], 5)] == [9] * 4


@pytest.mark.parametrize(("value", "folder"), [("f-1", "f-1"), (0, "0"), (-(2**53), str(-(2**53))), (None, "")])
def test_output_folder_is_a_text_or_a_whole_number_or_missing(value, folder):
    assert payload({"outputFolderID": value}).output_folder() == folder
    assert payload({"taskPayload": {"outputFolderID": value}}).output_folder() == folder
    assert payload({}).output_folder() == ""


@pytest.mark.parametrize("value", [True, 1.5, [], {}, 2**53 + 1, -(2**53) - 1, 10**30])
def test_output_folder_that_is_anything_else_is_refused(value):
    with pytest.raises(BadRequest, match="`outputFolderID` is neither a text nor a whole number"):
        payload({"outputFolderID": value})


@pytest.mark.parametrize(("name", "called"), [("chunk-metadata-x", "chunk-metadata-* fields"), ("x", "unknown fields")])
def test_fields_that_anybody_may_add_have_a_limit_together_and_names_count(name, called):
    fields = {f"{name}{number}": "é" * 499 for number in range(9)}
    size = sum(len(field.encode()) + 998 for field in fields)
    largest = {**fields, f"{name}-last": "x" * (64_000 - size - len(name) - 5)}
    assert request.parse(Form(largest))
    for larger in ({**largest, name: ""}, {**largest, f"{name}-last": largest[f"{name}-last"] + "x"}):
        with pytest.raises(BadRequest, match=re.escape(f"{called} are too large: more than 64000 bytes")):
            request.parse(Form(larger))


spellings = st.sampled_from([*UNSET, *METADATA, "startOffsetMs", "libraryID", "future"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(scalars | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=6)
payload_texts = st.dictionaries(texts | st.just("taskPayload"), json_values).map(json.dumps)
form_fields = st.dictionaries(spellings | texts, texts | st.integers().map(str) | payload_texts)
any_forms = st.builds(Form, form_fields, st.none() | st.binary(max_size=8), texts)


@given(any_forms)
@example(Form({"payload": '{"a": 123456789012345678901234567890, "b": 1e308}', "width": "0"}))
def test_any_form_is_read_or_refused_and_what_is_read_survives_json(any_form):
    with suppress(BadRequest):
        sent = request.parse(any_form)
        assert msgspec.json.decode(msgspec.json.encode(sent), type=ProcessRequest) == sent
        assert len(sent.identity()) == 40
        assert all(sent.confidential())
        assert 0 <= sent.start_ms <= request.MAX_NUMBER
