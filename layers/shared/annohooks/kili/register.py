"""Registers the webhook with Kili: `python -m annohooks.kili.register --url https://... --project ID`.

It prints the requests, and sends them if there is an API key: KILI_API_KEY, or with --from-ssm that of the deployment.
Kili will send KILI_WEBHOOK_SECRET, or with --from-ssm the first secret of the deployment, as Authorization header.
Source: PyPI package kili 26.2.4, create_webhook and activate_plugin_on_project.
"""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from annohooks.core.auth import secrets_from_ssm
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, DeadlineExceeded, Unavailable, UpstreamTimeout
from annohooks.core.http import NotConnected
from annohooks.core.observability import logger
from annohooks.core.origins import Origin, Origins, split_url
from annohooks.kili.api import documents
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import Refused
from annohooks.kili.event_types import SUBJECTS, matches
from annohooks.kili.settings import Endpoint, Settings

HANDLERS = ("onSubmit", "onReview", "onCustomInterfaceClick", "onSendBackToQueue")
CLOUD = "https://cloud.kili-technology.com/api/label/v2/graphql"

_TIMEOUT_S = 20.0
"""Of the whole run."""

_PARAMETERS = {
    "KILI_API_KEY_PARAMETER": "/annohooks/kili/api-key",
    "KILI_SECRET_PARAMETER": "/annohooks/kili/secret",
}
_SECRET = re.compile(r"[\x21-\x7e]{16,1000}")
_MASK = "***"


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Returns the exit code: 0, or 1 after printing what went wrong."""
    options = _parser().parse_args(arguments)
    webhook = {
        "eventMatcher": options.events,
        "handlerTypes": None if options.events else options.handlers,
        "pluginName": options.name,
        "webhookUrl": options.url,
    }
    webhook = {name: value for name, value in webhook.items() if value is not None}
    activations = [{"pluginName": options.name, "projectId": project} for project in dict.fromkeys(options.project)]
    print(_announcement(options.endpoint, webhook, activations))
    secret = ""
    try:
        with _errors_only():
            deadline = Deadline.after(_TIMEOUT_S)
            key, secret = _from_ssm(environ) if options.from_ssm else _from_environ(environ)
            if not key:
                print("\nNothing was sent: KILI_API_KEY is not set.")
                return 0
            if not _SECRET.fullmatch(secret):
                raise BadRequest(
                    "KILI_WEBHOOK_SECRET must be the secret in the function's SSM parameter: 16 characters or more, "
                    "no spaces."
                )
            _register(Client(_settings(options.endpoint), key, deadline), webhook, secret, activations)
    except AnnohooksError as error:
        message = f"{error.message}{_advice(error, options.endpoint)}"
        print(f"\n{message.replace(secret, _MASK) if secret else message}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _errors_only() -> Iterator[None]:
    """Logs only errors meanwhile: warnings about repeated requests are meant for the function's log."""
    level = logger.log_level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _advice(error: AnnohooksError, endpoint: Endpoint) -> str:
    """What a person at the terminal can do about an error."""
    if isinstance(error, Refused):
        return f" {error.detail}"
    if isinstance(error, (NotConnected, UpstreamTimeout, DeadlineExceeded)):
        return f" Is {endpoint.origin}{endpoint.path} the right endpoint?"
    return ""


def _register(client: Client, webhook: dict[str, Any], secret: str, activations: list[dict[str, str]]) -> None:
    variables = webhook | {"header": secret}
    with client:
        client.viewer_id()  # reports a wrong key before anything is changed
        if client.create_webhook(variables):
            print(f"\nThe webhook {webhook['pluginName']} is registered.")
            if not activations:
                print("It is not active on any project yet, so Kili sends no events. Run this again with --project ID.")
        else:
            client.update_webhook(variables)
            print(f"\nThe webhook {webhook['pluginName']} existed already and is updated.")
            if not activations:
                print("It stays active on the same projects. --project adds others.")
        for activation in activations:
            verb = "is" if client.activate(activation) else "was already"
            print(f"It {verb} active on project {activation['projectId']}.")


def _announcement(endpoint: Endpoint, webhook: dict[str, Any], activations: list[dict[str, str]]) -> str:
    """The requests that will be sent, and the calls of Kili's SDK that do the same."""
    masked = webhook | {"header": _MASK}
    requests = [(documents.CREATE_WEBHOOK, masked), *((documents.ACTIVATE, activation) for activation in activations)]
    parts = [f"To {endpoint.origin}{endpoint.path} (updateWebhook if a webhook of this name exists):"]
    parts += [f"{document}\n{json.dumps(variables, indent=2)}" for document, variables in requests]
    names = {"handlerTypes": "handler_types", "eventMatcher": "event_matcher"}
    events = ", ".join(f"{names[name]}={webhook[name]!r}" for name in names if name in webhook)
    name, url = webhook["pluginName"], webhook["webhookUrl"]
    lines = [f"kili.create_webhook(webhook_url={url!r}, plugin_name={name!r}, header={_MASK!r}, {events})"]
    lines += [
        f"kili.activate_plugin_on_project(plugin_name={name!r}, project_id={activation['projectId']!r})"
        for activation in activations
    ]
    parts.append("\n".join(["The same with Kili's SDK:", *lines]))
    if not activations:
        parts.append("Without --project a new webhook is not active on any project.")
    return "\n\n".join(parts)


def _from_environ(environ: Mapping[str, str]) -> tuple[str, str]:
    return environ.get("KILI_API_KEY", ""), environ.get("KILI_WEBHOOK_SECRET", "")


def _from_ssm(environ: Mapping[str, str]) -> tuple[str, str]:
    """API key and secret of the deployment, from SSM parameters with the template's names or those in `environ`."""
    from botocore.exceptions import BotoCoreError, NoRegionError

    values = []
    for variable, default in _PARAMETERS.items():
        parameter = environ.get(variable) or default
        try:
            secrets = secrets_from_ssm(parameter)
        except NoRegionError:
            raise BadRequest("No region: set AWS_DEFAULT_REGION, or run `aws configure`.") from None
        except BotoCoreError as error:  # a missing profile, for instance
            raise BadRequest(f"AWS cannot be reached: {error}.") from None
        except Unavailable:
            message = f"The SSM parameter {parameter} cannot be read. Are there AWS credentials that may read it?"
            raise Unavailable(message) from None
        if not secrets:
            problem = "does not exist, or does not hold 16 characters or more without spaces"
            raise BadRequest(f"The SSM parameter {parameter} {problem}.")
        values.append(secrets[0])
    return values[0], values[1]


def _settings(endpoint: Endpoint) -> Settings:
    """Settings of the client; it reads no labels here, so only the endpoint matters."""
    return Settings(
        kili_endpoint=endpoint,
        kili_storage_origins=Origins(),
        kili_api_key_parameter="",
        kili_secret_parameter="",
        kili_table="",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m annohooks.kili.register", description=__doc__)
    parser.add_argument(
        "--url", required=True, type=_url, help="the URL that Kili posts to: the stack output KiliWebhookUrl"
    )
    parser.add_argument("--name", default="annohooks", help="the webhook's name in Kili (default: %(default)s)")
    parser.add_argument(
        "--project",
        action="extend",
        type=_projects,
        default=[],
        help="ids of the projects to activate the webhook on, separated by commas; by default none",
    )
    events = parser.add_mutually_exclusive_group()
    events.add_argument(
        "--handlers", type=_handlers, default=["onSubmit", "onReview"], help="by default onSubmit,onReview"
    )
    events.add_argument(
        "--events", type=_patterns, help="patterns of events such as label.workflow.created.*, instead of --handlers"
    )
    parser.add_argument("--endpoint", type=_endpoint, default=CLOUD, help="Kili's GraphQL API (default: %(default)s)")
    parser.add_argument(
        "--from-ssm", action="store_true", help="read API key and secret of the deployment with your AWS credentials"
    )
    return parser


def _url(text: str) -> str:
    parsed = split_url(text)
    if parsed is None:
        raise argparse.ArgumentTypeError("not an absolute URL")
    if parsed[0].scheme != "https" and not _is_loopback(parsed[0]):
        raise argparse.ArgumentTypeError("not https: Kili would send the secret unencrypted")
    return text


def _is_loopback(origin: Origin) -> bool:
    try:
        return ipaddress.ip_address(origin.host).is_loopback
    except ValueError:
        return origin.host == "localhost" or origin.host.endswith(".localhost")


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _comma_separated(text: str) -> list[str]:
    return [name for name in map(str.strip, text.split(",")) if name]


def _projects(text: str) -> list[str]:
    projects = _comma_separated(text)
    if not projects:
        raise argparse.ArgumentTypeError("expected the id of a project")
    return projects


def _handlers(text: str) -> list[str]:
    handlers = _comma_separated(text)
    if not handlers or set(handlers) - set(HANDLERS):
        raise argparse.ArgumentTypeError(f"handlers are {', '.join(HANDLERS)}, separated by commas")
    return handlers


def _patterns(text: str) -> list[str]:
    patterns = _comma_separated(text)
    if not patterns:
        raise argparse.ArgumentTypeError("expected a pattern of events such as label.workflow.*")
    for pattern in patterns:
        try:
            known = any(matches(subject, pattern) for subject in SUBJECTS)
        except ValueError as error:
            form = "names separated by dots; * stands for one or more names, and cannot be first"
            raise argparse.ArgumentTypeError(f"{error}: {form}") from None
        if not known:
            raise argparse.ArgumentTypeError(f"{pattern!r} matches none of Kili's events; {_hint(pattern)}")
    return patterns


def _hint(pattern: str) -> str:
    if pattern in HANDLERS:
        return "it is for --handlers"
    close = difflib.get_close_matches(pattern, sorted(SUBJECTS))
    if close:
        return f"did you mean {' or '.join(close)}?"
    families = sorted({subject.partition(".")[0] for subject in SUBJECTS})
    return f"they begin with {', '.join(families)}"


if __name__ == "__main__":
    sys.exit(main())
