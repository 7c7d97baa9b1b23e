"""The rules of a team for its labels. `load` reads rules.yaml, `Ruleset.find` applies the rules to a label."""

from annohooks.kili.rules import (  # noqa: F401  importing a module registers its checks
    categories,
    counts,
    labelling,
    overlaps,
    relations,
    required,
    sizes,
    texts,
    validity,
)
from annohooks.kili.rules.base import CHECKS
from annohooks.kili.rules.file import RulesError, load
from annohooks.kili.rules.ruleset import Rule, Ruleset, Verdict

__all__ = ["CHECKS", "Rule", "RulesError", "Ruleset", "Verdict", "load"]
