"""The example that Kili publishes works against the simulated Kili, with Kili's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from inbox import ALSO_SMALL, LARGE, SMALL, Inbox, objects
from kili.client import Kili as Sdk
from kili.plugins import PluginCore

from local.simulators.kili import Kili

PROJECT = "p1"


class Plugin(PluginCore):
    """The published example's two rules: one object of the category at most, and none over a third of the picture."""

    def on_submit(self, label: dict[str, Any], asset_id: str) -> None:
        counted = label["search"]["numberOfAnnotationsByObject"].get("JOB_0.OBJECT_A", 0)
        findings = [(f"{counted} objects of category A, one is allowed", None)] if counted > 1 else []
        (stored, *_) = self.kili.labels(project_id=self.project_id, asset_id=asset_id, label_id=label["id"])
        findings += [
            ("larger than a third of the picture", annotation["mid"])
            for annotation in stored["jsonResponse"]["JOB_0"]["annotations"]
            if covered(annotation) > 0.33
        ]
        for text, mid in findings:
            self.kili.create_issues(
                project_id=self.project_id, label_id_array=[label["id"]], text_array=[text], object_mid_array=[mid]
            )
        if findings:
            self.kili.send_back_to_queue(asset_ids=[asset_id])


def covered(annotation: dict[str, Any]) -> float:
    """The part of the picture that is in the annotation's bounding box."""
    xs, ys = ([point[axis] for point in annotation["boundingPoly"][0]["normalizedVertices"]] for axis in "xy")
    return (max(xs) - min(xs)) * (max(ys) - min(ys))


class PluginInbox(Inbox):
    """A service as the published example builds it around a plugin."""

    def __init__(self, sdk: Sdk) -> None:
        super().__init__()
        self._sdk = sdk

    def handle(self, body: dict[str, Any]) -> None:
        if body["eventType"] == "onSubmit":
            payload = body["payload"]
            Plugin(self._sdk, body["logPayload"]["projectId"]).on_submit(payload["label"], payload["asset_id"])


@pytest.fixture
def asset(kili: Kili, sdk: Sdk) -> Iterator[str]:
    """Of a project whose labels go to the plugin; everything is set up by the SDK, as in the example."""
    (model,) = sdk.projects(project_id=PROJECT, fields=["jsonInterface"])
    interface = model["jsonInterface"]
    project = sdk.create_project(title="Webhooks test project", input_type="IMAGE", json_interface=interface)["id"]
    with PluginInbox(sdk) as inbox:
        sdk.create_webhook(inbox.url, "Webhook bbox count", header="custom header")
        sdk.activate_plugin_on_project("Webhook bbox count", project)
        yield kili.add_asset(project, "landscape", external_id="landscape2")


def test_the_wrong_label_gets_two_issues_and_goes_back_and_the_right_one_stays(kili, sdk, asset):
    wrong = objects(LARGE, SMALL, ALSO_SMALL)
    sdk.append_labels(asset_id_array=[asset], json_response_array=[wrong], label_type="DEFAULT")
    (delivery,) = kili.settle()
    assert (delivery.status, delivery.text) == (200, "null")
    assert [(issue["text"], issue["mid"]) for issue in kili.issues] == [
        ("3 objects of category A, one is allowed", None),
        ("larger than a third of the picture", LARGE["mid"]),
    ]
    assert kili.sent_back == [asset]
    assert kili.assets[asset]["status"] == "ONGOING"

    sdk.append_labels(asset_id_array=[asset], json_response_array=[objects(SMALL)], label_type="DEFAULT")
    kili.settle()
    assert kili.assets[asset]["status"] == "LABELED"
    assert [issue["status"] for issue in kili.issues] == ["OPEN", "OPEN"]
    assert kili.sent_back == [asset]


def test_the_same_event_twice_is_twice_the_issues(kili, sdk, asset):
    sdk.append_labels(asset_id_array=[asset], json_response_array=[objects(LARGE)], label_type="DEFAULT")
    kili.settle()
    (label,) = kili.labels
    kili.redeliver(label, url=kili.webhooks["Webhook bbox count"]["url"])
    assert len(kili.issues) == 2
    assert (kili.sent_back, kili.declined) == ([asset], [asset])
