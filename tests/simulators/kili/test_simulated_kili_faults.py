"""Each fault of the simulated Kili does what its description says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kili_client import ASSET, CREATE_ISSUES, OLD_SEND_BACK, PROJECT, SEND_BACK, VIEWER, Client, Receiver, issues
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from local.simulators.kili import Kili

pytestmark = pytest.mark.thorough

CHOSEN = {"idIn": [ASSET]}


@pytest.fixture(autouse=True)
def nothing_breaks_the_protocol(kili: Kili) -> Iterator[None]:
    yield
    assert kili.violations == []


@pytest.fixture
def url(client: Client, label: str) -> str:
    """The signed URL of the label's jsonResponse."""
    (answer,) = client.labels(id=label)
    return str(answer["jsonResponseUrl"])


class TestOfRequests:
    @pytest.mark.parametrize(
        ("fault", "status", "text"),
        [
            ("http_500", 500, b"Internal Server Error"),
            ("http_502", 502, b"Bad Gateway"),
            ("refused_503", 503, b"no healthy upstream"),
            ("rejects_key", 401, b"Unauthorized"),
        ],
    )
    def test_a_status_is_answered_and_nothing_carried_out(self, kili, client, label, fault, status, text):
        kili.faults.add(fault)
        for _ in range(3):
            reply = client.send(SEND_BACK, where=CHOSEN)
            assert (reply.status, text in reply.data) == (status, True)
        assert client.http.request("GET", f"{kili.origin}/api/label/v2/version").status == status
        assert kili.sent_back == []
        kili.faults.clear()
        assert client.data(SEND_BACK, where=CHOSEN)["succeeded"]

    def test_a_planned_fault_strikes_one_operation_only(self, kili, client, label):
        kili.faults.plan("http_500", on="createIssues")
        assert client.send(VIEWER).status == 200
        assert client.send(CREATE_ISSUES, **issues(label, "wrong")).status == 500
        client.data(CREATE_ISSUES, **issues(label, "wrong"))
        assert len(kili.issues) == 1

    def test_the_first_requests_are_too_many(self, kili, client, label):
        kili.retry_after = "3"
        kili.faults.add("http_429")
        replies = [client.send(SEND_BACK, where=CHOSEN) for _ in range(3)]
        assert [reply.status for reply in replies] == [429, 429, 200]
        assert replies[0].headers["Retry-After"] == "3"
        assert kili.sent_back == [ASSET]

    def test_an_operation_is_refused_in_kilis_shape(self, kili, client, label):
        kili.faults.add("refuses")
        reply = client.send(SEND_BACK, where=CHOSEN)
        extensions = {"code": "OPERATION_RESOLUTION_FAILURE", "context": {}}
        error = {"message": "[serviceUnavailable] Try again later.", "extensions": extensions}
        assert (reply.status, reply.json()) == (200, {"errors": [error], "data": None})
        assert kili.sent_back == []

    def test_a_mutation_is_carried_out_and_answered_502_but_a_query_is_answered(self, kili, client, label):
        kili.faults.add("unknown_outcome")
        assert client.send(SEND_BACK, where=CHOSEN).status == 502
        assert kili.sent_back == [ASSET]
        assert len(client.labels(id=label)) == 1

    @pytest.mark.parametrize(("fault", "error"), [("slow", ReadTimeoutError), ("drops", ProtocolError)])
    def test_a_request_is_carried_out_without_an_answer(self, kili, label, fault, error):
        kili.faults.plan(fault)
        client = Client(kili, timeout_s=0.3)
        with pytest.raises(error):
            client.send(SEND_BACK, where=CHOSEN)
        assert kili.sent_back == [ASSET]
        assert client.send(VIEWER).status == 200

    def test_half_an_answer_is_not_json(self, kili, client, url):
        kili.faults.add("truncated_json")
        for reply in (client.send(SEND_BACK, where=CHOSEN), client.http.request("GET", url)):
            assert (reply.status, len(reply.data) > 0) == (200, True)
            with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
                reply.json()
        assert kili.sent_back == [ASSET]


class TestOfTheBucket:
    @pytest.mark.parametrize(
        ("fault", "of_bucket", "of_others"), [("rejects_key", 200, 401), ("storage_fails", 500, 200)]
    )
    def test_the_bucket_answers_or_fails_alone(self, kili, client, url, fault, of_bucket, of_others):
        kili.faults.add(fault)
        assert client.http.request("GET", url).status == of_bucket
        assert client.send(VIEWER).status == of_others

    def test_the_bucket_alone_can_be_slow(self, kili, client, url):
        kili.faults.plan("slow", on="storage")
        assert client.send(VIEWER).status == 200
        with pytest.raises(ReadTimeoutError):
            client.http.request("GET", url, timeout=0.1)


class TestOfSomeOperations:
    def test_an_older_kili_has_the_old_mutation_only(self, kili, client, label):
        kili.faults.add("no_new_mutation")
        reply = client.send(SEND_BACK, where=CHOSEN)
        message = reply.json()["errors"][0]["message"]
        assert reply.status == 400
        assert message.startswith('Cannot query field "sendAssetsBackToQueue" on type "Mutation".')
        assert kili.sent_back == []
        assert client.data(OLD_SEND_BACK, where=CHOSEN) == {"id": PROJECT}
        assert client.data(OLD_SEND_BACK, where={"id": ASSET}) == {"id": PROJECT}
        assert (kili.sent_back, kili.declined, kili.labels[label]["sent_back"]) == ([ASSET], [ASSET], True)

    def test_a_label_is_returned_from_the_second_query_on(self, kili, client, label):
        other = kili.submit(ASSET, {})
        kili.faults.add("label_lags")
        assert len(client.labels(asset={"id": ASSET})) == 2
        assert [len(client.labels(id=label)) for _ in range(3)] == [0, 1, 1]
        assert [len(client.labels(id=other)) for _ in range(2)] == [0, 1]

    def test_a_json_response_can_be_inline(self, kili, client, label):
        kili.faults.add("json_inline")
        (answer,) = client.labels(id=label)
        assert (answer["jsonResponse"], answer["jsonResponseUrl"]) == ('{"JOB": {"text": "some words"}}', None)

    def test_a_send_back_can_fail(self, kili, client, label):
        kili.faults.add("send_back_fails")
        failure = {"assetId": ASSET, "externalId": "picture-1", "details": "The write did not work."}
        assert client.data(SEND_BACK, where=CHOSEN)["failed"] == [failure]
        assert client.data(OLD_SEND_BACK, where=CHOSEN) == {"id": PROJECT}
        assert (kili.sent_back, kili.declined, kili.assets[ASSET]["status"]) == ([], [], "LABELED")

    def test_an_event_can_be_posted_three_times_at_once(self, kili):
        with Receiver(together=3) as receiver:
            kili.create_webhook("w", receiver.url, PROJECT)
            kili.faults.add("duplicate_delivery")
            kili.submit(ASSET, {})
            assert len(kili.settle()) == 3
        assert receiver.bodies == [receiver.bodies[0]] * 3
        assert receiver.concurrent == 3
