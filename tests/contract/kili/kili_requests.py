"""What the SDK and our client send to a simulated Kili, and in which state they leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import graphql
import pytest
from kili.client import Kili as Sdk

from annohooks.core.deadline import Deadline
from annohooks.core.origins import Origins
from annohooks.kili.api.client import Client
from annohooks.kili.settings import Endpoint, Settings
from local.simulators.kili import Kili, samples
from local.template import ROOT

PROJECT, ASSET = "p1", "a1"
TEAM_PLUGIN = ROOT / "tests" / "integration" / "kili" / "plugins" / "team_plugin.py"
CONTENT = samples.WITH_TWO_MISTAKES
ENDPOINT = Endpoint.parse("https://kili.example.org/graphql")


def client_of(kili: Kili) -> Client:
    settings = Settings(
        kili_endpoint=Endpoint.parse(kili.endpoint),
        kili_storage_origins=Origins.parse(kili.storage),
        kili_api_key_parameter="/key",
        kili_secret_parameter="/secret",
        kili_table="table",
    )
    return Client(settings, kili.api_key, Deadline.after(60))


class Sent(SimpleNamespace):
    """One request. fields: every path that is selected below the root field; variables: without nulls."""

    operation: str
    fields: set[str]
    variables: Any


def sent(kili: Kili, act: Callable[[], object]) -> list[Sent]:
    """What goes to Kili, but for the bucket, while something is done."""
    kili.calls.clear()
    act()
    found = []
    for call in kili.calls:
        if call.operation != "storage":
            (operation,) = graphql.parse(call.query).definitions
            for root in operation.selection_set.selections:
                fields = set(_selected(root.selection_set, ""))
                found.append(Sent(operation=root.name.value, fields=fields, variables=_present(call.variables)))
    return found


def _selected(selections: Any, above: str) -> Iterator[str]:
    for field in selections.selections if selections else ():
        name = f"{above}{field.name.value}"
        yield name
        yield from _selected(field.selection_set, f"{name}.")


def _present(value: Any) -> Any:
    """Without what is null or empty: as a filter, or as what is not set, it means the same as nothing."""
    if isinstance(value, Mapping):
        inner = {name: _present(field) for name, field in value.items()}
        return {name: field for name, field in inner.items() if field not in (None, {})}
    return [_present(item) for item in value] if isinstance(value, list) else value


def sdk_of(kili: Kili, monkeypatch: pytest.MonkeyPatch) -> Sdk:
    """Without its checks, which cost four requests."""
    monkeypatch.setenv("KILI_SDK_SKIP_CHECKS", "1")
    return Sdk(api_key=kili.api_key, api_endpoint=kili.endpoint, graphql_client_params={"enable_schema_caching": False})


def state(kili: Kili) -> dict[str, Any]:
    """All that is in it, but for ids that Kili gave."""
    labels = [{**label, "id": ""} for label in kili.labels.values()]
    issues = [{**issue, "id": ""} for issue in kili.issues]
    assets = {name: {**asset, "labels": len(asset["labels"])} for name, asset in kili.assets.items()}
    return {
        "issues": issues,
        "labels": labels,
        "assets": assets,
        "webhooks": kili.webhooks,
        "sent_back": kili.sent_back,
        "declined": kili.declined,
        "events": [event["event"] for event in kili.audit],
    }
