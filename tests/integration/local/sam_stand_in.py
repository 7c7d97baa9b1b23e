"""A stand-in for `sam local invoke`: it runs the function in its own process, with the variables of the template only.

Like SAM, it reads the event from standard input and prints the answer of the function, or its error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CALL = """
import asyncio, json, sys
from app import handler
from local.lambdas import Context
asyncio.set_event_loop(asyncio.new_event_loop())
try:
    returned = handler(json.load(sys.stdin), Context("function", 30))
except Exception as error:
    returned = {"errorType": type(error).__name__, "errorMessage": str(error)}
print("\\n\\n" + json.dumps(returned), end="")
"""
INHERITED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PATH")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs=2)
    parser.add_argument("function")
    parser.add_argument("--template", type=Path)
    parser.add_argument("--region")
    arguments, _ = parser.parse_known_args()
    template = json.loads(arguments.template.read_text())
    defaults = {name: str(body["Default"]) for name, body in template["Parameters"].items()}
    properties = template["Resources"][arguments.function]["Properties"]
    variables = properties["Environment"]["Variables"]
    environment = {
        name: value if isinstance(value, str) else defaults.get(value["Ref"], value["Ref"])
        for name, value in variables.items()
    }
    folder = ROOT / properties["CodeUri"]
    path = os.pathsep.join(map(str, (folder, ROOT / "layers" / "shared", ROOT)))
    environment |= {"AWS_REGION": arguments.region, "AWS_DEFAULT_REGION": arguments.region, "PYTHONPATH": path}
    environment |= {name: os.environ[name] for name in INHERITED}
    result = subprocess.run(
        [sys.executable, "-c", CALL], stdin=sys.stdin, stdout=subprocess.PIPE, env=environment, text=True, check=False
    )
    print(result.stdout.rpartition("\n\n")[2])  # the function's log comes before


if __name__ == "__main__":
    main()
