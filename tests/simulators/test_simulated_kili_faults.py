"""Each fault of the simulated Kili does what its name says, to the requests it is put on, until it is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kili_client import (
    ASSET,
    CREATE_ISSUES,
    LABELS,
    OLD_SEND_BACK,
    PROJECT,
    SEND_BACK,
    VIEWER,
    Client,
    Receiver,
)
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from local.simulators.kili import FAULTS, Kili
from local.simulators.kili.faults import FIRST_REFUSED

pytestmark = pytest.mark.thorough


@pytest.fixture
def kili() -> Iterator[Kili]:
    with Kili() as kili:
        kili.add_project(PROJECT)
        kili.add_asset(PROJECT, ASSET)
        yield kili
        assert kili.violations == []


@pytest.fixture
def client(kili: Kili) -> Client:
    return Client(kili)


@pytest.fixture
def label(kili: Kili) -> str:
    return kili.submit(ASSET, {"JOB": {"text": "some words"}})


class TestNames:
    def test_an_unknown_name_is_an_error(self, kili: Kili) -> None:
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            Kili(faults=["sloow"])
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            kili.faults.add("sloow")
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            kili.faults.update(["slow", "sloow"])
        with pytest.raises(ValueError, match="unknown fault 'sloow'"):
            kili.faults.plan("sloow")

    def test_faults_can_be_given_at_the_start_and_replaced(self) -> None:
        with Kili(faults=FAULTS) as kili:
            assert kili.faults == set(FAULTS)
            kili.faults = {"http_500"}
            assert Client(kili).send(VIEWER).status == 500
            kili.faults.clear()
            assert Client(kili).send(VIEWER).status == 200

    def test_what_strikes_events_cannot_be_planned_for_requests(self, kili: Kili) -> None:
        with pytest.raises(ValueError, match="cannot be planned"):
            kili.faults.plan("duplicate_delivery")


class TestPlanned:
    def test_a_fault_strikes_the_next_request_of_an_operation_and_no_other(
        self, kili: Kili, client: Client, label: str
    ) -> None:
        kili.faults.plan("http_500", on="createIssues")
        assert client.issues() == []
        assert kili.faults.planned == ["http_500"]
        assert client.send(CREATE_ISSUES, issues=[], where={}).status == 500
        assert kili.faults.planned == []
        client.raise_issues(label, "wrong")
        assert len(kili.issues) == 1

    @pytest.mark.parametrize("number", range(4))
    def test_a_fault_strikes_the_call_of_a_number(self, kili: Kili, client: Client, number: int) -> None:
        kili.faults.plan("http_502", skip=number)
        assert [client.send(VIEWER).status for _ in range(4)] == [200] * number + [502] + [200] * (3 - number)

    def test_a_fault_strikes_as_often_as_it_is_told_to(self, kili: Kili, client: Client) -> None:
        kili.faults.plan("http_429", skip=1, times=2)
        assert [client.send(VIEWER).status for _ in range(5)] == [200, 429, 429, 200, 200]

    def test_the_bucket_can_be_met_by_itself(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.plan("http_500", on="storage")
        (found,) = client.labels(id=label)
        assert [client.http.request("GET", found["jsonResponseUrl"]).status for _ in range(2)] == [500, 200]

    def test_several_faults_meet_in_order(self, kili: Kili, client: Client) -> None:
        kili.faults.plan("http_500", on="viewer")
        kili.faults.plan("http_502", on="viewer", skip=1)
        assert [client.send(VIEWER).status for _ in range(3)] == [500, 502, 200]

    def test_clearing_forgets_what_was_planned(self, kili: Kili, client: Client) -> None:
        kili.faults.plan("http_500")
        kili.faults.clear()
        assert client.send(VIEWER).status == 200


class TestNothingIsCarriedOut:
    @pytest.mark.parametrize(
        ("fault", "status", "text"),
        [
            ("http_500", 500, "Internal Server Error"),
            ("http_502", 502, "Bad Gateway"),
            ("refused_503", 503, "no healthy upstream"),
            ("rejects_key", 401, "Unauthorized"),
        ],
    )
    def test_every_request_is_answered_so(
        self, kili: Kili, client: Client, label: str, fault: str, status: int, text: str
    ) -> None:
        kili.faults.add(fault)
        for _ in range(3):
            reply = client.send(SEND_BACK, where={"idIn": [ASSET]})
            assert reply.status == status
            assert text in reply.data.decode()
        assert client.http.request("GET", f"{kili.origin}/api/label/v2/version").status == status
        assert kili.sent_back == []
        kili.faults.clear()
        assert client.data(SEND_BACK, where={"idIn": [ASSET]})["succeeded"]

    def test_the_key_that_is_rejected_opens_no_signed_url_to_begin_with(
        self, kili: Kili, client: Client, label: str
    ) -> None:
        (found,) = client.labels(id=label)
        kili.faults.add("rejects_key")
        assert client.http.request("GET", found["jsonResponseUrl"]).status == 200

    def test_the_first_requests_are_too_many(self, kili: Kili, client: Client, label: str) -> None:
        kili.retry_after = "3"
        kili.faults.add("http_429")
        replies = [client.send(SEND_BACK, where={"idIn": [ASSET]}) for _ in range(FIRST_REFUSED + 1)]
        assert [reply.status for reply in replies] == [429] * FIRST_REFUSED + [200]
        assert replies[0].headers["Retry-After"] == "3"
        assert kili.sent_back == [ASSET]
        kili.faults = {"http_429"}
        assert client.send(VIEWER).status == 429

    def test_an_operation_is_refused_in_kilis_shape(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.add("refuses")
        reply = client.send(SEND_BACK, where={"idIn": [ASSET]})
        assert reply.status == 200
        assert reply.json() == {
            "errors": [
                {
                    "message": "[serviceUnavailable] Try again later.",
                    "extensions": {"code": "OPERATION_RESOLUTION_FAILURE", "context": {}},
                }
            ],
            "data": None,
        }
        assert kili.sent_back == []


class TestCarriedOutWithoutSayingSo:
    def test_a_mutation_is_done_and_answered_502_and_a_query_is_answered(
        self, kili: Kili, client: Client, label: str
    ) -> None:
        kili.faults.add("unknown_outcome")
        assert client.send(SEND_BACK, where={"idIn": [ASSET]}).status == 502
        assert kili.sent_back == [ASSET]
        assert len(client.labels(id=label)) == 1

    def test_a_slow_server_does_what_it_is_asked(self, kili: Kili, label: str) -> None:
        kili.faults.add("slow")
        with pytest.raises(ReadTimeoutError):
            Client(kili, timeout_s=0.5).send(SEND_BACK, where={"idIn": [ASSET]})
        assert kili.sent_back == [ASSET]

    def test_a_connection_that_drops_was_used_before(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.plan("drops")
        with pytest.raises(ProtocolError):
            client.send(SEND_BACK, where={"idIn": [ASSET]})
        assert kili.sent_back == [ASSET]
        assert client.send(VIEWER).status == 200

    def test_half_an_answer_is_no_json(self, kili: Kili, client: Client, label: str) -> None:
        (found,) = client.labels(id=label)
        kili.faults.add("truncated_json")
        for reply in (
            client.send(SEND_BACK, where={"idIn": [ASSET]}),
            client.http.request("GET", found["jsonResponseUrl"]),
        ):
            assert (reply.status, len(reply.data) > 0) == (200, True)
            with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
                reply.json()
        assert kili.sent_back == [ASSET]


class TestOfSomeOperations:
    def test_an_older_kili_has_the_old_mutation_only(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.add("no_new_mutation")
        reply = client.send(SEND_BACK, where={"idIn": [ASSET]})
        assert reply.status == 400
        message = reply.json()["errors"][0]["message"]
        assert message.startswith('Cannot query field "sendAssetsBackToQueue" on type "Mutation".')
        assert kili.sent_back == []
        assert client.data(OLD_SEND_BACK, where={"idIn": [ASSET]}) == {"id": PROJECT}
        assert kili.sent_back == [ASSET]

    def test_the_older_kili_does_not_tell_of_the_new_mutation(self, kili: Kili, client: Client) -> None:
        fields = "{ __schema { mutationType { fields { name } } } }"

        def mutations() -> set[str]:
            return {field["name"] for field in client.data(fields)["mutationType"]["fields"]}

        new = mutations()
        kili.faults.add("no_new_mutation")
        assert new - mutations() == {"sendAssetsBackToQueue"}

    def test_a_label_is_found_from_the_second_time_on(self, kili: Kili, client: Client, label: str) -> None:
        other = kili.submit(ASSET, {})
        kili.faults.add("label_lags")
        assert len(client.labels(asset={"id": ASSET})) == 2
        assert [len(client.labels(id=label)) for _ in range(3)] == [0, 1, 1]
        assert [len(client.labels(id=other)) for _ in range(2)] == [0, 1]

    def test_a_json_response_can_be_inline(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.add("json_inline")
        (found,) = client.data(LABELS, where={"id": label}, first=1, skip=0)
        assert (found["jsonResponse"], found["jsonResponseUrl"]) == ('{"JOB": {"text": "some words"}}', None)

    @pytest.mark.parametrize(("query", "told"), [(SEND_BACK, True), (OLD_SEND_BACK, False)])
    def test_a_send_back_can_fail(self, kili: Kili, client: Client, label: str, query: str, told: bool) -> None:
        kili.faults.add("send_back_fails")
        outcome = client.data(query, where={"idIn": [ASSET]})
        if told:
            assert outcome["failed"] == [{"assetId": ASSET, "externalId": None, "details": "The write did not work."}]
        assert (kili.sent_back, kili.declined, kili.assets[ASSET]["status"]) == ([], [], "LABELED")

    def test_the_bucket_can_fail(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.add("storage_fails")
        (found,) = client.labels(id=label)
        assert client.http.request("GET", found["jsonResponseUrl"]).status == 500

    def test_the_bucket_can_be_slow(self, kili: Kili, client: Client, label: str) -> None:
        kili.faults.add("storage_slow")
        (found,) = client.labels(id=label)
        with pytest.raises(ReadTimeoutError):
            client.http.request("GET", found["jsonResponseUrl"], timeout=0.3)

    def test_an_event_can_be_posted_several_times_at_once(self, kili: Kili) -> None:
        with Receiver(together=3) as receiver:
            kili.create_webhook("w", receiver.url, PROJECT)
            kili.faults.add("duplicate_delivery")
            kili.submit(ASSET, {})
            assert len(kili.settle()) == 3
        assert receiver.bodies == [receiver.bodies[0]] * 3
        assert receiver.crowd == 3
