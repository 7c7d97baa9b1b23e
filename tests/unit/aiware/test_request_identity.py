"""The identity of a request's work, and what no log may hold of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests_sent import CONTEXT, TEST_CONSOLE, TOOLKIT, fields, parsed, payload

OF_ANOTHER_INSTANCE = fields("""
heartbeatWebhook=http://localhost:4321/heartbeat/other resultWebhook=http://localhost:4321/result/other
externalCallbackWebhook=https://callback.example.org/y token=token-2 controllerToken=controller-token-2
redisETUrl=http://localhost:44444 taskTmpDir=/tmp/other engineDir=/opt/other libraryModelDirectory=/models/other
edgeToken=token-2 progressWebhook=http://localhost:4321/progress
""")
CHUNK = bytes(range(256))


both = pytest.mark.parametrize("sent", [TOOLKIT, TEST_CONSOLE], ids=["toolkit", "console"])


@both
def test_three_tries_with_other_boundaries_are_one_identity(sent):
    assert len({parsed(sent, CHUNK, boundary=f"{i}" * 60).identity() for i in range(3)}) == 1


def test_identity_is_the_same_in_every_process_and_release():
    assert parsed().identity() == "a8bac13a08185cb0cf5f3c8ed44401f39b68dcdb"


@both
def test_chunk_queued_again_by_another_instance_is_the_same_work(sent):
    asked = json.loads(sent["payload"])
    token = {"payload": json.dumps(asked | {"token": "a", "x": {"api_key": "b"}})}
    again = {"payload": json.dumps({"x": {"api_key": "c"}, "token": "d"} | asked)}
    assert parsed(sent, CHUNK, **token).identity() == parsed(sent, CHUNK, **again, **OF_ANOTHER_INSTANCE).identity()


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


# ---- what no log may hold


def test_everything_secret_in_a_form_is_confidential_short_ones_and_nested_ones_too():
    asked = {
        **{"token": "canary-payload-token", "apiKey": "k", "password": 12345},
        "taskPayload": {
            "credentials": {"user": "canary-user", "pair": ["canary-1", 2.5]},
            "callback": "see https://callback.example.org/?jwt=canary-jwt now",
            "curl": "curl -H 'Authorization: Bearer canary-bearer' --cookie session=1",
            "text": '{"accessToken": "canary-in-text"}',
            "note": "eyJhbGciOi.eyJzdWIiOi.canary_signed",
        },
    }
    sent = fields("""
    token=tk controllerToken=canary-controller heartbeatWebhook=http://localhost:1234/canary-heartbeat
    cacheURI=https://user:canary-password@edge.example.org/c?X-Amz-Signature=canary%2Fsignature&size=5
    resultWebhook=localhost:1234/canary-result edgeToken=canary-unknown progressUri=edge:canary-uri
    chunk-metadata-x-secret=canary-metadata
    """)
    sent["chunk-metadata-main-message"] = "map[token:canary-map cacheURI:https://edge.example.org/m?k=1 index:0]"
    assert set(parsed(payload=json.dumps(asked), **sent).confidential()) >= {
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
        "/tmp/task-1",
        "True",
        "",
        CONTEXT,
    }
    assert not ordinary & set(parsed(payload=TOOLKIT["payload"].replace("}}", '}, "token": true}')).confidential())


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
    confidential = payload({"a": [f"https://example.org/{i}" for i in range(1000)]}).confidential()
    assert len(confidential) == 64
    assert {"token-1", "controller-token-1", TOOLKIT["cacheURI"], TOOLKIT["heartbeatWebhook"]} < set(confidential)
