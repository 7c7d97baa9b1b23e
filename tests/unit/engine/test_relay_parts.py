"""The relay's settings, its parsers of forms and messages, and its saved state."""

from __future__ import annotations

import ast
import base64
import dataclasses
import json
import os
import pwd
import sys
import time
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import relay
from local.template import ROOT

SET = {"ANNOHOOKS_URL": "https://api.example.org/prod/", "ANNOHOOKS_SECRET": "s3cret: é"}


def test_relay_needs_nothing_but_the_standard_library():
    tree = ast.parse((ROOT / "engine" / "relay.py").read_text(), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


# Settings


def test_settings_come_from_the_environment(tmp_path):
    chosen = relay.settings(SET | {"ANNOHOOKS_USER": "x", "ANNOHOOKS_RELAY_STATE": str(tmp_path)})
    assert chosen.url == "https://api.example.org/prod"
    assert chosen.authorization == "Basic " + base64.b64encode("x:s3cret: é".encode()).decode()
    assert (chosen.port, chosen.state, chosen.user) == (8888, tmp_path, "")
    assert "s3cret" not in repr(chosen)
    assert chosen.authorization not in repr(chosen)


def test_secret_may_be_in_a_file_of_text(tmp_path):
    of_file = SET | {"ANNOHOOKS_SECRET": "", "ANNOHOOKS_SECRET_FILE": str(tmp_path / "secret")}
    (tmp_path / "secret").write_text("s3cret\n")
    assert relay.settings(of_file).authorization == "Basic " + base64.b64encode(b"aiware:s3cret").decode()
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(relay.Misconfigured, match="ANNOHOOKS_SECRET_FILE"):
        relay.settings(of_file)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8300", "http://localhost:8300/x", "http://[::1]:1", "https://a/b"])
def test_api_may_be_local_or_https(url):
    assert relay.settings(SET | {"ANNOHOOKS_URL": url}).url == url


WRONG_URLS = [
    *("", "http://api.example.org", "ftp://127.0.0.1", "https://user:canary@api.example.org"),
    *("https://api.example.org/?key=canary", "https://api.example.org/#x", "https://api.example.org:x"),
    *("https://api.example.org/ x", "https://[::1"),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ANNOHOOKS_URL", url) for url in WRONG_URLS),
        *(("ANNOHOOKS_SECRET", ""), ("ANNOHOOKS_USER", "a:b")),
        *(("ANNOHOOKS_RELAY_PORT", "http"), ("ANNOHOOKS_RELAY_PORT", "65536")),
    ],
)
def test_setting_that_is_wrong_is_named_and_not_quoted(name, value):
    with pytest.raises(relay.Misconfigured, match=name) as error:
        relay.settings(SET | {name: value})
    assert "canary" not in str(error.value)


def test_pauses_grow_and_stay_within_their_bound():
    pace = relay.Timing()
    for tries in (0, 1, 5, 10**6):
        longest = min(30, 0.5 * 2 ** min(tries, 16))
        assert all(longest / 2 <= pace.pause_s(tries) <= longest for _ in range(20))


# The user


def test_relay_changes_from_root_to_the_user_who_then_owns_the_state_folder(monkeypatch, tmp_path):
    given_up = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("chown", "setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *arguments, name=name, **_: given_up.append((name, *arguments)))
    nobody = pwd.getpwnam("nobody")
    relay.become("nobody", tmp_path / "state")
    ids = [("setgroups", []), ("setgid", nobody.pw_gid), ("setuid", nobody.pw_uid)]
    assert given_up == [("chown", tmp_path / "state", nobody.pw_uid, nobody.pw_gid), *ids]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("user", "who"), [("", 0), ("nobody", 1000)])
def test_relay_does_not_change_the_user_without_root_or_a_setting(monkeypatch, tmp_path, user, who):
    monkeypatch.setattr(os, "geteuid", lambda: who)
    monkeypatch.setattr(os, "setuid", lambda _: pytest.fail("became another"))
    relay.become(user, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_relay_does_not_run_as_root_if_the_user_does_not_exist(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(relay.Misconfigured, match="ANNOHOOKS_RELAY_USER"):
        relay.become("no-such-user-anywhere", tmp_path)


# Forms

NAMES = ("heartbeatWebhook", "resultWebhook", "maxTTL")


def form(boundary: str, *parts: tuple[str, bytes]) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="'.encode()
    lines = [b'%s%s"\r\n\r\n%s\r\n' % (head, name.encode(), value) for name, value in parts]
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


def webhooks(content: bytes, content_type: str = "multipart/form-data; boundary=b"):
    return relay.webhooks(content_type, content)


@given(
    before=st.lists(st.tuples(st.from_regex(r"[a-z-]{1,20}", fullmatch=True), st.binary(max_size=60)), max_size=4),
    ports=st.tuples(*[st.none() | st.integers(1, 65535)] * 2),
    max_ttl=st.none() | st.integers(0, 10**6),
    chunk=st.binary(max_size=300),
)
def test_webhooks_of_any_form_are_found(before, ports, max_ttl, chunk):
    urls = [None if port is None else f"http://localhost:{port}/x/task?y=1" for port in ports]
    parts = [*before, *((name, (url or "").encode()) for name, url in zip(NAMES[:2], urls, strict=True))]
    if max_ttl is not None:
        parts.append(("maxTTL", str(max_ttl).encode()))
    read = webhooks(form("b0", *parts, ("chunk", chunk)), 'multipart/form-data; boundary="b0"')
    assert [read.heartbeat, read.result] == urls
    assert read.max_ttl_s == (max_ttl or 0)


@given(stop=st.integers(0, 200))
def test_form_cut_off_anywhere_is_refused(stop):
    whole = form("b", ("heartbeatWebhook", b"http://localhost:1/h"), ("maxTTL", b"60"))
    with pytest.raises(relay.BadForm):
        webhooks(whole[: min(stop, len(whole) - 3)])  # the very last line's end may be missing


@pytest.mark.parametrize("name", NAMES)
def test_field_that_the_relay_reads_may_not_occur_twice(name):
    value = b"60" if name == "maxTTL" else b"http://localhost:1/"
    with pytest.raises(relay.BadForm, match=f"{name} is given twice"):
        webhooks(form("b", (name, value), ("x", b""), (name, value)))


@pytest.mark.parametrize("content_type", ["", "multipart/form-data", "multipart/mixed; boundary=b"])
def test_form_of_another_type_is_refused(content_type):
    with pytest.raises(relay.BadForm, match="Content-Type"):
        webhooks(form("b"), content_type)


@pytest.mark.parametrize("boundary", ["b" * 71, "bé", "b\udce9", '"b\x07"', '""', "us-ascii'en'%FF"], ids=ascii)
def test_invalid_boundary_is_refused(boundary):
    sign = "*" if "'" in boundary else ""
    with pytest.raises(relay.BadForm, match="70 ASCII characters"):
        webhooks(form("b"), f"multipart/form-data; boundary{sign}={boundary}")


def test_form_of_256_parts_is_the_largest():
    longest = "b" * 70
    parts = [(f"x{number}", b"") for number in range(255)]
    largest = form(longest, *parts, ("maxTTL", b"60"))
    assert webhooks(largest, f"multipart/form-data; boundary={longest}").max_ttl_s == 60
    for more in (1, 1000):
        with pytest.raises(relay.BadForm, match="more than 256 parts"):
            webhooks(form("b", *parts, *[("y", b"")] * (more + 1)))


def test_part_with_long_headers_is_refused():
    part = b"--b\r\nContent-Disposition: form-data; name=x\r\nX: %s\r\n\r\n\r\n--b--\r\n"
    assert webhooks(part % (b"x" * 8000)).heartbeat is None
    with pytest.raises(relay.BadForm, match="more than 8192 bytes"):
        webhooks(part % (b"x" * 8192))


FORM = form("b", ("maxTTL", b"1"))
MALFORMED = [b"", b"x" + FORM, FORM + b"x", b"--b\r\nno headers\r\n--b--\r\n", b"--bX\r\n\r\n\r\n--b--\r\n", form("c")]


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_form_is_refused(body):
    with pytest.raises(relay.BadForm):
        webhooks(body)


@pytest.mark.parametrize("max_ttl", [b"", b"abc", b"-1", b"nan", b"inf", b"\xff", b"1e999"])
def test_invalid_time_limit_counts_as_absent(max_ttl):
    assert webhooks(form("b", ("maxTTL", max_ttl))).max_ttl_s == 0


# Messages


@given(st.lists(st.sampled_from(["running", "result", "complete"])))
def test_collapsing_keeps_the_last_of_running_heartbeats_in_a_row(kinds):
    messages = [
        relay.Message(number, "result" if kind == "result" else "heartbeat", b"", body={"status": kind})
        for number, kind in enumerate(kinds, 1)
    ]
    expected = []
    for running, group in groupby(messages, lambda message: message.running):
        in_a_row = list(group)
        expected += in_a_row[-1:] if running else in_a_row
    assert list(relay.collapsed(messages)) == expected


def test_message_is_json_or_the_bytes_of_another_type_and_none_that_was_accepted_before():
    items = [
        {"sequence": 3, "webhook": "result", "body": {"output": "é"}},
        {"sequence": 4, "webhook": "result", "base64": "/9j/", "content_type": "multipart/form-data; boundary=b"},
    ]
    content = json.dumps({"messages": items, "done": True}).encode()
    (plain, other), done = relay.messages(content, 2)
    assert (json.loads(plain.content), plain.content_type) == ({"output": "é"}, "application/json")
    assert (other.content, other.content_type) == (b"\xff\xd8\xff", "multipart/form-data; boundary=b")
    assert (plain.sequence, done) == (3, True)
    with pytest.raises(relay.NoAnswer):
        relay.messages(content, 3)


# State


@pytest.fixture
def job():
    return relay.Job("job-1", "http://localhost:1/h", "http://localhost:1/r", time.time() + 100, after=3, beat={"x": 1})


def test_state_is_saved_for_the_owner_only(tmp_path, job):
    store = relay.Store(tmp_path / "state")
    store.save(job)
    assert list(store.jobs()) == [job]
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    store.forget(job.name)
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        *({"heartbeat": "http://169.254.169.254/"}, {"result": "https://example.org/"}, {"result": ""}),
        *({"heartbeat": 7}, {"name": "job-2"}, {"expires_at": 0}, {"expires_at": 1e300}, {"expires_at": "soon"}),
        *({"after": "3"}, {"after": True}, {"beat": []}, {"more": 1}),
    ],
    ids=str,
)
def test_state_that_is_invalid_or_too_old_is_removed(tmp_path, job, changed):
    (tmp_path / "job-1.json").write_text(json.dumps(dataclasses.asdict(job) | changed))
    assert list(relay.Store(tmp_path).jobs()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_state_file_that_cannot_be_read_is_removed(tmp_path, content):
    (tmp_path / "job-1.json").write_bytes(content)
    assert list(relay.Store(tmp_path).jobs()) == []
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_earlier_state(tmp_path, job, monkeypatch):
    store = relay.Store(tmp_path)
    store.save(job)
    monkeypatch.setattr(relay.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    store.save(dataclasses.replace(job, after=4))
    assert list(store.jobs()) == [job]
