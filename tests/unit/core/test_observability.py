import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest

from annohooks.core import observability
from annohooks.core.errors import BadRequest
from annohooks.core.observability import instrument, log_unexpected, logger, metrics, redacted

CANARY = "canary-0123456789"
AWKWARD = 'cänary "秘密" \\ \' \n + &/=%'
CONTEXT = SimpleNamespace(
    function_name="slidescore",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:slidescore",
    aws_request_id="request-1",
)


@pytest.fixture
def log():
    """What the logger writes, as text."""
    stream = io.StringIO()
    handler = logger.registered_handler
    before = handler.setStream(stream)
    yield stream.getvalue
    handler.setStream(before)
    logger.structure_logs()


def lines(log):
    return [json.loads(line) for line in log().splitlines()]


@pytest.mark.parametrize("secret", [CANARY, AWKWARD])
@pytest.mark.parametrize(
    "write",
    [
        lambda s: logger.info(s),
        lambda s: logger.info(f"asked with token={s}&x=1"),
        lambda s: logger.info("asked with %s", s),
        lambda s: logger.info("asked with %r", {"token": s}),
        lambda s: logger.info({"body": {"apitoken": [s]}}),
        lambda s: logger.info(json.dumps({"apitoken": s})),
        lambda s: logger.info(f"body: {json.dumps({'apitoken': s})}"),
        lambda s: logger.info(f"body: {json.dumps({'apitoken': s}, ensure_ascii=False)}"),
        lambda s: logger.info("asked", extra={"token": s, "nested": {s: s}, "bytes": s.encode()}),
        lambda s: logger.info(f"https://slides.example.org/?token={quote(s)}"),
        lambda s: logger.info(f"https://slides.example.org/?token={quote(s, safe='')}"),
        lambda s: logger.info(f"https://slides.example.org/?token={quote_plus(s)}"),
        lambda s: logger.append_keys(token=s) or logger.info("asked"),
    ],
)
def test_a_redacted_value_is_in_no_part_of_a_line(log, secret, write):
    write(secret)
    assert "***" not in log()  # without redaction it is written as it is
    written = len(log())
    with redacted(secret):
        write(secret)
    line = log()[written:]
    assert "***" in line
    for part in ("canary", "nary", "秘密", "79d8", "xe7"):
        assert part not in line
    json.loads(line)


@pytest.mark.parametrize("secret", [CANARY, AWKWARD])
def test_a_redacted_value_is_in_no_exception_or_stack_trace(log, secret):
    with redacted(secret):
        try:
            try:
                raise KeyError(secret)
            except KeyError as error:
                raise RuntimeError(f"while asking with {secret}") from error
        except RuntimeError:
            logger.exception("failed")
    assert "***" in log()
    assert "nary" not in log()
    assert lines(log)[0]["exception_name"] == "RuntimeError"


def test_what_another_thread_logs_is_redacted_too(log):
    with redacted(CANARY):
        thread = threading.Thread(target=logger.info, args=[f"tile asked with {CANARY}"])
        thread.start()
        thread.join()
    assert lines(log)[0]["message"] == "tile asked with ***"


def test_redaction_ends_with_its_block_and_nested_blocks_end_one_by_one(log):
    with redacted("first-secret", "second-secret"):
        with redacted("first-secret"):
            logger.info("first-secret second-secret")
        logger.info("first-secret second-secret")
    logger.info("first-secret second-secret")
    assert [line["message"] for line in lines(log)] == ["*** ***", "*** ***", "first-secret second-secret"]


def test_redaction_ends_when_its_block_fails(log):
    with pytest.raises(KeyError), redacted("first-secret"):
        raise KeyError
    logger.info("first-secret")
    assert lines(log)[0]["message"] == "first-secret"


def test_the_longest_of_overlapping_values_is_redacted_whole(log):
    with redacted("secret", "secret-and-more"):
        logger.info("secret-and-more secret")
    assert lines(log)[0]["message"] == "*** ***"


@pytest.mark.parametrize("value", [None, "", "abc"])
def test_absent_and_very_short_values_leave_lines_as_they_are(log, value):
    with redacted(value):
        logger.info("abc def")
    assert lines(log)[0]["message"] == "abc def"


def test_two_calls_in_a_warm_container_are_logged_redacted_and_apart(log):
    def handler(event, context):
        with redacted(event["token"]):
            logger.append_keys(**event["keys"])
            logger.info("asked with %s", event["token"])
        return {"statusCode": 200}

    handle = instrument(handler)
    assert handle({"token": CANARY, "keys": {"study": 7}}, CONTEXT) == {"statusCode": 200}
    second = SimpleNamespace(**{**vars(CONTEXT), "aws_request_id": "request-2"})
    assert handle({"token": "another-canary", "keys": {}}, second) == {"statusCode": 200}
    first_line, second_line = lines(log)
    assert (first_line["message"], second_line["message"]) == ("asked with ***", "asked with ***")
    assert (first_line["study"], first_line["function_request_id"]) == (7, "request-1")
    assert second_line["function_request_id"] == "request-2"
    assert "study" not in second_line
    assert second_line["service"] == "annohooks"


def test_neither_event_nor_response_is_logged(log, capsys):
    handle = instrument(lambda event, context: {"body": CANARY})
    assert handle({"body": CANARY}, CONTEXT) == {"body": CANARY}
    assert log() == ""
    assert capsys.readouterr().out == ""


def test_metrics_are_written_once_per_call_and_none_are_fine(capsys):
    def handler(event, context):
        if event:
            metrics.add_metric(name="Outlines", unit="Count", value=event)

    handle = instrument(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        handle(3, CONTEXT)
        handle(0, CONTEXT)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["Outlines"] == [3.0]
    assert json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "annohooks"


def test_metrics_are_written_when_the_handler_fails(capsys):
    def handler(event, context):
        metrics.add_metric(name="Failures", unit="Count", value=1)
        raise BadRequest("Draw a region first.")

    with pytest.raises(BadRequest):
        instrument(handler)({}, CONTEXT)
    assert "Failures" in capsys.readouterr().out


def test_an_error_of_ours_leaves_the_handler_as_it_is(log):
    def handler(event, context):
        raise BadRequest("Draw a region first.")

    with pytest.raises(BadRequest, match=r"Draw a region first\."):
        instrument(handler)({}, CONTEXT)
    assert log() == ""


def test_any_other_error_leaves_the_handler_and_is_logged_without_its_text(log):
    def handler(event, context):
        raise KeyError(event["token"])

    with pytest.raises(RuntimeError) as raised:
        instrument(handler)({"token": CANARY}, CONTEXT)
    assert str(raised.value) == "unexpected KeyError; the log says where"
    assert raised.value.__suppress_context__
    (line,) = lines(log)
    assert (line["level"], line["message"]) == ("ERROR", "unexpected KeyError")
    assert any(frame.endswith(" handler") and "test_observability.py:" in frame for frame in line["frames"])
    assert CANARY not in log()


def test_an_unexpected_error_is_logged_without_its_text(log):
    try:
        int(CANARY)
    except ValueError as error:
        log_unexpected(error)
    assert lines(log)[0]["message"] == "unexpected ValueError"
    assert CANARY not in log()


@pytest.fixture
def in_lambda(monkeypatch):
    monkeypatch.setattr(observability, "_IN_LAMBDA", True)


def unexpected(act):
    try:
        act()
    except Exception as error:
        log_unexpected(error)


def test_a_developer_sees_the_whole_traceback_of_an_unexpected_error(log, capsys):
    unexpected(lambda: int(CANARY))
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert f"invalid literal for int() with base 10: '{CANARY}'" in printed


def test_lambda_logs_a_traceback_at_debug_only(log, in_lambda, capsys):
    unexpected(lambda: int(CANARY))
    assert CANARY not in log()
    logger.setLevel("DEBUG")
    unexpected(lambda: int(CANARY))
    logger.setLevel("INFO")
    assert f"base 10: '{CANARY}'" in lines(log)[1]["exception"]
    assert capsys.readouterr().err == ""


def test_an_author_reads_what_their_own_code_raised(log, in_lambda, tmp_path, monkeypatch):
    monkeypatch.setattr(observability, "_team_code", set())
    own = tmp_path / "plugin.py"
    own.write_text("def fails():\n    raise ValueError('the score is negative')\ndef calls(other):\n    other()\n")
    names = {}
    exec(compile(own.read_text(), str(own), "exec"), names)
    unexpected(names["fails"])
    observability.mark_team_code(tmp_path)
    unexpected(names["fails"])
    unexpected(lambda: names["calls"](lambda: int(CANARY)))  # raised in code that is not the team's
    unmarked, raised, called = lines(log)
    assert "team_code" not in unmarked
    assert (raised["team_code"], raised["error"]) == (f"{own}:2", "the score is negative")
    assert (called["team_code"], "error" in called) == (f"{own}:4", False)
    assert CANARY not in log()


def test_a_callable_object_can_be_instrumented():
    class App:
        def __call__(self, event, context):
            return event

    assert instrument(App())({"a": 1}, CONTEXT) == {"a": 1}


def test_without_x_ray_nothing_is_traced_and_annotating_does_no_harm():
    observability.tracer.put_annotation("Platform", "slidescore")
    observability.tracer.put_metadata("Outlines", 3)

    @observability.tracer.capture_method
    def measured():
        return 3

    assert measured() == 3


@pytest.mark.parametrize("name", ["urllib3.connection", "mangum.http"])
def test_loggers_of_libraries_that_quote_requests_are_quiet(name):
    import annohooks.core.http  # noqa: F401

    assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


def python(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), **environ},
    ).stdout.split()


@pytest.mark.parametrize(
    ("environ", "imported"),
    [
        ({}, "False"),
        ({"LAMBDA_TASK_ROOT": "/var/task", "AWS_SAM_LOCAL": "true"}, "False"),
        ({"LAMBDA_TASK_ROOT": "/var/task", "POWERTOOLS_TRACE_DISABLED": "true"}, "False"),
        ({"LAMBDA_TASK_ROOT": "/var/task"}, "True"),
    ],
)
def test_the_x_ray_sdk_is_loaded_only_in_lambda_with_tracing_on_and_patches_nothing(environ, imported):
    code = """
import sys, annohooks.core.observability
print("aws_xray_sdk.core" in sys.modules, "aws_xray_sdk.ext.httplib.patch" in sys.modules)
"""
    assert python(code, **environ) == [imported, "False"]


def test_importing_core_loads_neither_pixels_nor_boto3():
    code = """
import sys
import annohooks.core.auth, annohooks.core.http, annohooks.core.settings, annohooks.core.staging
print([name for name in ("cv2", "numpy", "boto3", "aws_xray_sdk") if name in sys.modules])
"""
    assert python(code) == ["[]"]


def test_only_the_beginning_of_an_endless_value_is_looked_for(log):
    with redacted("x" * 1_000_000):
        assert sum(map(len, observability._redacting[-1])) < 100_000
        logger.info("x" * 5000)
    assert "x" * 2048 not in log()


def test_many_long_and_awkward_values_are_bounded_too(log):
    values = [f"{number}{AWKWARD * 200}" for number in range(64)]
    with redacted(*values):
        assert sum(map(len, observability._redacting[-1])) < 20_000_000
        logger.info("asked with %s and %s", values[7][:2048], quote(values[63][:2048]))
    assert lines(log)[0]["message"] == "asked with *** and ***"


@pytest.mark.parametrize("length", [4, 2047, 2048, 2049])
def test_value_is_redacted_whole_up_to_the_length_that_is_looked_for(log, length):
    value = "".join(chr(97 + number % 26) for number in range(length))
    with redacted(value):
        logger.info("(%s)", value)
    assert lines(log)[0]["message"] == f"(***{value[2048:]})"


def test_subsegment_shows_the_trace_no_error_and_the_caller_the_very_same(monkeypatch):
    seen = []

    class Recorder:
        @contextlib.contextmanager
        def in_subsegment(self, name, **_):
            try:
                yield
            except BaseException as error:
                seen.append(error)
                raise
            seen.append(name)

    monkeypatch.setattr(observability.tracer, "provider", Recorder())
    failure = ValueError(CANARY)
    with pytest.raises(ValueError, match=CANARY) as raised, observability.subsegment("analyse"):
        raise failure
    assert raised.value is failure
    assert seen == ["## analyse"]
