"""`make demo`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from local import demo, stack
from local.demo import aiware, kili, say, slidescore


def main() -> int:
    """Runs every platform's part; returns 1 when something was off."""
    demo.OUT.mkdir(exist_ok=True)
    with (
        (demo.OUT / "functions.log").open("w") as log,
        redirect_stdout(log),
        stack.running(parameters=aiware.PARAMETERS) as running,
    ):
        problems = slidescore.run(running)
        say()
        problems += kili.run(running)
        say()
        problems += aiware.run(running)
    say(f"\nPictures of what was found are in {demo.OUT.name}/, the functions' log beside them.")
    for problem in problems:
        print(f"OFF: {problem}", file=sys.stderr)
    return min(len(problems), 1)


if __name__ == "__main__":
    sys.exit(main())
