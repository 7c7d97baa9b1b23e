"""The zip that holds an annotation's members."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping

VERSION = "0.2.0"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold. All members have it, so the same annotation gives the same bytes."""


def archive(kind: str, items: int, metadata: Mapping[str, object], members: Iterable[tuple[str, bytes]]) -> bytes:
    """A whole anno2 zip: two members of metadata, and then `members`, pairs of name and content.

    kind: Slide Score's name of the type. items: their number, with holes. metadata: of the user.
    Raises TypeError for metadata that is no JSON object, ValueError for a NaN or infinity in it.
    """
    system = {"version": VERSION, "type": kind, "numItems": items}
    user = json.dumps(json_object(metadata), indent=2, allow_nan=False).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:

        def write(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, content)

        write("system_metadata.json", json.dumps(system, indent=2).encode())
        write("user_metadata.json", user)
        for name, content in members:
            write(name, content)
    return buffer.getvalue()


def json_object(content: Mapping[str, object]) -> dict[str, object]:
    """A mapping as a dict, which `json` can write. Raises TypeError for anything else."""
    if not isinstance(content, Mapping):
        raise TypeError(f"metadata and labels must be JSON objects, not {type(content).__name__}")
    return dict(content)
