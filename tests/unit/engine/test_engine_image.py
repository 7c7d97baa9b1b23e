"""The Dockerfile and the manifest agree with the relay and with Veritone's documentation."""

from __future__ import annotations

import json
import re
import shlex
from urllib.parse import urlsplit

import pytest

from annohooks.aiware import form, media
from engine import relay
from local.template import ROOT

ENGINE = ROOT / "engine"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, comments left out and continued lines joined."""
    lines = [line for line in (ENGINE / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line]


@pytest.fixture(scope="module")
def environment(instructions) -> dict[str, str]:
    words = [word for name, arguments in instructions if name == "ENV" for word in shlex.split(arguments)]
    return dict(word.split("=", 1) for word in words)


@pytest.fixture(scope="module")
def manifest() -> dict:
    return json.loads((ENGINE / "manifest.json").read_text())


def test_toolkit_runs_the_relay(instructions):
    assert instructions[-1] == ("ENTRYPOINT", '["/opt/aiware/engine", "python3", "/relay.py"]')
    toolkit, *ours = [arguments for name, arguments in instructions if name == "COPY"]
    assert toolkit == "--from=toolkit /opt/aiware/engine /opt/aiware/engine"
    assert ours == ["manifest.json /var/manifest.json", "relay.py /relay.py"]
    assert all((ENGINE / copied.split()[0]).is_file() for copied in ours)
    stages = [arguments for name, arguments in instructions if name == "FROM"]
    assert stages == ["veritone/aiware-engine-toolkit AS toolkit", "python:3.13-slim"]


@pytest.mark.parametrize(
    ("name", "path"), [("VERITONE_WEBHOOK_READY", "/ready"), ("VERITONE_WEBHOOK_PROCESS", "/process")]
)
def test_toolkit_gets_the_port_and_the_path_of_the_relay(environment, name, path):
    url = urlsplit(environment[name])
    assert (url.scheme, url.port, url.path) == ("http", relay.PORT, path)
    assert relay.is_local(url.hostname)


def test_annohooks_fetches_the_chunk_and_no_engine_is_in_test_mode(environment):
    assert (environment["VERITONE_DISABLE_CHUNK_DOWNLOAD"], environment.get("VERITONE_TESTMODE")) == ("true", None)


def test_relay_reads_every_setting_of_the_image_and_the_readme_names_all_that_it_reads(environment):
    ours = {name for name in environment if name.startswith("ANNOHOOKS_")}
    assert ours == {"ANNOHOOKS_URL", "ANNOHOOKS_SECRET_FILE", "ANNOHOOKS_RELAY_USER"}
    read = set(re.findall(r'"(ANNOHOOKS_[A-Z_]+)"', (ENGINE / "relay.py").read_text()))
    assert ours < read == set(re.findall(r"`(ANNOHOOKS_[A-Z_]+)`", (ENGINE / "README.md").read_text()))


def test_secret_is_mounted_not_copied_or_passed_as_an_argument(instructions, environment):
    (mounted,) = [arguments for name, arguments in instructions if "type=secret" in arguments]
    assert mounted.endswith(f"--mode=0400 /run/secrets/annohooks {environment['ANNOHOOKS_SECRET_FILE']}")
    assert [arguments for name, arguments in instructions if name == "ARG"] == ["ANNOHOOKS_URL"]


def test_manifest_has_the_documented_fields_only(manifest):
    required = {"engineId", "category", "preferredInputFormat", "outputFormats", "clusterSize"}
    optional = {"engineMode", "externalCalls", "supportedInputFormats", "initialConcurrency", "maxConcurrency"}
    assert set(manifest) == required | optional
    assert manifest["engineMode"] == "chunk"  # the Test Console opens for no other
    formats = manifest["supportedInputFormats"]
    assert manifest["preferredInputFormat"] in formats
    assert {media.kind_of(mime_type) for mime_type in formats} == {"picture", "video"}
    assert manifest["clusterSize"] in ("small", "medium", "large")
    assert all(urlsplit(url).scheme == "https" for url in manifest["externalCalls"])


def test_readme_names_what_to_fill_in_the_manifest():
    left_open, told = (
        re.findall(r"YOUR-[A-Z-]+", (ENGINE / name).read_text()) for name in ("manifest.json", "README.md")
    )
    assert set(left_open) <= set(told)


def test_relay_refuses_what_annohooks_would():
    assert relay.MAX_BODY_BYTES == form.MAX_BODY_BYTES
