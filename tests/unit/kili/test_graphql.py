"""One GraphQL operation at a time: what is sent again, what never is, and what errors say."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core import origins, retry
from annohooks.core.deadline import Deadline
from annohooks.core.errors import (
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    Unavailable,
    Upstream,
    UpstreamStatus,
    UpstreamTimeout,
)
from annohooks.core.http import NotConnected
from annohooks.kili.api.graphql import OutcomeUnknown, Refused, Session, fragment
from annohooks.kili.settings import Endpoint
from local.listener import Dropped, Listener, Reply, Request

KEY = "canary-key-0123456789"
QUERY = "query viewer { data: viewer { id } }"
MUTATION = "mutation { data: sendAssetsBackToQueue(where: {idIn: []}) { failed { assetId } } }"
FINE = Reply(body=b'{"data": {"data": 7}}')


def errors(*messages: str, status: int = 200) -> Reply:
    body = {"errors": [{"message": message, "extensions": {"code": "X"}} for message in messages], "data": None}
    return Reply(status, json.dumps(body).encode())


class Server:
    """Answers with each reply in turn, then with the last for ever. A reply may be an exception."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.bodies: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self.listener = Listener("127.0.0.1", 0, self.answer)

    def answer(self, request: Request) -> Reply:
        self.bodies.append(json.loads(request.read(request.unread)))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the pauses before another attempt, without the pauses themselves. Chance makes none shorter."""
    noted: list[float] = []
    monkeypatch.setattr(retry, "sleep", noted.append)
    monkeypatch.setattr(retry, "random", SimpleNamespace(uniform=lambda low, high: high))
    return noted


@pytest.fixture
def session(pauses):
    """session(reply, ..., deadline_s=1000, read_timeout_s=10): a session, and the server that sends these replies."""
    with ExitStack() as opened:

        def start(*replies, deadline_s=1000, read_timeout_s=10):
            server = Server(*replies)
            opened.enter_context(server.listener)
            endpoint = Endpoint.parse(f"{server.listener.origin}/api/label/v2/graphql")
            client = Session(endpoint, KEY, Deadline.after(deadline_s), read_timeout_s)
            opened.callback(client.close)
            return client, server

        yield start


def execute(client, mutation=False, variables=None, **how):
    return client.execute(MUTATION if mutation else QUERY, variables or {}, doing="asking", mutation=mutation, **how)


def test_an_operation_is_sent_with_its_variables_and_the_key(session):
    client, server = session(FINE)
    assert execute(client, variables={"where": {"id": "ä"}}) == 7
    assert server.bodies == [{"query": QUERY, "variables": {"where": {"id": "ä"}}}]
    (headers,) = server.headers
    assert headers["authorization"] == f"X-API-Key: {KEY}"
    assert headers["content-type"] == "application/json"


def test_several_root_fields_come_together_and_a_single_one_alone(session):
    client, _ = session(Reply(body=b'{"data": {"data": [1], "projects": []}}'), Reply(body=b'{"data": {"a": null}}'))
    assert execute(client) == {"data": [1], "projects": []}
    assert execute(client) is None


def test_operations_share_a_connection(session):
    client, server = session(FINE)
    opened = []
    accept = server.listener.process_request
    server.listener.process_request = lambda *args: (opened.append(args), accept(*args))
    for _ in range(3):
        execute(client)
    assert len(opened) == 1


# What is sent again


NOT_FORWARDED = [b"no healthy upstream", b"reset reason: overflow", b"x reset reason: remote connection failure"]


@pytest.mark.parametrize(
    "reply", [*map(Reply, (401, 429, 521)), *(Reply(503, body) for body in NOT_FORWARDED)], ids=str
)
def test_an_operation_that_kili_has_not_processed_is_sent_again(session, reply):
    for mutation in (False, True):
        client, server = session(reply, reply, FINE)
        assert execute(client, mutation) == 7
        assert len(server.bodies) == 3


UNCERTAIN = [
    (Reply(500), 1),
    (Reply(502), 5),
    (Reply(503, b"upstream connect error"), 5),
    (Reply(503, b"no healthy upstream; retried and the latest reset reason: connection failure"), 5),
    (Reply(504), 2),
    (Reply(520), 5),
    (Reply(522), 5),
    (Reply(524), 2),
    (Dropped(), 5),
    (Reply(body=b'{"data": {"da', announced_bytes=100), 5),
    *(
        (Reply(body=body), 5)
        for body in (b'{"data": {"da', b"<html>log in</html>", b"[]", b"{}", b"[" * 100_000, b"\xff")
    ),
]


@pytest.mark.parametrize(("reply", "attempts"), UNCERTAIN, ids=lambda value: str(value)[:60])
def test_an_operation_that_kili_may_have_carried_out_is_sent_again_only_if_it_is_a_query(session, reply, attempts):
    client, server = session(reply)
    with pytest.raises(Upstream):
        execute(client)
    assert len(server.bodies) == attempts
    with pytest.raises(OutcomeUnknown, match="Kili may have carried it out anyway, so it is not repeated"):
        execute(client, mutation=True)
    assert len(server.bodies) == attempts + 1


@pytest.mark.parametrize(("mutation", "error", "attempts"), [(False, UpstreamTimeout, 2), (True, OutcomeUnknown, 1)])
def test_a_query_without_an_answer_in_time_is_sent_twice_and_a_mutation_once(session, mutation, error, attempts):
    client, server = session(Reply(hold=True), read_timeout_s=0.1)
    with pytest.raises(error, match=r"^Kili did not answer in time while asking\."):
        execute(client, mutation)
    assert len(server.bodies) == attempts


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(400, b"<html>"), "Kili answered with status 400 while asking."),
        (Reply(404, b"<html>"), "Kili answered with status 404 while asking."),
        (Reply(307), "Kili answered with a redirect while asking; redirects are not followed."),
    ],
)
@pytest.mark.parametrize("mutation", [False, True])
def test_other_statuses_are_definite(session, reply, message, mutation):
    client, server = session(reply)
    with pytest.raises(UpstreamStatus, match=f"^{re.escape(message)}$"):
        execute(client, mutation)
    assert len(server.bodies) == 1


def test_a_name_that_is_unknown_for_a_moment_is_asked_for_again(session, pauses, monkeypatch):
    client, _ = session(FINE)
    resolve = origins.socket.getaddrinfo
    known = iter([False, True])

    def answer(*args, **kwargs):
        if not next(known, True):
            raise OSError
        return resolve(*args, **kwargs)

    monkeypatch.setattr(origins.socket, "getaddrinfo", answer)
    assert execute(client, mutation=True) == 7
    assert len(pauses) == 1


def test_an_endpoint_at_a_forbidden_address_is_not_contacted_again_and_again(pauses):
    endpoint = Endpoint.parse("http://169.254.169.254/latest")
    endpoint = Endpoint(endpoint.origin._replace(explicit=False), endpoint.path)
    with pytest.raises(Forbidden):
        execute(Session(endpoint, KEY, Deadline.after(10), 1))
    assert pauses == []


def test_an_answer_larger_than_expected_is_not_read(session):
    client, server = session(Reply(body=b'{"data": {"data": "' + b"x" * 2000 + b'"}}'))
    with pytest.raises(Upstream, match=r"^Kili sent more than 1000 bytes while asking\.$"):
        execute(client, max_bytes=1000)
    with pytest.raises(OutcomeUnknown):
        execute(client, mutation=True, max_bytes=1000)
    assert len(server.bodies) == 2


# Pauses and deadlines


def test_pauses_grow_to_half_a_minute_and_attempts_end(session, pauses):
    client, server = session(Reply(521))
    with pytest.raises(UpstreamStatus):
        execute(client)
    assert pauses == [1, 2, 4, 8, 16] + [30] * 14
    assert len(server.bodies) == 20


@pytest.mark.parametrize("mutation", [False, True])
def test_a_server_that_cannot_be_reached_is_tried_until_no_time_is_left_to_answer(
    session, pauses, monkeypatch, mutation
):
    client, server = session(FINE, deadline_s=20)
    server.listener.stop()
    monkeypatch.setattr(Deadline, "remaining_s", lambda _: 20 - sum(pauses))
    with pytest.raises(NotConnected, match=r"^Kili could not be reached while asking\.$"):
        execute(client, mutation)
    assert pauses == [1, 2, 4, 8]  # the next, of up to 16 s, would leave less than a second to answer


def test_a_key_that_is_refused_does_not_cost_every_webhook_all_its_time(session, pauses):
    client, server = session(Reply(401, b"Unauthorized"))
    with pytest.raises(UpstreamStatus, match=r"^Kili refused the API key while asking\.$") as raised:
        execute(client)
    assert raised.value.reply_status == 401
    assert (len(server.bodies), pauses) == (3, [1, 2])


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [("3", 3), ("0.5", 0.5), ("0", 0), ("-1", 0), ("100000", 60), ("inf", 60), ("nan", 1), ("", 1), ("Fri, 1 Jan", 1)],
)
def test_a_pause_is_as_long_as_kili_asks_for_within_bounds(session, pauses, header, pause_s):
    replies = (Reply(status, headers={"Retry-After": header}) for status in (429, 502))
    client, _ = session(*replies, FINE)
    execute(client)
    assert pauses == [pause_s, 2 if pause_s == 1 else pause_s]


def test_a_pause_that_leaves_no_time_to_answer_is_not_begun(session, pauses):
    client, _ = session(Reply(429, headers={"Retry-After": "10"}), deadline_s=10.5)
    with pytest.raises(UpstreamStatus, match=r"^Kili answered with status 429 while asking\.$"):
        execute(client, mutation=True)
    assert pauses == []


@pytest.mark.parametrize(("mutation", "error"), [(False, DeadlineExceeded), (True, OutcomeUnknown)])
def test_at_the_deadline_a_query_has_failed_and_a_mutation_may_have_been_carried_out(session, mutation, error):
    client, server = session(Reply(hold=True), deadline_s=0.2)
    with pytest.raises(error, match="The time for this request ran out while asking"):
        execute(client, mutation)
    with pytest.raises(DeadlineExceeded):
        execute(client, mutation)
    assert len(server.bodies) == 1


# What errors say


@pytest.mark.parametrize(("status", "mutation"), [(200, False), (400, True), (502, False), (500, True)])
def test_a_graphql_error_is_definite_whatever_its_status(session, status, mutation):
    client, server = session(errors("[accessDenied] You may not: a@example.org", "[other] No", status=status))
    with pytest.raises(Refused) as raised:
        execute(client, mutation)
    assert raised.value.message == "Kili refused the request while asking (accessDenied)."
    assert raised.value.code == "accessDenied"
    assert raised.value.detail == "[accessDenied] You may not: a@example.org"
    assert not raised.value.unknown_field
    assert len(server.bodies) == 1


@pytest.mark.parametrize("reply", [b'{"errors": 1}', b'{"errors": [null, {}]}', b'{"errors": [{"message": null}]}'])
def test_errors_of_any_shape_are_a_refusal(session, reply):
    client, _ = session(Reply(body=reply))
    with pytest.raises(Refused, match=r"^Kili refused the request while asking\.$"):
        execute(client)


@pytest.mark.parametrize("message", ["Failed to fetch data connection", "x Invalid request made to Flagsmith API"])
@pytest.mark.parametrize(("mutation", "attempts"), [(False, 5), (True, 1)])
def test_after_a_transient_error_only_a_query_is_sent_again(session, message, mutation, attempts):
    client, server = session(errors(message))
    with pytest.raises(Refused):
        execute(client, mutation)
    assert len(server.bodies) == attempts


def test_a_refusal_tells_whether_this_kili_lacks_the_field_and_never_the_key(session):
    client, _ = session(
        errors('Cannot query field "sendAssetsBackToQueue" on type "Mutation".', status=400),
        errors(f"[unauthenticated] {KEY} is no key, {'x' * 1000}"),
    )
    with pytest.raises(Refused) as raised:
        execute(client, mutation=True)
    assert raised.value.unknown_field
    with pytest.raises(Refused) as raised:
        execute(client)
    assert raised.value.detail.startswith("[unauthenticated] *** is no key, xxx")
    assert len(raised.value.detail) == 500
    assert KEY not in f"{vars(raised.value)} {raised.value!r}"


@pytest.mark.parametrize("value", ["\ud800", {1.5: object()}, {("a",): 1}])
def test_a_value_that_cannot_be_sent_is_a_bad_request(session, value):
    client, server = session(FINE)
    with pytest.raises(BadRequest, match=r"^A value cannot be sent to Kili while asking\.$"):
        execute(client, variables={"x": value})
    assert server.bodies == []


@pytest.mark.parametrize("key", ["", " ", "key\n", "key\r\nX-Injected: 1", "schlüssel", "two words"])
def test_a_key_that_cannot_be_sent_is_not_reported_as_a_wrong_key(key):
    with pytest.raises(Unavailable, match=r"^The API key for Kili has characters that cannot be sent\.$"):
        Session(Endpoint.parse("https://kili.example.org/graphql"), key, Deadline.after(1), 1)


def test_fields_with_dots_become_a_nested_selection():
    asked = fragment(["id", "author.id", "jsonResponse", "author.email", "labelOf.project.id"])
    assert asked == "id author { id email } jsonResponse labelOf { project { id } }"


@given(st.text())
def test_a_selection_holds_nothing_but_names(field):
    try:
        selected = fragment([field])
    except ValueError:
        return
    assert set("".join(selected.split())) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_{}")
