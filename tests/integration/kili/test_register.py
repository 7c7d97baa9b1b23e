"""`python -m annohooks.kili.register` against the simulated Kili."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from annohooks.core import auth, retry
from annohooks.core.observability import logger
from annohooks.kili import register
from local.simulators.kili import Kili

KEY = "canary-key-0123456789"
SECRET = "canary-secret-0123456789"
URL = "https://hooks.example.org/v1/kili"
ENVIRONMENT = {"KILI_API_KEY": KEY, "KILI_WEBHOOK_SECRET": SECRET}


@pytest.fixture
def server() -> Iterator[Kili]:
    with Kili(api_key=KEY) as kili:
        kili.add_project("one")
        kili.add_project("two")
        yield kili
    assert kili.violations == []


@pytest.fixture
def run(server: Kili, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run("--project", "one", ..., environ={...}): exit code, output and errors, neither of which has a secret."""

    def run(*arguments: str, environ: dict[str, str] = ENVIRONMENT) -> tuple[int, str, str]:
        code = register.main(["--url", URL, "--endpoint", server.endpoint, *arguments], environ)
        shown = capsys.readouterr()
        assert "canary" not in shown.out + shown.err
        return code, shown.out, shown.err

    return run


def test_webhook_is_registered_and_activated_on_every_project(server, run):
    code, out, _ = run("--project", "one", "--project", "two")
    assert code == 0
    assert server.webhooks == {
        "annohooks": {
            "url": URL,
            "header": SECRET,
            "handler_types": ["onSubmit", "onReview"],
            "event_matcher": [],
            "projects": ["one", "two"],
        }
    }
    assert "The webhook annohooks is registered.\nIt is active on project one.\nIt is active on project two.\n" in out


@pytest.mark.parametrize("projects", [["--project", "one,two"], ["--project", "one, two", "--project", "two"]])
def test_one_argument_may_name_several_projects(server, run, projects):
    assert run(*projects)[0] == 0
    assert server.webhooks["annohooks"]["projects"] == ["one", "two"]


def test_output_says_that_a_webhook_without_a_project_is_not_active(server, run):
    _, planned, _ = run(environ={})
    assert "Without --project a new webhook is not active on any project." in planned
    _, first, _ = run()
    assert first.endswith("so Kili sends no events. Run this again with --project ID.\n")
    run("--project", "one")
    _, again, _ = run()
    assert again.endswith("It stays active on the same projects. --project adds others.\n")
    assert server.webhooks["annohooks"]["projects"] == ["one"]


def test_second_run_updates_the_webhook_and_accepts_earlier_activations(server, run):
    run("--project", "one")
    code, out, _ = run("--project", "one", "--project", "two", "--events", "label.workflow.*,asset.skipped")
    assert code == 0
    assert server.webhooks["annohooks"]["event_matcher"] == ["label.workflow.*", "asset.skipped"]
    assert server.webhooks["annohooks"]["projects"] == ["one", "two"]
    assert "existed already and is updated.\nIt was already active on project one.\n" in out


def test_output_has_every_request_with_the_secret_masked(server, run):
    _, out, _ = run("--project", "one", "--name", "w", "--handlers", "onSubmit")
    sent = [call for call in server.calls if call.operation != "viewer"]
    assert [call.operation for call in sent] == ["createWebhook", "activatePluginOnProject"]
    for call in sent:
        assert call.query in out
    assert '"handlerTypes": [\n    "onSubmit"\n  ],\n  "pluginName": "w",' in out
    assert '"header": "***"' in out
    assert (
        f"kili.create_webhook(webhook_url='{URL}', plugin_name='w', header='***', handler_types=['onSubmit'])\n"
        "kili.activate_plugin_on_project(plugin_name='w', project_id='one')\n"
    ) in out


def test_nothing_is_sent_without_a_key(server, run):
    code, out, _ = run("--project", "one", environ={})
    assert code == 0
    assert out.endswith("\nNothing was sent: KILI_API_KEY is not set.\n")
    assert server.calls == []


@pytest.mark.parametrize("secret", ["", "too-short", "two words, and long enough", "newline-0123456789\n", "ä" * 20])
def test_secret_that_the_function_would_not_accept_is_not_registered(server, run, secret):
    code, _, err = run(environ={"KILI_API_KEY": KEY, "KILI_WEBHOOK_SECRET": secret})
    assert code == 1
    assert "16 characters or more, no spaces" in err
    assert server.calls == []


def test_wrong_key_is_reported_before_anything_is_changed(server, run):
    code, _, err = run(environ=ENVIRONMENT | {"KILI_API_KEY": "canary-wrong"})
    assert code == 1
    assert err == "\nKili refused the API key while checking the API key.\n"
    assert server.webhooks == {}


def test_unknown_project_is_reported_with_the_text_of_kili(server, run):
    code, _, err = run("--project", "none")
    assert code == 1
    assert "Kili refused the request while activating the webhook" in err
    assert "there is no project none" in err
    assert server.webhooks["annohooks"]["projects"] == []


def test_lost_answer_is_an_error(server, run):
    server.faults.add("unknown_outcome")
    code, _, err = run()
    assert code == 1
    assert "Kili may have carried it out anyway, so it is not repeated" in err


@pytest.mark.parametrize("url", ["http://127.0.0.1:8301/v1/kili", "http://localhost:8301/", "http://[::1]:8301/"])
def test_webhook_on_this_machine_needs_no_https(server, run, url):
    assert run("--url", url)[0] == 0
    assert server.webhooks["annohooks"]["url"] == url


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_closed_port_is_reported_once_in_one_sentence(run, monkeypatch, closed_address):
    pauses: list[float] = []
    monkeypatch.setattr(retry, "sleep", pauses.append)
    endpoint = f"http://{closed_address}/graphql"
    code, out, err = run("--endpoint", endpoint)
    assert (code, err) == (
        1,
        f"\nKili could not be reached while checking the API key. Is {endpoint} the right endpoint?\n",
    )
    assert pauses
    assert "trying again" not in out


def test_server_that_does_not_answer_ends_the_run_in_time(run, monkeypatch, silent_address):
    monkeypatch.setattr(register, "_TIMEOUT_S", 0.2)
    endpoint = f"http://{silent_address}/graphql"
    code, _, err = run("--endpoint", endpoint)
    assert code == 1
    assert err.endswith(f" while checking the API key. Is {endpoint} the right endpoint?\n")


def test_log_level_is_restored(run):
    level = logger.log_level
    try:
        logger.setLevel(logging.WARNING)
        run()
        assert logger.log_level == logging.WARNING
    finally:
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--handlers", "onSubmit,onSkip"], "handlers are onSubmit, onReview, "),
        (["--handlers", ""], "handlers are onSubmit, onReview, "),
        (["--events", "*.created"], "and cannot be first"),
        (["--events", "label.**"], "and cannot be first"),
        (["--events", ","], "expected a pattern of events such as"),
        (["--events", "label.workflow.*,label.workflow.created.submit"], "did you mean label.workflow.created."),
        (["--events", "label.workflow.created"], "'label.workflow.created' matches none of Kili's events"),
        (["--events", "nonsense.*"], "they begin with asset, assetStorage, label, project, smartTool"),
        (["--events", "onSubmit"], "it is for --handlers"),
        (["--events", "asset.*", "--handlers", "onSubmit"], "not allowed with argument"),
        (["--project", ","], "expected the id of a project"),
        (["--endpoint", "https://kili.example.org"], "not a URL such as"),
        (["--url", "hooks.example.org"], "not an absolute URL"),
        (["--url", "http://hooks.example.org/v1/kili"], "not https: Kili would send the secret unencrypted"),
        (["--url", "http://10.0.0.1/v1/kili"], "not https"),
        (["--url", "http://localhost.example.org/"], "not https"),
    ],
)
def test_wrong_arguments_are_refused(server, run, capsys, arguments, problem):
    with pytest.raises(SystemExit) as raised:
        run(*arguments)
    assert raised.value.code == 2
    assert problem in capsys.readouterr().err
    assert server.calls == []


@pytest.fixture
def ssm(embedded_aws: None) -> Callable[[str, str], None]:
    def put(name: str, value: str) -> None:
        boto3.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")

    return put


def test_key_and_secret_of_the_deployment_can_be_used(server, run, ssm):
    ssm("/annohooks/kili/api-key", KEY)
    ssm("/team/secret", f"{SECRET} canary-old-secret-0123")
    code, _, _ = run("--from-ssm", environ={"KILI_SECRET_PARAMETER": "/team/secret"})
    assert code == 0
    assert server.webhooks["annohooks"]["header"] == SECRET


@pytest.mark.parametrize(
    ("parameters", "unusable"),
    [
        ({}, "/annohooks/kili/api-key"),
        ({"/annohooks/kili/api-key": KEY}, "/annohooks/kili/secret"),
        ({"/annohooks/kili/api-key": KEY, "/annohooks/kili/secret": "short"}, "/annohooks/kili/secret"),
    ],
)
def test_unusable_parameter_is_named(server, run, ssm, parameters, unusable):
    for name, value in parameters.items():
        ssm(name, value)
    code, _, err = run("--from-ssm", environ=ENVIRONMENT)
    assert code == 1
    problem = "does not exist, or does not hold 16 characters or more without spaces"
    assert err == f"\nThe SSM parameter {unusable} {problem}.\n"
    assert server.calls == []


def test_parameter_that_may_not_be_read_is_named(run, ssm, monkeypatch):
    def refuse(name: str, **_: object) -> None:
        raise GetParameterError(name)

    monkeypatch.setattr(auth.ssm(), "get", refuse)
    code, _, err = run("--from-ssm")
    assert code == 1
    assert err.startswith("\nThe SSM parameter /annohooks/kili/api-key cannot be read. Are there AWS credentials ")


def test_missing_region_is_reported(run, ssm, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    code, _, err = run("--from-ssm")
    assert (code, err) == (1, "\nNo region: set AWS_DEFAULT_REGION, or run `aws configure`.\n")


def test_missing_profile_is_reported(run, ssm, monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    code, _, err = run("--from-ssm")
    assert (code, err) == (1, "\nAWS cannot be reached: The config profile (nobody) could not be found.\n")
