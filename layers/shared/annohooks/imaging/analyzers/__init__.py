"""The analyzers. Each module of this folder is imported here, and registers its analyzers with `base.analyzer`."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from annohooks.core.observability import mark_team_code
from annohooks.imaging.analyzers.base import ANALYZERS, Analyzer, Conclusion, ObjectClass, Parameters, Shown

mark_team_code(Path(__file__).parent)
for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["ANALYZERS", "Analyzer", "Conclusion", "ObjectClass", "Parameters", "Shown"]
