"""slidescore-sdk's public function that writes anno2, without all that it prints."""

from __future__ import annotations

import contextlib
import io
import logging

import pytest
from slidescore import APIClient


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """The SDK prints and logs every step."""
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def vendor_zip(tmp_path_factory):
    """The SDK's zip of a list of anno1 items, or of its own Points or Polygons, through its public function."""
    path = tmp_path_factory.mktemp("anno2") / "vendor.zip"
    client = APIClient("http://localhost", "unused")

    def convert(items, metadata=None):
        client.convert_to_anno2(items, metadata, str(path))
        return path.read_bytes()

    return convert
