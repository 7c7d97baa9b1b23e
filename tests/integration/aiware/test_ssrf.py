"""Addresses that a form may name, and that nobody may be sent to."""

from __future__ import annotations

import pytest

INTERNAL = [
    "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://127.1/",
    "http://0/",
    "http://localhost/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/_x",
    "ftp://127.0.0.1/x",
    "https://allowed.example@127.0.0.1/",
    "https://evil.example#allowed.example",
    "https://xn--80ak6aa92e.com/",
    "http://127.0.0.1:6379/",
    "//127.0.0.1/x",
]
NO_URLS = ["http://127.0.0.1\r\nHost: other/", "https://allowed.example/" + "a" * 3000, "https://allowed.example/ä"]


QUICK = (INTERNAL[1], NO_URLS[0])
"""One address of each kind. tests/unit/core/test_origins.py refuses the others too."""
ADDRESSES = [*((url, 403) for url in INTERNAL), *((url, 400) for url in NO_URLS)]


@pytest.mark.parametrize("field", ["cacheURI", "heartbeatWebhook", "resultWebhook"])
@pytest.mark.parametrize(
    ("url", "status"),
    [pytest.param(*case, marks=() if case[0] in QUICK else pytest.mark.thorough) for case in ADDRESSES],
    ids=lambda value: str(value)[:40].replace("\r\n", " "),
)
def test_an_address_that_is_not_listed_is_refused_before_anything_is_done(engine, field, url, status):
    before = len(engine.media.calls)
    task = engine.process(**{field: url})
    assert (task.state, task.status) == ("ERROR", status)
    assert ("does not allow" if status == 403 else f"`{field}` is not a URL") in task.failure_message
    assert len(engine.media.calls) == before
    assert task.job is None


def test_addresses_that_nobody_uses_are_of_no_consequence(engine):
    unused = ("externalCallbackWebhook", "veritoneApiBaseUrl", "redisETUrl")
    assert engine.process(**dict.fromkeys(unused, "http://169.254.169.254/")).wait(40).state == "COMPLETE"
