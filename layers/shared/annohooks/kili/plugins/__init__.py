"""Runs a team's plugin, which is written for Kili's plugin runner, unchanged and without Kili's SDK.

Source: PyPI package kili 26.2.4, kili.plugins.PluginCore and kili.services.plugins.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from annohooks.core.errors import AnnohooksError, SettingsError
from annohooks.core.observability import log_unexpected, logger, mark_team_code
from annohooks.kili.api.client import Client
from annohooks.kili.api.records import Label
from annohooks.kili.events import Event
from annohooks.kili.plugins import sdk_exceptions, sdk_package
from annohooks.kili.plugins.label_argument import label_argument
from annohooks.kili.plugins.sdk_client import Writes, connect

_METHOD_OF_LEGACY_EVENT = {
    "onSubmit": "on_submit",
    "onReview": "on_review",
    "onCustomInterfaceClick": "on_custom_interface_click",
    "onSendBackToQueue": "on_send_back_to_queue",
    "onProjectUpdated": "on_project_updated",
}
_METHOD_OF_HANDLER = {"submit": "on_submit", "review": "on_review"}
_METHOD_OF_LABEL_TYPE = {"DEFAULT": "on_submit", "REVIEW": "on_review"}
_METHODS_WITH_LABEL = ("on_submit", "on_review", "on_custom_interface_click")


class PluginFailed(AnnohooksError):
    """The team's own code raised an error. The log names the place."""


class Plugin:
    """A PluginHandler class. Every event gets a new instance of it, as in Kili."""

    def __init__(self, handler: type[sdk_package.PluginCore]) -> None:
        self._handler = handler
        core = sdk_package.PluginCore
        self.methods = {name for name in _method_names() if getattr(handler, name) is not getattr(core, name)}

    def handles(self, event: Event) -> bool:
        """Whether the plugin has a method for this event, as far as the event alone shows."""
        if event.handler == "by_label_type":
            return bool(self.methods & {"on_event", *_METHOD_OF_LABEL_TYPE.values()})
        return self._method(event, None) is not None

    def _method(self, event: Event, label: Label | None) -> str | None:
        """The method that Kili would call. Without on_event, newer events call on_submit and on_review as well."""
        if event.subject in _METHOD_OF_LEGACY_EVENT:
            name: str | None = _METHOD_OF_LEGACY_EVENT[event.subject]
        elif "on_event" in self.methods:
            name = "on_event"
        elif event.handler == "by_label_type":
            name = _METHOD_OF_LABEL_TYPE.get(label.label_type) if label else None
        else:
            name = _METHOD_OF_HANDLER.get(event.handler or "")
        return name if name in self.methods else None

    def run(self, event: Event, label: Label | None, client: Client, writes: Writes) -> None:
        """Calls the method for this event. label: as it is in Kili; needed when the event is about a label.

        Raises PluginFailed when the plugin raises an error of its own, and the error of the client or of `writes` when
        the plugin does not catch it.
        """
        name = self._method(event, label)
        if name is None or event.project_id is None:
            return
        kili = connect(client, writes, event.project_id)
        try:
            getattr(self._handler(kili, event.project_id), name)(*_arguments(name, event, label))
        except AnnohooksError:
            raise
        except (Exception, SystemExit) as error:
            if cause := sdk_exceptions.annohooks_error(error):
                raise cause from None
            if isinstance(error, sdk_exceptions.NotPossibleHere):
                logger.error("the plugin uses something that this webhook does not have: %s", error)
            log_unexpected(error)
            raise PluginFailed(f"The plugin failed with {type(error).__name__}; the log says where.") from None


def load(path: Path) -> Plugin:
    """The plugin in a file, or in the main.py of a folder.

    Afterwards `import kili` finds `sdk_package` in the whole process. Raises SettingsError, which says what is wrong
    with the file.
    """
    main = path / "main.py" if path.is_dir() else path
    if not main.is_file():
        raise SettingsError(f"KILI_PLUGIN: there is no file {main.name} beside the function")
    mark_team_code(path)
    sdk_package.install()
    # The plugin may import modules beside it. The folder comes last, so these modules hide no others.
    if str(main.parent) not in sys.path:
        sys.path.append(str(main.parent))
    module = ModuleType("annohooks_kili_plugin")
    module.__file__ = str(main)
    if path.is_dir():  # a package, so that relative imports work
        module.__package__, module.__path__ = module.__name__, [str(path)]
    sys.modules[module.__name__] = module  # dataclasses look up the names in annotations here
    try:
        exec(compile(main.read_bytes(), str(main), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        raise SettingsError(f"KILI_PLUGIN: {main.name} {_load_problem(error, main)}") from None
    handler = getattr(module, "PluginHandler", None)
    if not isinstance(handler, type) or not issubclass(handler, sdk_package.PluginCore):
        raise SettingsError(f"KILI_PLUGIN: {main.name} has no class PluginHandler(PluginCore)")
    plugin = Plugin(handler)
    if not plugin.methods:
        raise SettingsError(f"KILI_PLUGIN: PluginHandler in {main.name} has none of {', '.join(_method_names())}")
    return plugin


def _method_names() -> list[str]:
    return sorted(name for name in dir(sdk_package.PluginCore) if name.startswith("on_"))


def _load_problem(error: BaseException, main: Path) -> str:
    """Why a file cannot be imported, for its author."""
    if isinstance(error, SyntaxError):
        return f"is not Python: {error.msg} in line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(main)]
    where = f" in line {lines[-1]}" if lines else ""
    if isinstance(error, ImportError):
        name, problem = error.name or "", error.msg.partition(" (")[0]
        if name.partition(".")[0] in ("kili", "kili_events"):
            return f"cannot be loaded: {problem}{where}. {sdk_package.AVAILABLE}"
        return f"cannot be loaded: {problem}{where}; add the packages it needs to the runtime layer"
    if isinstance(error, sdk_exceptions.NotPossibleHere):
        return f"cannot be loaded: {error}{where}"
    return f"raises {type(error).__name__}{where} when it is imported"


def _arguments(method: str, event: Event, label: Label | None) -> tuple[Any, ...]:
    if method in _METHODS_WITH_LABEL:
        return label_argument(method, event, label), event.asset_id or (label.asset_id if label else None)
    if method == "on_send_back_to_queue":
        return (event.asset_id,)
    if method == "on_project_updated":
        payload = event.raw.get("payload")
        return (payload.get("settings_updated", []) if isinstance(payload, dict) else [],)
    return (event.raw,)
