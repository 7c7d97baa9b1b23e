"""`make demo`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from local import demo, stack
from local.demo import aiware, kili, say, slidescore


def main() -> int:
    """Runs the part of every platform. Returns 1 if a result differs from what is expected."""
    demo.OUT.mkdir(exist_ok=True)
    say("Starting the local stack: the embedded AWS, the functions and the simulated platforms ...")
    with (
        (demo.OUT / "functions.log").open("w") as log,
        redirect_stdout(log),
        stack.running(parameters=aiware.PARAMETERS) as running,
    ):
        say("\nSlide Score: posting the sample events ...\n")
        problems = slidescore.run(running)
        say("\nKili: posting the sample events, then submitting a label with mistakes and a corrected one ...\n")
        problems += kili.run(running)
        say("\naiWARE: posting the sample events, a picture and a minute of video ...\n")
        problems += aiware.run(running)
    say(f"\nThe pictures of the results are in {demo.OUT.name}/, and so is the functions' log.")
    for problem in problems:
        print(f"NOT AS EXPECTED: {problem}", file=sys.stderr)
    return min(len(problems), 1)


if __name__ == "__main__":
    sys.exit(main())
