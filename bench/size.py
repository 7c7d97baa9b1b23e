"""Checks a result of `sam build`: each function with its layers fits in Lambda, suits its processor, and imports alone.

    python bench/size.py --lambda-python PYTHON [--parameter NAME=VALUE]... FOLDER...

Each folder is a build, named by its architecture. Prints a table; exits with 1 if a check fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.template import load

LIMIT_MIB = 250  # AWS Lambda quotas: deployment package unzipped, with all layers
MIB = 1 << 20
ELF_MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}

# The packages of the python3.13 runtime besides the standard library.
LAMBDA_HAS = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")

# Lambda's path starts with the function's folder, continues with its layers, and ends with the runtime's packages.
IMPORT = """
import importlib, json, sys
before, after, module, name = json.loads(sys.argv[1])
sys.path[:] = [*before, *sys.path, after]
getattr(importlib.import_module(module), name)
"""


def size_mib(folder: Path) -> float:
    """The size of all files in a folder, as Lambda counts it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MIB


def environment(function: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """The environment that a built template sets for a function, with logical ids instead of resources."""
    variables = function["Properties"].get("Environment", {}).get("Variables", {})
    return {
        name: str(parameters.get(value["Ref"], value["Ref"]) if isinstance(value, dict) else value)
        for name, value in variables.items()
    }


def foreign_modules(layers: list[Path], architecture: str) -> list[str]:
    """Extension modules and libraries in the layers that exist only for other processors."""
    own, foreign = set(), set()
    for file in (file for layer in layers for file in layer.rglob("*.so*") if file.is_file()):
        machine = int.from_bytes(file.read_bytes()[18:20], "little")  # e_machine of the ELF header
        (own if machine == ELF_MACHINES[architecture] else foreign).add(file.parent / file.name.partition(".")[0])
    return sorted(map(str, foreign - own))


def provide_runtime(folder: Path) -> None:
    """Links this interpreter's copies of the runtime's packages (pure Python, so any version works)."""
    for name in LAMBDA_HAS:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{name} is not installed here; it replaces the one in Lambda")
        package = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (folder / package.name).symlink_to(package)


def import_error(python: str, code: Path, layers: list[Path], handler: str, variables: Mapping[str, str]) -> str:
    """The error when a new process like Lambda's imports a handler; empty if there is none."""
    module, _, name = handler.rpartition(".")
    with tempfile.TemporaryDirectory() as runtime:
        provide_runtime(Path(runtime))
        paths = [str(folder.resolve()) for folder in (code, *(layer / "python" for layer in layers))]
        # -I and -S: no site-packages, no PYTHON* variables, no working folder. -B: no change in the build.
        # With LAMBDA_TASK_ROOT, Powertools loads the X-Ray SDK as in Lambda.
        done = subprocess.run(
            [python, "-I", "-S", "-B", "-c", IMPORT, json.dumps([paths, runtime, module.replace("/", "."), name])],
            env={
                "LAMBDA_TASK_ROOT": str(code),
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                **variables,
            },
            cwd=runtime,
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stderr.strip() if done.returncode else ""


def runs_here(architecture: str) -> bool:
    """Whether this machine can load a build's extension modules."""
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    return sys.platform == "linux" and machine == architecture


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--lambda-python", required=True, metavar="PYTHON")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        if folder.name not in ELF_MACHINES:
            parser.error(f"{folder} is not named by an architecture: {', '.join(ELF_MACHINES)}")

    failed = False
    row = "{:<13} {:<21} {:>9} {:>9}  {:<16} {}"
    print(row.format("architecture", "function", "MiB", f"of {LIMIT_MIB}", "imports alone", "made of"))
    for folder in arguments.folders:
        template = load(folder / "template.yaml")
        parameters = {name: body["Default"] for name, body in template["Parameters"].items() if "Default" in body}
        parameters |= dict(text.split("=", 1) for text in arguments.parameter)
        for name, function in template["Resources"].items():
            if function["Type"] != "AWS::Serverless::Function":
                continue
            code = folder / function["Properties"]["CodeUri"]
            layers = [folder / layer["Ref"] for layer in function["Properties"].get("Layers", [])]
            sizes = {part.name: size_mib(part) for part in (code, *layers)}
            total = sum(sizes.values())
            imports = "other machine"
            if runs_here(folder.name):
                error = import_error(
                    arguments.lambda_python,
                    code,
                    layers,
                    function["Properties"]["Handler"],
                    environment(function, parameters),
                )
                imports = "NO" if error else "yes"
                if error:
                    failed = True
                    print(error, file=sys.stderr)
            if foreign := foreign_modules(layers, folder.name):
                failed = True
                print(f"not for {folder.name}: {', '.join(foreign)}", file=sys.stderr)
            failed |= total > LIMIT_MIB
            made_of = ", ".join(f"{part} {mib:.1f}" for part, mib in sizes.items())
            print(row.format(folder.name, name, f"{total:.1f}", f"{total / LIMIT_MIB:.0%}", imports, made_of))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
