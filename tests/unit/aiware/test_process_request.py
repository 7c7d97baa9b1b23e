"""What a form asks for: typed fields, the edge cases of the protocol reference, identity, what no log may hold."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import msgspec
import pytest
from go_forms import BOUNDARY, UNSET, written
from hypothesis import example, given
from hypothesis import strategies as st

from annohooks.aiware import form, request
from annohooks.aiware.form import Form
from annohooks.aiware.request import ProcessRequest
from annohooks.core.errors import BadRequest

CONTEXT = "000000.000000000.000000000_1604611231892635750_6b8bdc9d-bc80-4d8e-a796-87dd8ab2fab6.in"
METADATA = {
    "chunk-metadata-index": "3",
    "chunk-metadata-main-message": "map[cacheURI:https://edge.example.org/c?key=1 endOffsetMs:0 mimeType:image/jpeg]",
}
GIVEN = UNSET | {
    "internalJobId": "job-1",
    "internalTaskId": "task-1",
    "chunkMimeType": "image/jpeg",
    "chunkUUID": "uuid-1",
    "chunkIndex": "0",
    "startOffsetMS": "1000",
    "endOffsetMS": "2000",
    "width": "640",
    "height": "480",
    "libraryId": "library-1",
    "libraryEngineModelId": "model-1",
    "cacheURI": "https://edge.example.org/chunk/a.out",
    "veritoneApiBaseUrl": "https://api.example.org",
    "token": "token-1",
    "controllerToken": "controller-token-1",
    "payload": '{"jobId": "j", "sampleMs": "500", "taskPayload": {"analyzer": "faces", "verbose": "false"}}',
    "inputFolderID": "folder-1",
    "taskTmpDir": "/tmp/task-1",
    "engineDir": "/opt/engine",
    "chunkContext": CONTEXT,
    "chunkTimestamp": "1604611231892",
    "heartbeatWebhook": "http://localhost:1234/heartbeat/task1234",
    "resultWebhook": "http://localhost:1234/result/task1234",
    "externalCallbackWebhook": "https://callback.example.org/x",
    "maxTTL": "3600",
    "redisETUrl": "http://localhost:33193",
    **METADATA,
}
TEST_CONSOLE = {
    "chunkMimeType": "image/jpg",
    "startOffsetMS": "1000",
    "endOffsetMS": "2000",
    "width": "250",
    "height": "250",
    "libraryID": "library-1",
    "libraryEngineModelId": "model-1",
    "cacheURI": "",
    "veritoneApiBaseUrl": "https://api.example.org",
    "token": "",
    "payload": '{"jobId": "j", "analyzer": "faces"}',
}


def parsed(fields=GIVEN, chunk=None, boundary=BOUNDARY, **changed) -> ProcessRequest:
    """The request of a form that went over the wire as Go writes it."""
    content = written({**fields, **changed}, chunk, boundary)
    return request.parse(form.parse(f"multipart/form-data; boundary={boundary}", content))


def payload(value) -> ProcessRequest:
    return parsed(payload=json.dumps(value))


# What was sent


def test_every_field_is_read():
    assert parsed(chunk=b"\xff\xd8") == ProcessRequest(
        internal_job_id="job-1",
        internal_task_id="task-1",
        chunk_context=CONTEXT,
        chunk_uuid="uuid-1",
        chunk_index=0,
        mime_type="image/jpeg",
        start_ms=1000,
        end_ms=2000,
        width=640,
        height=480,
        cache_uri="https://edge.example.org/chunk/a.out",
        api_base_url="https://api.example.org",
        token="token-1",
        controller_token="controller-token-1",
        library_id="library-1",
        library_engine_model_id="model-1",
        input_folder_id="folder-1",
        redis_url="http://localhost:33193",
        payload={"jobId": "j", "sampleMs": "500", "taskPayload": {"analyzer": "faces", "verbose": "false"}},
        max_ttl_s=3600,
        heartbeat_webhook="http://localhost:1234/heartbeat/task1234",
        result_webhook="http://localhost:1234/result/task1234",
        external_callback_webhook="https://callback.example.org/x",
        chunk_metadata=METADATA,
        unknown={
            "taskTmpDir": "/tmp/task-1",
            "engineDir": "/opt/engine",
            "chunkTimestamp": "1604611231892",
            "libraryModelDirectory": "",
        },
        chunk=b"\xff\xd8",
    )


# 6. chunk and cacheURI


@pytest.mark.parametrize("uri", ["", "https://edge.example.org/chunk/a.out"])
@pytest.mark.parametrize("chunk", [None, b"", b"\xff\xd8"])
def test_chunk_and_its_address_are_told_apart_whichever_is_there(chunk, uri):
    process = parsed(chunk=chunk, cacheURI=uri)
    assert (process.chunk, process.cache_uri) == (chunk, uri)


# 7. empty strings


def test_fields_that_are_unset_are_as_if_absent():
    kept = dict.fromkeys(["taskTmpDir", "engineDir", "chunkTimestamp", "libraryModelDirectory"], "")
    assert parsed(UNSET) == ProcessRequest(unknown=kept)
    assert request.parse(Form({})) == ProcessRequest()


# 8. maxTTL and other numbers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("", None), ("0", None), ("0.0", None), (" ", None), ("60", 60), ("60.0", 60), (" 60 ", 60), ("060", 60)),
        *(("1000000000", 10**9), ("1e9", 10**9), ("1e+09", 10**9), ("1.5e+03", 1500), ("9007199254740992", 2**53)),
    ],
)
def test_ttl_is_a_whole_number_of_seconds_however_it_is_written(text, seconds):
    assert parsed(maxTTL=text).max_ttl_s == seconds


def test_ttl_that_is_missing_is_none():
    assert parsed(TEST_CONSOLE).max_ttl_s is None


@pytest.mark.parametrize("name", ["maxTTL", "startOffsetMS", "endOffsetMS", "width", "height", "chunkIndex"])
@pytest.mark.parametrize(
    "text",
    [
        *("canary", "-1", "-0.5", "60.5", "1e-3", "NaN", "inf", "0x10", "1_000", "1,000", "\u0661", "1 2", "--1", "+1"),
        *("9007199254740993", "9223372036854775808", "1e99", "9" * 5000),
    ],
)
def test_what_is_no_whole_number_is_refused_with_the_name_of_the_field(name, text):
    with pytest.raises(BadRequest, match=f"`{name}` is not a whole number") as raised:
        parsed(**{name: text})
    assert "canary" not in raised.value.message


# 9. other spellings


@pytest.mark.parametrize(
    ("spelling", "documented", "text"),
    [
        ("startOffsetMs", "startOffsetMS", "1500"),
        ("endOffsetMs", "endOffsetMS", "1500"),
        ("cacheUri", "cacheURI", "https://edge.example.org/chunk/b.out"),
        ("libraryID", "libraryId", "library-2"),
        ("MAXTTL", "maxTTL", "60"),
    ],
)
def test_other_spelling_of_a_name_is_the_same_field(spelling, documented, text):
    spelled = {name: value for name, value in GIVEN.items() if name != documented} | {spelling: text}
    assert parsed(spelled) == parsed(**{documented: text})
    assert parsed(**{documented: "", spelling: text}) == parsed(**{documented: text})
    assert parsed(**{documented: text, spelling: text}) == parsed(**{documented: text})


def test_two_spellings_that_differ_are_refused():
    with pytest.raises(BadRequest, match="`resultWebhook` is there in two spellings"):
        parsed(resultwebhook="https://canary.example.org/")


def test_metadata_and_unknown_fields_keep_their_spelling():
    process = parsed({"Chunk-Metadata-Index": "1", "futureField": "a", "FutureField": "b"})
    assert process.chunk_metadata == {"Chunk-Metadata-Index": "1"}
    assert process.unknown == {"futureField": "a", "FutureField": "b"}


# 10. offsets


@pytest.mark.parametrize(("start", "end"), [("2000", "1000"), ("1", ""), ("1", "0")])
def test_chunk_that_ends_before_it_starts_is_refused_unless_its_end_is_unknown(start, end):
    if end in ("", "0"):
        assert parsed(startOffsetMS=start, endOffsetMS=end).end_ms == 0
    else:
        with pytest.raises(BadRequest, match="`startOffsetMS` is greater than its `endOffsetMS`"):
            parsed(startOffsetMS=start, endOffsetMS=end)


@pytest.mark.parametrize("offset", [0, 2**31, 2**53])
def test_offset_may_be_as_large_as_json_can_carry(offset):
    process = parsed(startOffsetMS=str(offset), endOffsetMS=str(offset))
    assert (process.start_ms, process.end_ms) == (offset, offset)


# 11. payload


@pytest.mark.parametrize("text", ["", " ", "\ufeff", "{}", "\ufeff{}", "\n{ }\n"])
def test_payload_may_be_empty(text):
    assert parsed(payload=text).payload == {}


@pytest.mark.parametrize(
    "text",
    ["canary", "{", "{'a': 1}", '{"a": canary}', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "{} {}", "\ufffd{}"],
)
def test_payload_that_is_not_json_is_refused_with_the_place_and_without_the_text(text):
    with pytest.raises(BadRequest, match="`payload` is not JSON: ") as raised:
        parsed(payload=text)
    assert "canary" not in raised.value.message


@pytest.mark.parametrize("text", ["[]", "null", '"canary"', "1", "true", '[{"a": 1}]'])
def test_payload_that_is_no_object_is_refused(text):
    with pytest.raises(BadRequest, match="`payload` is not a JSON object"):
        parsed(payload=text)


def test_payload_that_is_not_utf8_is_refused():
    content = written(GIVEN).replace(b'"jobId"', b'"job\xff"')
    with pytest.raises(BadRequest, match="`payload` is not UTF-8"):
        form.parse(f"multipart/form-data; boundary={BOUNDARY}", content)


@pytest.mark.parametrize("depth", [65, 10_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ('{"a":[', "]}")])
def test_payload_nested_too_deeply_is_refused(depth, opening, closing):
    with pytest.raises(BadRequest, match="`payload` is nested too deeply"):
        parsed(payload=opening * depth + "1" + closing * depth)


def test_payload_may_be_nested_as_deeply_as_any_real_one():
    deep = parsed(payload='{"a":' * 64 + "1" + "}" * 64)
    assert msgspec.json.decode(msgspec.json.encode(deep), type=ProcessRequest) == deep
    assert deep.identity()
    assert deep.confidential()


def test_payload_that_names_a_key_twice_means_the_last_as_in_go():
    assert parsed(payload='{"a": 1, "a": 2}').payload == {"a": 2}


def test_parameter_is_found_at_the_top_level_of_the_payload_or_in_its_task_payload():
    process = payload({"a": 1, "b": None, "taskPayload": {"a": 2, "b": 3, "verbose": "false"}})
    assert (process.parameter("a"), process.parameter("b", 9)) == (1, None)
    assert process.parameter("verbose") == "false"
    assert (process.parameter("c"), process.parameter("c", 9)) == (None, 9)


@pytest.mark.parametrize("inner", [None, "text", [1], 5])
def test_task_payload_that_is_no_object_holds_no_parameters(inner):
    assert payload({"a": 1, "taskPayload": inner}).parameter("b", 9) == 9


# 12. chunkMimeType


@pytest.mark.parametrize(
    ("text", "mime_type"),
    [
        *(("", ""), ("image/jpg", "image/jpeg"), ("IMAGE/JPG", "image/jpeg"), ("Image/PNG", "image/png")),
        *(("text/plain; charset=utf-8", "text/plain"), (" video/mp4 ;a=b", "video/mp4"), ("lies", "lies")),
    ],
)
def test_media_type_is_in_lower_case_and_without_parameters(text, mime_type):
    assert parsed(chunkMimeType=text).mime_type == mime_type


def test_media_type_is_that_of_the_chunks_part_if_the_form_names_none():
    assert request.parse(Form({}, b"x", "Image/JPG; q=1")).mime_type == "image/jpeg"
    assert request.parse(Form({"chunkMimeType": ""}, b"x", "video/mp4")).mime_type == "video/mp4"
    assert request.parse(Form({"chunkMimeType": "image/png"}, b"x", "video/mp4")).mime_type == "image/png"
    assert request.parse(Form({}, b"x", "application/octet-stream")).mime_type == ""


# Sync or async


def test_answer_is_wanted_later_only_when_both_webhooks_are_there():
    assert parsed().wants_async
    assert not parsed(heartbeatWebhook="").wants_async
    assert not parsed(resultWebhook="").wants_async
    assert not parsed(TEST_CONSOLE).wants_async


# Any form


spellings = st.sampled_from([*UNSET, *METADATA, "startOffsetMs", "libraryID", "future"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
payload_texts = st.dictionaries(texts | st.just("taskPayload"), json_values).map(json.dumps)
any_forms = st.builds(
    Form,
    st.dictionaries(spellings | texts, texts | st.integers().map(str) | payload_texts),
    st.none() | st.binary(max_size=8),
    texts,
)


@given(any_forms)
@example(Form({"payload": '{"a": 123456789012345678901234567890, "b": 1e308}', "width": "0"}))
def test_any_form_is_read_or_refused_and_what_is_read_survives_json(asked):
    with suppress(BadRequest):
        process = request.parse(asked)
        assert msgspec.json.decode(msgspec.json.encode(process), type=ProcessRequest) == process
        assert len(process.identity()) == 40
        assert all(process.confidential())
        assert 0 <= process.start_ms <= request.MAX_NUMBER


# What is too large, and what is not a URL


@pytest.mark.parametrize(
    ("name", "told"), [("chunk-metadata-x", "chunk-metadata-* fields"), ("future", "unknown fields")]
)
def test_fields_that_anybody_may_add_have_a_limit_together_and_names_count(name, told):
    fields = {f"{name}{number}": "é" * 499 for number in range(9)}
    size = sum(len(each.encode()) + 998 for each in fields)
    largest = {**fields, f"{name}-last": "x" * (64_000 - size - len(name) - 5)}
    assert request.parse(Form(largest))
    for larger in ({**largest, name: ""}, {**largest, f"{name}-last": largest[f"{name}-last"] + "x"}):
        with pytest.raises(BadRequest, match=re.escape(f"{told} are too large: more than 64000 bytes")):
            request.parse(Form(larger))


URLS = ["cacheURI", "heartbeatWebhook", "resultWebhook", "externalCallbackWebhook"]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "url", ["https://example.org/" + "a" * 2029, "https://example.org/ä", "http://a\r\nHost: b/", "http://a b", "\x7f"]
)
def test_url_that_is_too_long_or_not_printable_is_refused_by_the_name_of_its_field(name, url):
    with pytest.raises(BadRequest, match=f"`{name}` is not a URL") as told:
        parsed(**{name: url})
    assert url not in told.value.message


@pytest.mark.parametrize("name", URLS)
def test_url_may_have_2048_characters(name):
    assert parsed(**{name: "https://example.org/" + "~" * 2028})


# Where results go


@pytest.mark.parametrize(("value", "folder"), [("f-1", "f-1"), (7, "7"), (0, "0"), (-(2**53), str(-(2**53)))])
def test_output_folder_is_a_text_or_a_whole_number(value, folder):
    assert payload({"outputFolderID": value}).output_folder() == folder
    assert payload({"taskPayload": {"outputFolderID": value}}).output_folder() == folder


@pytest.mark.parametrize("value", [{}, {"outputFolderID": None}, {"outputFolderID": ""}])
def test_output_folder_may_be_missing(value):
    assert payload(value).output_folder() == ""


@pytest.mark.parametrize("value", [True, False, 1.5, [], ["f"], {}, {"a": 1}, 2**53 + 1, -(2**64), 10**30])
def test_output_folder_that_is_anything_else_is_refused(value):
    with pytest.raises(BadRequest, match="`outputFolderID` is neither a text nor a whole number"):
        payload({"outputFolderID": value})


# Identity


OF_ANOTHER_INSTANCE = {
    "heartbeatWebhook": "http://localhost:4321/heartbeat/other",
    "resultWebhook": "http://localhost:4321/result/other",
    "externalCallbackWebhook": "https://callback.example.org/y",
    "token": "token-2",
    "controllerToken": "controller-token-2",
    "redisETUrl": "http://localhost:44444",
    "taskTmpDir": "/tmp/other",
    "engineDir": "/opt/other",
    "libraryModelDirectory": "/models/other",
    "edgeToken": "token-2",
    "progressWebhook": "http://localhost:4321/progress",
}
CHUNK = bytes(range(256))


@pytest.mark.parametrize("fields", [GIVEN, TEST_CONSOLE], ids=["toolkit", "console"])
def test_three_tries_with_other_boundaries_are_one_identity(fields):
    tries = {parsed(fields, CHUNK, boundary=f"{i}" * 60).identity() for i in range(3)}
    assert len(tries) == 1
    assert len(tries.pop()) == 40


def test_identity_is_the_same_in_every_process_and_release():
    assert parsed().identity() == "a8bac13a08185cb0cf5f3c8ed44401f39b68dcdb"


@pytest.mark.parametrize("fields", [GIVEN, TEST_CONSOLE], ids=["toolkit", "console"])
def test_chunk_queued_again_by_another_instance_is_the_same_work(fields):
    token = {"payload": json.dumps(json.loads(fields["payload"]) | {"token": "a", "x": {"api_key": "b"}})}
    again = {"payload": json.dumps({"x": {"api_key": "c"}, "token": "d"} | json.loads(fields["payload"]))}
    assert parsed(fields, CHUNK, **token).identity() == parsed(fields, CHUNK, **again, **OF_ANOTHER_INSTANCE).identity()


def test_work_that_the_toolkit_names_is_known_by_that_name_alone():
    renamed = parsed(cacheURI="https://edge.example.org/c?signature=2", payload="{}", maxTTL="1", startOffsetMS="0")
    assert renamed.identity() == parsed(chunk=CHUNK).identity()


@pytest.mark.parametrize("changed", [{"chunkContext": "other"}, {"internalTaskId": "task-2"}])
def test_other_chunk_and_other_task_are_other_work(changed):
    assert parsed(**changed).identity() != parsed().identity()


@pytest.mark.parametrize("one", [{"internalTaskId": "task-1"}, {"chunkContext": CONTEXT}], ids=["task", "context"])
def test_task_without_a_context_and_context_without_a_task_do_not_name_the_work(one):
    assert parsed(TEST_CONSOLE | one, CHUNK).identity() != parsed(TEST_CONSOLE | one, CHUNK[:-1]).identity()


def test_where_one_name_ends_and_the_next_begins_matters():
    names = [("ab", "c"), ("a", "bc"), ('a","b', "c"), ("a", 'b","c')]
    assert len({parsed(internalTaskId=task, chunkContext=context).identity() for task, context in names}) == len(names)


@pytest.mark.parametrize(
    "changed",
    [
        *({"startOffsetMS": "999"}, {"endOffsetMS": "3000"}, {"width": "1"}, {"height": "1"}, {"chunkIndex": "7"}),
        *({"payload": "{}"}, {"payload": '{"jobId": "j", "analyzer": "barcodes"}'}, {"libraryID": "library-2"}),
        *({"payload": '{"jobId": "j", "analyzer": "faces", "tokenize": true}'}, {"chunkMimeType": "image/png"}),
        *({"cacheURI": "https://edge.example.org/b"}, {"libraryEngineModelId": "model-2"}, {"futureField": "x"}),
        *({"chunk-metadata-index": "2"}, {"internalTaskId": "task-1"}, {"chunkContext": "c"}, {"internalJobId": "j"}),
        *({"chunkUUID": "u"}, {"inputFolderID": "f"}, {"veritoneApiBaseUrl": "https://other.example.org"}),
    ],
    ids=str,
)
def test_work_without_a_task_is_known_by_all_that_makes_it(changed):
    assert parsed(TEST_CONSOLE, CHUNK, **changed).identity() != parsed(TEST_CONSOLE, CHUNK).identity()


def test_work_without_a_task_is_known_by_its_chunk():
    chunks = [None, b"", CHUNK, CHUNK[:-1], CHUNK + b"\0"]
    assert len({parsed(TEST_CONSOLE, chunk).identity() for chunk in chunks}) == len(chunks)


# What no log may hold


def test_everything_secret_in_a_form_is_confidential_short_ones_and_nested_ones_too():
    found = parsed(
        token="tk",
        controllerToken="canary-controller",
        cacheURI="https://user:canary-password@edge.example.org/c?X-Amz-Signature=canary%2Fsignature&size=5",
        heartbeatWebhook="http://localhost:1234/canary-heartbeat",
        resultWebhook="localhost:1234/canary-result",
        payload=json.dumps(
            {
                "token": "canary-payload-token",
                "apiKey": "k",
                "password": 12345,
                "taskPayload": {
                    "credentials": {"user": "canary-user", "pair": ["canary-1", 2.5]},
                    "callback": "see https://callback.example.org/?jwt=canary-jwt now",
                    "curl": "curl -H 'Authorization: Bearer canary-bearer' --cookie session=1",
                    "text": '{"accessToken": "canary-in-text"}',
                    "note": "eyJhbGciOi.eyJzdWIiOi.canary_signed",
                },
            }
        ),
        **{
            "edgeToken": "canary-unknown",
            "progressUri": "edge:canary-uri",
            "chunk-metadata-main-message": "map[token:canary-map cacheURI:https://edge.example.org/m?k=1 index:0]",
            "chunk-metadata-x-secret": "canary-metadata",
        },
    ).confidential()
    assert set(found) >= {
        *("tk", "canary-controller", "http://localhost:1234/canary-heartbeat", "localhost:1234/canary-result"),
        "https://user:canary-password@edge.example.org/c?X-Amz-Signature=canary%2Fsignature&size=5",
        *("canary%2Fsignature", "canary/signature", "canary-payload-token", "k", "12345", "canary-user", "canary-1"),
        *("2.5", "https://callback.example.org/?jwt=canary-jwt", "canary-jwt", "canary-bearer", "canary-in-text"),
        *("eyJhbGciOi.eyJzdWIiOi.canary_signed", "canary-unknown", "edge:canary-uri", "canary-map"),
        *("https://edge.example.org/m?k=1", "canary-metadata", "https://callback.example.org/x"),
        *("http://localhost:33193", "https://api.example.org"),
    }


def test_what_a_log_needs_is_not_confidential():
    ordinary = {
        "faces",
        "false",
        "500",
        "j",
        "task-1",
        "job-1",
        "image/jpeg",
        "1000",
        CONTEXT,
        "/tmp/task-1",
        "True",
        "",
    }
    assert not ordinary & set(parsed(payload=GIVEN["payload"].replace("}}", '}, "token": true}')).confidential())


secret_names = st.sampled_from(
    ["token", "authToken", "client_secret", "password", "API-Key", "api_key", "jwt", "cookie"]
)
nestings = st.lists(st.sampled_from(["taskPayload", "x", "list"]), max_size=5)


@given(secret_names, st.text(st.characters(exclude_categories=["Cs"]), min_size=1), nestings)
def test_secret_of_any_text_at_any_depth_of_the_payload_is_confidential(name, secret, path):
    value = {name: secret}
    for outer in path:
        value = {outer: [value] if outer == "list" else value}
    assert secret in payload(value).confidential()


def test_most_confidential_come_first_when_there_are_many():
    found = payload({"a": [f"https://example.org/{i}" for i in range(1000)]}).confidential()
    assert len(found) == 64
    assert {"token-1", "controller-token-1", GIVEN["cacheURI"], GIVEN["heartbeatWebhook"]} < set(found)
