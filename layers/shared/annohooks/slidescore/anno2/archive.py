"""The zip around an annotation's members."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping

VERSION = "0.2.0"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold, for every member: the same annotation is the same bytes."""


def archive(kind: str, items: int, metadata: Mapping[str, object], members: Iterable[tuple[str, bytes]]) -> bytes:
    """A whole anno2 zip: the two metadata members, then those given, name and content, in their order.

    kind: Slide Score's name of the type. items: how many there are, holes counted. metadata: the user's own.
    Raises TypeError for metadata that is not a JSON object, ValueError for a NaN or infinity in it.
    """
    system = {"version": VERSION, "type": kind, "numItems": items}
    user = json.dumps(json_object(metadata), indent=2, allow_nan=False).encode()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as zipped:

        def write(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, content)

        write("system_metadata.json", json.dumps(system, indent=2).encode())
        write("user_metadata.json", user)
        for name, content in members:
            write(name, content)
    return whole.getvalue()


def json_object(described: Mapping[str, object]) -> dict[str, object]:
    """As a dict, the one mapping `json` writes; TypeError if it is no mapping."""
    if not isinstance(described, Mapping):
        raise TypeError(f"metadata and labels must be JSON objects, not {type(described).__name__}")
    return dict(described)
