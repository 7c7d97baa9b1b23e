"""The zip around an annotation's members."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import brotli  # type: ignore[import-untyped]

VERSION = "0.2.0"
BROTLI_QUALITY = 5
"""Slide Score's own 8 takes about twice as long for the same size."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold, for every member: the same annotation is the same bytes."""


def archive(kind: str, items: int, metadata: Mapping[str, object], members: Mapping[str, bytes]) -> bytes:
    """A whole anno2 zip. Members are stored in the order given; one whose name ends in .br is compressed here.

    kind: Slide Score's name of the type. items: how many there are, holes counted. metadata: the user's own.
    Raises TypeError for metadata that is not a JSON object, ValueError for a NaN or infinity in it.
    """
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a JSON object, not {type(metadata).__name__}")
    system = {"version": VERSION, "type": kind, "numItems": items}
    described = {
        "system_metadata.json": json.dumps(system, indent=2).encode(),
        "user_metadata.json": json.dumps(dict(metadata), indent=2, allow_nan=False).encode(),
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as zipped:
        for name, plain in (described | dict(members)).items():
            content = brotli.compress(plain, quality=BROTLI_QUALITY) if name.endswith(".br") else plain
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, content)
    return whole.getvalue()
