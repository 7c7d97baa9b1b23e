"""engine/relay.py as a module: the folder is a container's, and no package."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from local.template import ROOT


@pytest.fixture(scope="session")
def relay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_relay", ROOT / "engine" / "relay.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
