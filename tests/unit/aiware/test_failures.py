"""What an error means to the toolkit, and how the state machine's errors are read back."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.aiware import failures
from annohooks.aiware.failures import LONGEST_MESSAGE, REASONS, Failure, cleaned, failure, told
from annohooks.core.errors import BadRequest, DeadlineExceeded, Forbidden, TooLarge, Unavailable, Upstream
from annohooks.core.http import ConnectionFailed, NotConnected, UpstreamStatus, UpstreamTimeout
from local.template import ROOT


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UpstreamStatus("x", 404), "url_not_found"),
        (UpstreamStatus("x", 410), "url_not_found"),
        (UpstreamStatus("x", 401), "url_not_allowed"),
        (UpstreamStatus("x", 403), "url_not_allowed"),
        (UpstreamStatus("x", 429), "rate_limited"),
        (UpstreamStatus("x", 500), "url_error"),
        (UpstreamTimeout("x"), "url_timeout"),
        (NotConnected("x"), "url_connection_refused"),
        (ConnectionFailed("x"), "stream_read_error"),
        (Upstream("x"), "url_error"),
        (Forbidden("x"), "url_not_allowed"),
        (BadRequest("x"), "invalid_data"),
        (TooLarge("x"), "invalid_data"),
        (DeadlineExceeded("x"), "other"),
        (Unavailable("x"), "internal_error"),
        (OSError(28, "No space left on device"), "file_write_error"),
        (KeyError("x"), "internal_error"),
    ],
)
def test_each_error_has_a_reason_that_the_toolkit_knows(error, reason):
    assert failures.of(error).reason == reason
    assert reason in REASONS


def test_nothing_of_an_unknown_errors_text_is_told():
    assert "secret" not in failures.of(ValueError("the secret is hunter2")).message


def test_an_error_leaves_by_the_name_of_its_reason():
    with pytest.raises(Failure) as raised, failures.named():
        raise UpstreamStatus("the server answered with status 404", 404)
    assert type(raised.value).__name__ == "url_not_found"


@pytest.mark.parametrize("reason", REASONS)
def test_a_failure_is_read_back_from_what_lambda_tells_step_functions(reason):
    cause = json.dumps({"errorType": reason, "errorMessage": "why", "stackTrace": []})
    found = told(reason, cause)
    assert (found.reason, found.message) == (reason, "why")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("JobExpired", "other"),
        ("States.Timeout", "internal_error"),
        ("Sandbox.Timedout", "internal_error"),
        ("Runtime.ExitError", "system_error"),
        ("Lambda.Unknown", "system_error"),
        ("States.DataLimitExceeded", "internal_error"),
        ("", "internal_error"),
    ],
)
def test_errors_of_aws_itself_have_a_reason_and_a_sentence(error, reason):
    found = told(error, "RequestId: 1 Error: Runtime exited with error: signal: killed")
    assert found.reason == reason
    assert found.message.endswith((".", "help."))


@given(st.text())
def test_any_message_becomes_a_line_that_any_reader_of_json_takes(text):
    line = cleaned(text)
    assert len(line) <= LONGEST_MESSAGE
    assert line.encode().decode() == line
    assert not re.search(r"[\x00-\x1f\x7f]", line)


def test_a_message_of_a_megabyte_is_cut():
    assert len(failure("other", "x" * 1_000_000).message) == LONGEST_MESSAGE


def test_the_state_machine_knows_no_other_reasons():
    text = (ROOT / "statemachines" / "aiware_engine.asl.yaml").read_text()
    named = {each.strip() for found in re.findall(r"ErrorEquals: \[([^\]]+)\]", text) for each in found.split(",")}
    assert {each for each in named if not each.startswith(("States.", "Lambda."))} <= {*REASONS}
