"""The settings of a deployment for Slide Score."""

from __future__ import annotations

import pytest

from annohooks.core.errors import SettingsError
from annohooks.core.settings import from_env
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore.settings import Settings

REQUIRED = {
    "SLIDESCORE_ORIGINS": "https://slides.example.org",
    "SLIDESCORE_SECRET_PARAMETER": "/annohooks/slidescore/secret",
    "STAGING_BUCKET": "staging",
}


def test_the_default_analyzer_must_exist():
    assert from_env(Settings, REQUIRED | {"SLIDESCORE_ANALYZER": "tissue"}).slidescore_analyzer == "tissue"
    with pytest.raises(SettingsError) as raised:
        from_env(Settings, REQUIRED | {"SLIDESCORE_ANALYZER": "Nuclei"})
    assert str(raised.value) == f"SLIDESCORE_ANALYZER must be one of {', '.join(sorted(ANALYZERS))}"


def test_an_answer_may_have_1_to_a_million_outlines():
    for number in ("1", "1000000"):
        assert from_env(Settings, REQUIRED | {"SLIDESCORE_MAX_OUTLINES": number}).slidescore_max_outlines == int(number)
    for number in ("0", "1000001"):
        with pytest.raises(SettingsError, match="SLIDESCORE_MAX_OUTLINES"):
            from_env(Settings, REQUIRED | {"SLIDESCORE_MAX_OUTLINES": number})
