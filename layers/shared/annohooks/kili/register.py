"""Registers the webhook with Kili: `python -m annohooks.kili.register --url https://... --project ID`.

It says what it will do, and does it if it has an API key: KILI_API_KEY, or with --from-ssm the deployment's own. What
Kili shall send as Authorization header is KILI_WEBHOOK_SECRET, or with --from-ssm the first secret of the deployment.
Source: protocol reference, section 1.1.
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
from annohooks.core.errors import AnnohooksError, BadRequest, DeadlineExceeded, Unavailable
from annohooks.core.http import NotConnected, Origin, Origins, UpstreamTimeout
from annohooks.core.observability import logger
from annohooks.core.origins import split_url
from annohooks.kili.api import documents
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import Refused
from annohooks.kili.event_types import SUBJECTS, matches
from annohooks.kili.settings import Endpoint, Settings

HANDLERS = ("onSubmit", "onReview", "onCustomInterfaceClick", "onSendBackToQueue")
CLOUD = "https://cloud.kili-technology.com/api/label/v2/graphql"

_TIME_S = 20.0
"""For the whole run: somebody is waiting for it."""

_PARAMETERS = {
    "KILI_API_KEY_PARAMETER": "/annohooks/kili/api-key",
    "KILI_SECRET_PARAMETER": "/annohooks/kili/secret",
}
_SECRET = re.compile(r"[\x21-\x7e]{16,1000}")
_MASK = "***"


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Returns the exit code: 0, or 1 after saying what went wrong."""
    asked = _parser().parse_args(arguments)
    webhook = {
        "eventMatcher": asked.events,
        "handlerTypes": None if asked.events else asked.handlers,
        "pluginName": asked.name,
        "webhookUrl": asked.url,
    }
    webhook = {name: value for name, value in webhook.items() if value is not None}
    activations = [{"pluginName": asked.name, "projectId": project} for project in dict.fromkeys(asked.project)]
    print(_announcement(asked.endpoint, webhook, activations))
    secret = ""
    try:
        with _errors_only():
            deadline = Deadline.after(_TIME_S)
            key, secret = _from_ssm(environ) if asked.from_ssm else _from_environ(environ)
            if not key:
                print("\nNothing was sent: KILI_API_KEY is not set.")
                return 0
            if not _SECRET.fullmatch(secret):
                raise BadRequest(
                    "KILI_WEBHOOK_SECRET must be what the function's SSM parameter holds: 16 characters or more, "
                    "no spaces."
                )
            _register(Client(_settings(asked.endpoint), key, deadline), webhook, secret, activations)
    except AnnohooksError as error:
        said = f"{error.message}{_more(error, asked.endpoint)}"
        print(f"\n{said.replace(secret, _MASK) if secret else said}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _errors_only() -> Iterator[None]:
    """What the function would log of its attempts is nothing for a terminal."""
    level = logger.log_level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _more(error: AnnohooksError, endpoint: Endpoint) -> str:
    """What helps whoever stands before the terminal."""
    if isinstance(error, Refused):
        return f" {error.detail}"
    if isinstance(error, (NotConnected, UpstreamTimeout, DeadlineExceeded)):
        return f" Is {endpoint.origin}{endpoint.path} the right endpoint?"
    return ""


def _register(client: Client, webhook: dict[str, Any], secret: str, activations: list[dict[str, str]]) -> None:
    variables = webhook | {"header": secret}
    with client:
        client.viewer_id()  # a key that is wrong is told as such before anything is changed
        if client.create_webhook(variables):
            print(f"\nThe webhook {webhook['pluginName']} is registered.")
            if not activations:
                print("It is active on no project yet, so no event will come: run this again with --project ID.")
        else:
            client.update_webhook(variables)
            print(f"\nThe webhook {webhook['pluginName']} was there already; it is changed to this.")
            if not activations:
                print("It is active on the projects it was active on before; --project adds others.")
        for activation in activations:
            already = "" if client.activate(activation) else " already"
            print(f"It is active on project {activation['projectId']}{already}.")


def _announcement(endpoint: Endpoint, webhook: dict[str, Any], activations: list[dict[str, str]]) -> str:
    """What will be sent, and what would do the same with Kili's SDK."""
    masked = webhook | {"header": _MASK}
    sent = [(documents.CREATE_WEBHOOK, masked), *((documents.ACTIVATE, activation) for activation in activations)]
    parts = [f"To {endpoint.origin}{endpoint.path} (updateWebhook if there is one of this name already):"]
    parts += [f"{document}\n{json.dumps(variables, indent=2)}" for document, variables in sent]
    names = {"handlerTypes": "handler_types", "eventMatcher": "event_matcher"}
    how = ", ".join(f"{names[name]}={webhook[name]!r}" for name in names if name in webhook)
    name, url = webhook["pluginName"], webhook["webhookUrl"]
    lines = [f"kili.create_webhook(webhook_url={url!r}, plugin_name={name!r}, header={_MASK!r}, {how})"]
    lines += [
        f"kili.activate_plugin_on_project(plugin_name={name!r}, project_id={activation['projectId']!r})"
        for activation in activations
    ]
    parts.append("\n".join(["The same with Kili's SDK:", *lines]))
    if not activations:
        parts.append("No --project is given: a new webhook will be active on no project.")
    return "\n\n".join(parts)


def _from_environ(environ: Mapping[str, str]) -> tuple[str, str]:
    return environ.get("KILI_API_KEY", ""), environ.get("KILI_WEBHOOK_SECRET", "")


def _from_ssm(environ: Mapping[str, str]) -> tuple[str, str]:
    """Key and secret that the deployment has, by the template's names or those in the environment."""
    from botocore.exceptions import BotoCoreError, NoRegionError

    found = []
    for variable, usual in _PARAMETERS.items():
        parameter = environ.get(variable) or usual
        try:
            secrets = secrets_from_ssm(parameter)
        except NoRegionError:
            raise BadRequest("No region: set AWS_DEFAULT_REGION, or run `aws configure`.") from None
        except BotoCoreError as error:  # a profile that is not there, for instance
            raise BadRequest(f"AWS cannot be asked: {error}.") from None
        except Unavailable:
            said = f"The SSM parameter {parameter} cannot be read. Are there AWS credentials, and may they read it?"
            raise Unavailable(said) from None
        if not secrets:
            what = "is not there, or does not hold 16 characters or more without spaces"
            raise BadRequest(f"The SSM parameter {parameter} {what}.")
        found.append(secrets[0])
    return found[0], found[1]


def _settings(endpoint: Endpoint) -> Settings:
    """Only the endpoint matters: no label is read, and nothing of the deployment is used."""
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
        "--url", required=True, type=_url, help="where Kili shall post; the deployment's output KiliWebhookUrl"
    )
    parser.add_argument("--name", default="annohooks", help="the webhook's name in Kili (default: %(default)s)")
    parser.add_argument(
        "--project",
        action="extend",
        type=_projects,
        default=[],
        help="ids of the projects to activate it on, separated by commas; without any, it is active on none",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--handlers", type=_handlers, default=["onSubmit", "onReview"], help="by default onSubmit,onReview"
    )
    what.add_argument("--events", type=_patterns, help="instead, patterns of events, such as label.workflow.created.*")
    parser.add_argument("--endpoint", type=_endpoint, default=CLOUD, help="Kili's GraphQL API (default: %(default)s)")
    parser.add_argument(
        "--from-ssm", action="store_true", help="API key and secret of the deployment, with AWS's own keys"
    )
    return parser


def _url(text: str) -> str:
    parsed = split_url(text)
    if parsed is None:
        raise argparse.ArgumentTypeError("not an absolute URL")
    if parsed[0].scheme != "https" and not _is_loopback(parsed[0]):
        raise argparse.ArgumentTypeError("not https: Kili would send the secret for anybody to read")
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


def _listed(text: str) -> list[str]:
    return [name for name in map(str.strip, text.split(",")) if name]


def _projects(text: str) -> list[str]:
    projects = _listed(text)
    if not projects:
        raise argparse.ArgumentTypeError("no id of a project")
    return projects


def _handlers(text: str) -> list[str]:
    wanted = _listed(text)
    if not wanted or set(wanted) - set(HANDLERS):
        raise argparse.ArgumentTypeError(f"handlers are {', '.join(HANDLERS)}, separated by commas")
    return wanted


def _patterns(text: str) -> list[str]:
    patterns = _listed(text)
    if not patterns:
        raise argparse.ArgumentTypeError("no pattern of events such as label.workflow.*")
    for pattern in patterns:
        try:
            known = any(matches(subject, pattern) for subject in SUBJECTS)
        except ValueError as error:
            what = "names separated by dots, * for one or more of them but not first"
            raise argparse.ArgumentTypeError(f"{error}: {what}") from None
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
