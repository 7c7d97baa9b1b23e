"""Reads template.yaml for the local stack: functions with their environment and events, tables, state machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Function:
    """One Lambda function. routes: (method, path) of its API events; patterns: of its EventBridge rules."""

    name: str
    folder: Path
    handler: str
    timeout_s: float
    environment: dict[str, str]
    routes: tuple[tuple[str, str], ...]
    patterns: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class StateMachine:
    """A state machine. definition: in the Amazon States Language, with its substitutions applied."""

    name: str
    definition: dict[str, Any]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads CloudFormation's short form, `!Ref X` as {"Ref": "X"} and `!Sub X` as {"Fn::Sub": "X"}."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def load(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """The template, with intrinsic functions in their long form, and with Globals merged into each function."""
    loaded: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    shared = loaded.pop("Globals", {}).get("Function", {})
    for body in loaded["Resources"].values():
        if body["Type"] == "AWS::Serverless::Function":
            body["Properties"] = _merged(shared, body["Properties"])
    return loaded


def _merged(shared: Any, own: Any) -> Any:
    """Merges a value of Globals with a function's own, as SAM does: mappings by key, lists joined, else its own."""
    if isinstance(shared, dict) and isinstance(own, dict):
        return shared | own | {key: _merged(shared[key], own[key]) for key in shared.keys() & own.keys()}
    return shared + own if isinstance(shared, list) and isinstance(own, list) else own


def functions(parameters: Mapping[str, str], resources: Mapping[str, str]) -> list[Function]:
    """The functions. parameters: values other than the defaults. resources: the values of !Ref by resource.

    Raises KeyError naming a reference that has no value.
    """
    template = load()
    values = {name: str(body["Default"]) for name, body in template["Parameters"].items() if "Default" in body}
    values |= {**parameters, **resources}
    functions = []
    for name, body in template["Resources"].items():
        if body["Type"] != "AWS::Serverless::Function":
            continue
        properties = body["Properties"]
        variables = properties.get("Environment", {}).get("Variables", {})
        events = list(properties.get("Events", {}).values())
        api = [event["Properties"] for event in events if event["Type"] == "Api"]
        functions.append(
            Function(
                name,
                ROOT / properties["CodeUri"],
                properties["Handler"],
                float(properties["Timeout"]),
                {key: _value(value, values) for key, value in variables.items()},
                tuple((event["Method"].upper(), event["Path"]) for event in api),
                tuple(event["Properties"]["Pattern"] for event in events if event["Type"] == "EventBridgeRule"),
            )
        )
    return functions


def tables(resources: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tables, as arguments of DynamoDB's CreateTable."""
    keys = ("AttributeDefinitions", "KeySchema", "BillingMode")
    return [
        {"TableName": resources[name], **{key: body["Properties"][key] for key in keys}}
        for name, body in load()["Resources"].items()
        if body["Type"] == "AWS::DynamoDB::Table"
    ]


def state_machines(resources: Mapping[str, str]) -> list[StateMachine]:
    """The state machines, named as in the template. resources: the values of !Ref and !GetAtt by resource."""
    machines = []
    for name, body in load()["Resources"].items():
        if body["Type"] != "AWS::Serverless::StateMachine":
            continue
        text = (ROOT / body["Properties"]["DefinitionUri"]).read_text()
        for key, value in body["Properties"]["DefinitionSubstitutions"].items():
            text = text.replace(f"${{{key}}}", resources[next(iter(value.values()))])
        machines.append(StateMachine(name, yaml.safe_load(text)))
    return machines


def _value(value: Any, values: Mapping[str, str]) -> str:
    return values[value["Ref"]] if isinstance(value, dict) else str(value)
