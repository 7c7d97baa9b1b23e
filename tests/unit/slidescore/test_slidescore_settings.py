"""What a deployment may choose for Slide Score."""

from __future__ import annotations

import pytest

from annohooks.core.errors import SettingsError
from annohooks.core.settings import from_env
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore.settings import Settings

NEEDED = {
    "SLIDESCORE_ORIGINS": "https://slides.example.org",
    "SLIDESCORE_SECRET_PARAMETER": "/annohooks/slidescore/secret",
    "STAGING_BUCKET": "staging",
}


@pytest.mark.parametrize("name", ANALYZERS)
def test_every_analyzer_may_be_the_one_that_runs_by_default(name):
    assert from_env(Settings, NEEDED | {"SLIDESCORE_ANALYZER": name}).slidescore_analyzer == name


@pytest.mark.parametrize("name", ["astrology", "Nuclei", "nuclei.py"])
def test_an_analyzer_that_is_not_there_is_refused_naming_those_that_are(name):
    with pytest.raises(SettingsError) as raised:
        from_env(Settings, NEEDED | {"SLIDESCORE_ANALYZER": name})
    assert str(raised.value) == f"SLIDESCORE_ANALYZER must be one of {', '.join(sorted(ANALYZERS))}"


@pytest.mark.parametrize("number", ["1", "1000000"])
def test_as_many_as_a_million_outlines_may_be_shown(number):
    assert from_env(Settings, NEEDED | {"SLIDESCORE_MAX_OUTLINES": number}).slidescore_max_outlines == int(number)


@pytest.mark.parametrize("number", ["0", "1000001"])
def test_more_or_none_are_refused(number):
    with pytest.raises(SettingsError, match="SLIDESCORE_MAX_OUTLINES"):
        from_env(Settings, NEEDED | {"SLIDESCORE_MAX_OUTLINES": number})
