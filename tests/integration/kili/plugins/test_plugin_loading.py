"""A team's plugin.py or folder: what it may import, and why it cannot be loaded."""

from __future__ import annotations

import logging
import traceback

import pytest
from plugin_events import SUBMITTED

from annohooks.core.errors import SettingsError
from annohooks.kili import plugins
from annohooks.kili.plugins.sdk_package import PluginCore

pytestmark = pytest.mark.usefixtures("imports_as_they_were")


def test_package_has_the_names_that_plugins_import(written):
    source = """
        import kili
        import kili.plugins
        from kili import exceptions
        from kili.client import Kili
        from kili.exceptions import GraphQLError, NotFound, MissingArgumentError
        from kili.plugins import PluginCore
        from kili.types import Label

        assert kili.plugins.PluginCore is PluginCore and exceptions.GraphQLError is GraphQLError

        class PluginHandler(PluginCore):
            kili: Kili

            def __init__(self, kili: Kili, project_id: str) -> None:
                super().__init__(kili, project_id)

            def on_submit(self, label: Label, asset_id):
                from kili.exceptions import AuthenticationFailed
        """
    assert plugins.load(written(source)).handles(SUBMITTED)


def test_folder_may_import_its_modules_by_name_and_as_a_package(written, tmp_path, submit):
    written("def rule(label):\n    return label['id']", "sub_folder/helpers.py")
    written("from .sub_folder.helpers import rule", "rules_of_the_team.py")
    written(
        """
        from kili.plugins import PluginCore
        from .rules_of_the_team import rule
        import sub_folder.helpers

        class PluginHandler(PluginCore):
            def on_submit(self, label, asset_id):
                from .sub_folder import helpers
                type(self).seen = helpers.rule(label), rule(label)
        """,
        "main.py",
    )
    plugin = plugins.load(tmp_path)
    label_id = submit(plugin)
    assert plugin._handler.seen == (label_id, label_id)


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_plugin_may_define_dataclasses(written, future):
    source = """
from dataclasses import dataclass, fields
from kili.plugins import PluginCore

@dataclass
class Rule:
    limit: float

class PluginHandler(PluginCore):
    def on_submit(self, label, asset_id):
        pass
"""
    check = "assert [field.type for field in fields(Rule)] == [float]" if not future else ""
    assert plugins.load(written(future + source + check)).handles(SUBMITTED)


CORE = "from kili.plugins import PluginCore\n"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "import pandas_of_the_team",
            "plugin.py cannot be loaded: No module named 'pandas_of_the_team' in line 1; add",
        ),
        (
            "from kili.utils.labels import parsing",
            "No module named 'kili.utils' in line 1. This webhook has these parts",
        ),
        (
            "\nfrom kili.plugins import on_kili_event",
            "cannot import name 'on_kili_event' from 'kili.plugins' in line 2",
        ),
        ("from kili_events import AssetSkippedEvent", "Instead of @on_kili_event, define on_event(self, payload)"),
        ("from kili.client import Kili\nkili = Kili()", "cannot be loaded: Kili() makes no connection here: use self."),
        ("x = 1\ny = {}['secret-canary']", "plugin.py raises KeyError in line 2 when it is imported"),
        ("import sys\nsys.exit(1)", "plugin.py raises SystemExit in line 2 when it is imported"),
        ("def f(:", "plugin.py is not Python: invalid syntax in line 1"),
        ("x = 1", "plugin.py has no class PluginHandler(PluginCore)"),
        ("PluginHandler = 7", "plugin.py has no class PluginHandler(PluginCore)"),
        ("class PluginHandler:\n    pass", "plugin.py has no class PluginHandler(PluginCore)"),
        (
            CORE + "class PluginHandler(PluginCore):\n    pass",
            "has none of on_custom_interface_click, on_event, on_pro",
        ),
    ],
)
def test_plugin_that_cannot_be_loaded_is_refused_with_the_reason(written, source, problem):
    with pytest.raises(SettingsError) as raised:
        plugins.load(written(source))
    assert problem in str(raised.value)
    assert str(raised.value).startswith("KILI_PLUGIN: ")
    assert "canary" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(("path", "missing"), [("other.py", r"other\.py"), (".", r"main\.py")])
def test_missing_file_is_named(tmp_path, path, missing):
    with pytest.raises(SettingsError, match=rf"^KILI_PLUGIN: there is no file {missing} beside the function$"):
        plugins.load(tmp_path / path)


def test_methods_of_the_base_class_log_that_they_are_not_defined(caplog):
    core = PluginCore(kili=None, project_id="p")
    with_label = ["on_submit", "on_review", "on_custom_interface_click"]
    others = ["on_send_back_to_queue", "on_project_updated", "on_event"]
    with caplog.at_level(logging.WARNING):
        for method in with_label:
            getattr(core, method)({}, "asset")
        for method in others:
            getattr(core, method)({})
    assert [record.message.rpartition(" ")[2] for record in caplog.records] == with_label + others
