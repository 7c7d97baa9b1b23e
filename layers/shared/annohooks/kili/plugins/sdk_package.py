"""The package that `import kili` finds: the names of Kili's SDK that plugins use, without the SDK itself."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from annohooks.core.observability import logger as annohooks_logger
from annohooks.kili.plugins import sdk_exceptions
from annohooks.kili.plugins.sdk_client import Kili

AVAILABLE = (
    "This webhook has these parts of Kili's SDK: kili.plugins.PluginCore, kili.exceptions, and the types "
    "kili.client.Kili and kili.types.Label. "
    "Instead of @on_kili_event, define on_event(self, payload), on_submit or on_review."
)


class PluginCore:
    """The base class of a PluginHandler. A method that the handler does not define logs a warning."""

    logger: Any
    kili: Kili
    project_id: str

    def __init__(self, kili: Kili, project_id: str, logger: Any = None) -> None:
        self.kili = kili
        self.project_id = project_id
        self.logger = logger or annohooks_logger

    def on_submit(self, label: dict[str, Any], asset_id: str) -> None:
        """A label was submitted. label: see `label_argument`."""
        self._not_defined("on_submit")

    def on_review(self, label: dict[str, Any], asset_id: str) -> None:
        """A review was submitted."""
        self._not_defined("on_review")

    def on_custom_interface_click(self, label: dict[str, Any], asset_id: str) -> None:
        """Somebody clicked in a custom interface. label: id and jsonResponse."""
        self._not_defined("on_custom_interface_click")

    def on_send_back_to_queue(self, asset_id: str) -> None:
        """An asset was sent back."""
        self._not_defined("on_send_back_to_queue")

    def on_project_updated(self, settings_updated: list[dict[str, Any]]) -> None:
        """Settings of the project changed. settings_updated: key, newValue and oldValue of each setting."""
        self._not_defined("on_project_updated")

    def on_event(self, payload: dict[str, Any]) -> None:
        """Any event of a webhook with an event_matcher, as Kili sent it."""
        self._not_defined("on_event")

    def _not_defined(self, name: str) -> None:
        self.logger.warning("the plugin does not define %s", name)


def install() -> None:
    """Puts the package where `import` finds it first. Names that were imported from another `kili` stay as they are."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "kili"]:
        del sys.modules[name]
    modules: dict[str, dict[str, Any]] = {
        "kili": {},
        "kili.plugins": {"PluginCore": PluginCore},
        "kili.client": {"Kili": Kili},
        "kili.types": {"Label": dict},  # older plugins annotate with it
        "kili.exceptions": {name: getattr(sdk_exceptions, name) for name in sdk_exceptions.__all__},
    }
    for name, contents in modules.items():
        module = ModuleType(name, "The parts of Kili's SDK that annohooks has.")
        vars(module).update(contents)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    sys.modules["kili"].__path__ = []  # this makes it a package, without other modules
