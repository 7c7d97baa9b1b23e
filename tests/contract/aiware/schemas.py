"""The vendor's published schemas of AION v1.2, as judges."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

FOLDER = Path(os.environ["AION_SCHEMAS"])
"""`schemas/vtn-standard` of the npm package veritone-json-schemas@1.2.0, which `make contract` fetches."""

CONTRACTS = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "aion"))


@cache
def validator(name: str) -> Draft7Validator:
    """Of `aion`, or of a contract.

    Schemas of contracts name the master as their dialect, which no validator knows; they are of draft 7, as it is.
    """
    return Draft7Validator({"$ref": _read(FOLDER / name / f"{name}.json")["$id"]}, registry=_registry())


def flaws(document: Any) -> Iterator[str]:
    """What AION's schema and those of all contracts that a document names say against it."""
    named = document.get("validationContracts", ()) if isinstance(document, dict) else ()
    contracts = [name for name in named if name in CONTRACTS] if isinstance(named, list) else []
    for name in ("aion", *contracts):
        for error in validator(name).iter_errors(document):
            yield f"{name}: {error.json_path}: {error.message}"


def examples() -> list[tuple[Path, Any]]:
    """The vendor's own, of all schemas."""
    return [(path, _read(path)) for path in sorted(FOLDER.glob("*/*examples/*.json"))]


@cache
def _registry() -> Registry[Any]:
    schemas = [
        _read(path)
        for path in (FOLDER / "master.json", *(FOLDER / name / f"{name}.json" for name in ("aion", *CONTRACTS)))
    ]
    return Registry().with_resources((schema["$id"], DRAFT7.create_resource(schema)) for schema in schemas)


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
