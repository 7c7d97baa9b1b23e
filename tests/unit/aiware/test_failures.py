"""What an error means to the toolkit, and how the state machine's errors are read back."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from annohooks.aiware import failures
from annohooks.aiware.failures import MAX_MESSAGE_LENGTH, REASONS, Failure, failure, from_step_functions, one_line
from annohooks.core import errors
from annohooks.core.http import ConnectionFailed, NotConnected
from local.template import ROOT


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        *((errors.UpstreamStatus("x", 404), "url_not_found"), (errors.UpstreamStatus("x", 410), "url_not_found")),
        *((errors.UpstreamStatus("x", 401), "url_not_allowed"), (errors.UpstreamStatus("x", 403), "url_not_allowed")),
        *((errors.UpstreamStatus("x", 429), "rate_limited"), (errors.UpstreamStatus("x", 500), "url_error")),
        *((errors.UpstreamTimeout("x"), "url_timeout"), (NotConnected("x"), "url_connection_refused")),
        *((ConnectionFailed("x"), "stream_read_error"), (errors.Upstream("x"), "url_error")),
        *(
            (errors.Forbidden("x"), "url_not_allowed"),
            (errors.BadRequest("x"), "invalid_data"),
            (errors.TooLarge("x"), "invalid_data"),
        ),
        *(
            (errors.DeadlineExceeded("x"), "other"),
            (errors.Unavailable("x"), "internal_error"),
            (KeyError("x"), "internal_error"),
        ),
        *((OSError(28, "No space left on device"), "file_write_error"), (failure("other", "x"), "other")),
    ],
    ids=repr,
)
def test_each_error_has_a_reason_that_the_toolkit_knows(error, reason):
    assert failures.from_exception(error).reason == reason
    assert reason in REASONS


def test_nothing_of_an_unknown_errors_text_is_told():
    assert "secret" not in failures.from_exception(ValueError("the secret is hunter2")).message


@pytest.mark.parametrize(
    ("error", "name"),
    [(errors.UpstreamStatus("status 404", 404), "url_not_found"), (KeyError("secret"), "internal_error")],
)
def test_an_error_leaves_by_the_name_of_its_reason(error, name):
    with pytest.raises(Failure) as raised, failures.raised_as_failures():
        raise error
    assert type(raised.value).__name__ == name


@pytest.mark.parametrize("reason", ["url_not_found", "other"])
@pytest.mark.parametrize(("cause", "message"), [('{"errorMessage": "why"}', "why"), ("{}", ""), ("not JSON", "")])
def test_a_failure_is_read_back_from_what_lambda_tells_step_functions(reason, cause, message):
    read = from_step_functions(reason, cause)
    assert (read.reason, read.message) == (reason, message)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        *(("JobExpired", "other"), ("States.Timeout", "internal_error"), ("Sandbox.Timedout", "internal_error")),
        *(("Runtime.ExitError", "system_error"), ("Lambda.Unknown", "system_error")),
        *(("Lambda.TooManyRequestsException", "rate_limited"), ("States.DataLimitExceeded", "internal_error")),
        ("", "internal_error"),
    ],
)
def test_errors_of_aws_itself_have_a_reason_and_a_sentence(error, reason):
    read = from_step_functions(error, "RequestId: 1 Error: Runtime exited with error: signal: killed")
    assert read.reason == reason
    assert read.message.endswith((".", "help."))


@given(st.text())
@example("a\ud800\u2028b\x00" * 1000)
def test_any_message_becomes_a_line_that_any_reader_of_json_takes(text):
    line = one_line(text)
    assert len(line) <= MAX_MESSAGE_LENGTH
    assert json.loads(json.dumps(line)).encode().decode() == line
    assert not re.search(r"[\x00-\x1f\x7f]", line)


def test_the_state_machine_knows_no_other_reasons():
    text = (ROOT / "statemachines" / "aiware_engine.asl.yaml").read_text()
    names = {name.strip() for errors in re.findall(r"ErrorEquals: \[([^\]]+)\]", text) for name in errors.split(",")}
    assert {name for name in names if not name.startswith(("States.", "Lambda."))} <= {*REASONS}
