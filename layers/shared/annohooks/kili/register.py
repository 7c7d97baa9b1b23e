"""Registers the webhook with Kili: `python -m annohooks.kili.register --url https://... --project ID`.

It says what it will do, and does it if it has an API key: KILI_API_KEY, or with --from-ssm the deployment's own. What
Kili shall send as Authorization header is KILI_WEBHOOK_SECRET, or with --from-ssm the first secret of the deployment.
Source: protocol reference, section 1.1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from annohooks.core.auth import secrets_from_ssm
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest
from annohooks.core.http import Origins
from annohooks.core.origins import split_url
from annohooks.kili import documents
from annohooks.kili.client import Client
from annohooks.kili.graphql import Refused
from annohooks.kili.settings import Endpoint, Settings

HANDLERS = ("onSubmit", "onReview", "onCustomInterfaceClick", "onSendBackToQueue")
CLOUD = "https://cloud.kili-technology.com/api/label/v2/graphql"

_TIME_S = 120.0
_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.([A-Za-z0-9_-]+|\*))*")
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
    activations = [{"pluginName": asked.name, "projectId": project} for project in asked.project]
    print(_announcement(asked.endpoint, webhook, activations))
    secret = ""
    try:
        key, secret = _from_ssm(environ) if asked.from_ssm else _from_environ(environ)
        if not key:
            print("\nNothing was sent: KILI_API_KEY is not set.")
            return 0
        if not _SECRET.fullmatch(secret):
            raise BadRequest(
                "KILI_WEBHOOK_SECRET must be what the function's SSM parameter holds: 16 characters or more, no spaces."
            )
        _register(Client(_settings(asked.endpoint), key, Deadline.after(_TIME_S)), webhook, secret, activations)
    except AnnohooksError as error:
        detail = f" {error.detail}" if isinstance(error, Refused) else ""
        said = f"{error.message}{detail}"
        print(f"\n{said.replace(secret, _MASK) if secret else said}", file=sys.stderr)
        return 1
    return 0


def _register(client: Client, webhook: dict[str, Any], secret: str, activations: list[dict[str, str]]) -> None:
    variables = webhook | {"header": secret}
    with client:
        client.viewer_id()  # a key that is wrong is told as such before anything is changed
        if client.create_webhook(variables):
            print(f"\nThe webhook {webhook['pluginName']} is registered.")
        else:
            client.update_webhook(variables)
            print(f"\nThe webhook {webhook['pluginName']} was there already; it is changed to this.")
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
    return "\n\n".join([*parts, "\n".join(["The same with Kili's SDK:", *lines])])


def _from_environ(environ: Mapping[str, str]) -> tuple[str, str]:
    return environ.get("KILI_API_KEY", ""), environ.get("KILI_WEBHOOK_SECRET", "")


def _from_ssm(environ: Mapping[str, str]) -> tuple[str, str]:
    """Key and secret that the deployment has, by the template's names or those in the environment."""
    from botocore.exceptions import NoRegionError

    try:
        keys = secrets_from_ssm(environ.get("KILI_API_KEY_PARAMETER") or "/annohooks/kili/api-key")
        secrets = secrets_from_ssm(environ.get("KILI_SECRET_PARAMETER") or "/annohooks/kili/secret")
    except NoRegionError:
        raise BadRequest("AWS_REGION is not set.") from None
    if not keys or not secrets:
        raise BadRequest("The SSM parameters of the API key and the secret do not hold what they should.")
    return keys[0], secrets[0]


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
    parser.add_argument("--project", action="append", default=[], help="id of a project to activate it on; repeatable")
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
    if split_url(text) is None:
        raise argparse.ArgumentTypeError("not an absolute URL")
    return text


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _handlers(text: str) -> list[str]:
    wanted = [name for name in text.split(",") if name]
    if not wanted or set(wanted) - set(HANDLERS):
        raise argparse.ArgumentTypeError(f"handlers are {', '.join(HANDLERS)}, separated by commas")
    return wanted


def _patterns(text: str) -> list[str]:
    patterns = [pattern for pattern in text.split(",") if pattern]
    if not patterns or not all(_PATTERN.fullmatch(pattern) for pattern in patterns):
        raise argparse.ArgumentTypeError(
            "patterns are names separated by dots, * for one or more of them but not first"
        )
    return patterns


if __name__ == "__main__":
    sys.exit(main())
