"""`python -m annohooks.kili.rules FILE` describes each rule of a file, or reports the mistakes in the file."""

from __future__ import annotations

import sys
from pathlib import Path

from annohooks.kili.rules import RulesError, load


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 when the rules can be used, 1 when they contain mistakes, 2 without a readable file."""
    if len(arguments) != 1:
        print("usage: python -m annohooks.kili.rules FILE", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        ruleset = load(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    except RulesError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(rule.description() for rule in ruleset.rules) or "no rules")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
