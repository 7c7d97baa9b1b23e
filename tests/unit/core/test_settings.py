import traceback
from typing import Annotated, Literal

import msgspec
import pytest

from annohooks.core.errors import SettingsError
from annohooks.core.origins import Origins
from annohooks.core.settings import from_env


class Settings(msgspec.Struct, frozen=True):
    staging_bucket: str
    max_outlines: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    margin_s: float = 2.5
    give_up_token: bool = True
    results: Literal["inline", "anno2"] = "inline"
    allowed_origins: Origins = Origins()


def test_fields_are_read_from_variables_in_upper_case():
    settings = from_env(
        Settings,
        {
            "STAGING_BUCKET": "staging",
            "MAX_OUTLINES": "7",
            "MARGIN_S": "1.5",
            "GIVE_UP_TOKEN": "false",
            "RESULTS": "anno2",
            "ALLOWED_ORIGINS": "https://slides.example.org",
            "PATH": "/bin",
        },
    )
    assert (settings.staging_bucket, settings.max_outlines, settings.margin_s) == ("staging", 7, 1.5)
    assert (settings.give_up_token, settings.results) == (False, "anno2")
    assert settings.allowed_origins.match("https://slides.example.org/x").host == "slides.example.org"


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_unset_or_empty_variable_leaves_the_default(empty):
    settings = from_env(Settings, {"STAGING_BUCKET": "staging", "MAX_OUTLINES": empty})
    assert (settings.max_outlines, settings.margin_s, settings.give_up_token) == (100, 2.5, True)


@pytest.mark.parametrize("environ", [{}, {"STAGING_BUCKET": ""}])
def test_a_required_variable_that_is_unset_or_empty_is_named(environ):
    with pytest.raises(SettingsError, match="STAGING_BUCKET is not set"):
        from_env(Settings, environ)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("MAX_OUTLINES", "s3cret-canary", "Expected `int`"),
        ("MAX_OUTLINES", "0", ">= 1"),
        ("MARGIN_S", "s3cret-canary", "Expected `float`"),
        ("GIVE_UP_TOKEN", "s3cret-canary", "Expected `bool`"),
        ("RESULTS", "s3cret'canary", "Invalid enum value"),
        ("ALLOWED_ORIGINS", "ftp://slides.example.org", "is not an origin"),
    ],
)
def test_a_wrong_variable_is_named_with_the_reason_but_not_its_value(name, value, reason):
    with pytest.raises(SettingsError) as raised:
        from_env(Settings, {"STAGING_BUCKET": "staging", name: value})
    assert str(raised.value).startswith(f"{name}: ")
    assert reason in str(raised.value)
    assert "canary" not in "".join(traceback.format_exception(raised.value))


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setenv("STAGING_BUCKET", "from-the-process")
    assert from_env(Settings).staging_bucket == "from-the-process"
