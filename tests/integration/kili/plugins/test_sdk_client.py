"""`self.kili` of a plugin: what its methods return, change and refuse."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from plugin_events import KEY, PROJECT

from annohooks.kili.api.client import Client
from annohooks.kili.api.records import NewIssue
from annohooks.kili.plugins import sdk_client, sdk_exceptions
from local.simulators.kili import samples


@pytest.fixture
def kili(client, writes):
    return sdk_client.connect(client, writes, PROJECT)


# Methods that read


def test_labels_are_filtered_and_decoded(server, kili):
    first = server.submit("asset", samples.CORRECTED, author="jane")
    second = server.submit("asset", samples.WITH_TWO_MISTAKES, author="joe", label_type="REVIEW")
    assert kili.labels(PROJECT, "asset", fields=["id", "author.id", "jsonResponse"]) == [
        {"id": first, "author": {"id": "jane"}, "jsonResponse": samples.CORRECTED},
        {"id": second, "author": {"id": "joe"}, "jsonResponse": samples.WITH_TWO_MISTAKES},
    ]
    assert kili.labels(project_id=PROJECT, fields=["id"], type_in=["REVIEW"]) == [{"id": second}]
    assert kili.labels(PROJECT, label_id=first, fields=["id"], disable_tqdm=True) == [{"id": first}]
    assert kili.labels(PROJECT, fields=["id"], skip=1, first=5) == [{"id": second}]
    assert next(kili.labels(PROJECT, fields=["id"], as_generator=True)) == {"id": first}
    default_fields = {"author", "id", "jsonResponse", "labelType", "secondsToLabel", "isLatestLabelForUser", "assetId"}
    assert kili.labels(PROJECT, label_id=first)[0].keys() == default_fields
    assert kili.count_labels(PROJECT) == 2
    assert kili.count_labels(PROJECT, "asset", type_in=["DEFAULT"]) == 1


def test_assets_have_their_metadata_and_labels_decoded(server, kili, client):
    server.submit("asset", samples.CORRECTED)
    client.set_metadata("asset", {"accuracy": 1})
    fields = ["id", "jsonMetadata", "labels.jsonResponse", "latestLabel.jsonResponse"]
    assert kili.assets(PROJECT, "asset", fields=fields) == [
        {
            "id": "asset",
            "jsonMetadata": {"accuracy": 1},
            "labels": [{"jsonResponse": samples.CORRECTED}],
            "latestLabel": {"jsonResponse": samples.CORRECTED},
        }
    ]
    assert kili.assets(PROJECT, status_in=["TODO"]) == []
    assert kili.assets(PROJECT, fields=["id", "labels.id"])[0]["labels"][0].keys() == {"id"}
    assert kili.count_assets(PROJECT) == kili.count_assets(PROJECT, external_id_strictly_in=["a.png"]) == 1


def test_projects_have_their_interface_decoded(kili):
    assert kili.projects(project_id=PROJECT, fields=["title", "jsonInterface"]) == [
        {"title": "Cars", "jsonInterface": samples.INTERFACE}
    ]
    assert kili.projects(fields=["title"]) == [{"title": "Cars"}]
    assert kili.count_projects() == 1


def test_metadata_that_is_not_json_is_an_empty_object():
    assert sdk_client._decoded("{'x': 1.0}") == {}


def test_issues_are_filtered_by_asset_and_status(server, kili):
    label_id = server.submit("asset", samples.CORRECTED)
    created = kili.create_issues(PROJECT, [label_id, label_id], [None, "m"], ["one", None])
    assert kili.issues(PROJECT, fields=["id"], asset_id="asset", status="OPEN") == created
    assert kili.issues(PROJECT, ["objectMid"], 1, 1) == [{"objectMid": "m"}]
    assert kili.count_issues(PROJECT, issue_type="ISSUE") == 2
    assert kili.count_issues(PROJECT, "asset", status="SOLVED") == 0


# Methods that change Kili


def test_changes_take_the_same_way_as_those_of_rules(server, kili, writes):
    label_id = server.submit("asset", samples.CORRECTED)
    assert kili.create_issues(PROJECT, [label_id], text_array=["x"]) == [{"id": server.issues[0]["id"]}]
    assert kili.update_issue_status("i", "SOLVED") == {"id": "i"}
    sent = kili.send_back_to_queue(external_ids=["a.png"], project_id=PROJECT)
    assert sent == {"declined": [], "failed": [], "succeeded": [{"assetId": "asset", "externalId": "a.png"}]}
    assert kili.send_back_to_queue(["asset"])["declined"] == [{"assetId": "asset", "externalId": None}]
    assert kili.add_to_review(asset_ids=["asset"])["declined"]
    for metadata in ({"x": 1}, "{'x': 1.0}", None):
        assert kili.update_properties_in_assets(["asset"], json_metadatas=[metadata]) == [{"id": "asset"}]
    (appended,) = kili.append_labels(
        ["asset"], [{}], label_type="PREDICTION", model_name="m", seconds_to_label_array=[1]
    )
    assert server.labels[appended["id"]]["model_name"] == "m"
    *changes, (appending, _) = writes.done
    assert appending == "append_labels"
    assert changes == [
        ("raise_issues", [NewIssue(label_id=label_id, text="x", mid=None)]),
        ("resolve", "i"),
        ("send_back", "asset"),
        ("send_back", "asset"),
        ("add_to_review", "asset"),
        ("set_metadata", "asset", {"x": 1}),
        ("set_metadata", "asset", "{'x': 1.0}"),
    ]


# Calls that are refused


@pytest.mark.parametrize(
    ("call", "error", "problem"),
    [
        (lambda k: k.create_issues("other", ["l"]), ValueError, "only be raised in the project of the event"),
        (lambda k: k.create_issues(PROJECT, ["l"], None, ["a", "b"]), ValueError, "text_array has 2 elements, not 1"),
        (lambda k: k.update_issue_status("i", "CANCELLED"), ValueError, "only be set to SOLVED"),
        (lambda k: k.send_back_to_queue(), ValueError, "either asset ids or external ids"),
        (lambda k: k.send_back_to_queue(["a"], ["b"]), ValueError, "either asset ids or external ids"),
        (lambda k: k.send_back_to_queue(external_ids=["b"]), ValueError, "need the project_id"),
        (lambda k: k.add_to_review(external_ids=["b"], project_id=PROJECT), ValueError, "1 of the external ids"),
        (lambda k: k.labels(PROJECT, step_name_in=["x"]), TypeError, "there is no filter step_name_in"),
        (lambda k: k.labels(PROJECT, fields=["id } }"]), ValueError, "is not the name of a field"),
        (
            lambda k: k.delete_labels(["l"]),
            AttributeError,
            "there is no kili.delete_labels in this webhook; there are ",
        ),
        (lambda k: k.api_key, AttributeError, "add_to_review, append_labels, assets, count_assets, "),
    ],
)
def test_unsupported_call_is_refused_with_the_reason(kili, writes, call, error, problem):
    with pytest.raises(error) as raised:
        call(kili)
    assert problem in str(raised.value)
    assert isinstance(raised.value, sdk_exceptions.NotPossibleHere)
    assert writes.done == []


def test_plugin_may_ask_whether_a_method_exists(kili):
    assert hasattr(kili, "labels")
    assert not hasattr(kili, "delete_labels")
    assert getattr(kili, "api_key", None) is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda k: k.labels("none"), sdk_exceptions.NotFound),
        (lambda k: k.add_to_review(asset_ids=["none"]), sdk_exceptions.GraphQLError),
        (lambda k: k.add_to_review(asset_ids=["asset"]), sdk_exceptions.MutationOutcomeUnknownError),
    ],
)
def test_errors_of_kili_are_raised_as_those_of_the_sdk(server, kili, call, error):
    server.submit("asset", samples.CORRECTED)
    if error is sdk_exceptions.MutationOutcomeUnknownError:
        server.faults.add("unknown_outcome")
    with pytest.raises(error):
        call(kili)


# The key


@pytest.mark.usefixtures("imports_as_they_were")
def test_no_attribute_of_a_plugins_objects_leads_to_the_key(submit, handler):
    plugin = handler("on_submit", "type(self).seen = self")
    submit(plugin)
    seen: set[int] = set()
    reachable: list[Any] = [plugin._handler.seen]
    while reachable:
        value = reachable.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        assert not isinstance(value, Client | sdk_client._Connection)
        if isinstance(value, str | bytes):
            assert KEY not in str(value)
        elif isinstance(value, Mapping):
            reachable += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            reachable += value
        elif not isinstance(value, type | logging.Logger):
            names = [name for name in dir(value) if not name.startswith("__")]
            reachable += [getattr(value, name, None) for name in names]
            reachable += [value.__self__] if hasattr(value, "__self__") else []
    assert len(seen) > 20
