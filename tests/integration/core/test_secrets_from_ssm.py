import io
import json

import boto3
import pytest

from annohooks.core import auth
from annohooks.core.auth import authenticate, secrets_from_ssm
from annohooks.core.errors import Unauthorized, Unavailable
from annohooks.core.observability import logger

PARAMETER = "/annohooks/slidescore/secret"
OLD = "old-secret-0123456789"
NEW = "new-secret-0123456789"


pytestmark = pytest.mark.usefixtures("embedded_aws")


@pytest.fixture
def log():
    stream = io.StringIO()
    before = logger.registered_handler.setStream(stream)
    yield stream.getvalue
    logger.registered_handler.setStream(before)


def configure(value):
    boto3.client("ssm").put_parameter(Name=PARAMETER, Value=value, Type="SecureString", Overwrite=True)


def test_a_secure_string_is_decrypted():
    configure(NEW)
    assert secrets_from_ssm(PARAMETER) == (NEW,)


@pytest.mark.parametrize("text", [f"{OLD} {NEW}", f"{OLD}\n{NEW}\n", f"  {OLD}\t{NEW} "])
def test_two_secrets_are_separated_by_white_space(text):
    configure(text)
    assert secrets_from_ssm(PARAMETER) == (OLD, NEW)


def test_a_value_is_cached(monkeypatch):
    configure(OLD)
    assert secrets_from_ssm(PARAMETER) == (OLD,)
    configure(NEW)
    assert secrets_from_ssm(PARAMETER) == (OLD,)


def test_a_changed_value_is_seen_once_the_cache_is_too_old():
    configure(OLD)
    assert secrets_from_ssm(PARAMETER, max_age_s=0) == (OLD,)
    configure(NEW)
    assert secrets_from_ssm(PARAMETER, max_age_s=0) == (NEW,)


def test_a_missing_parameter_gives_no_secrets_so_nobody_is_let_in(log):
    assert secrets_from_ssm(PARAMETER) == ()
    with pytest.raises(Unauthorized):
        authenticate(NEW, secrets_from_ssm(PARAMETER))
    line = json.loads(log().splitlines()[0])
    assert (line["level"], line["parameter"], line["reason"]) == ("ERROR", PARAMETER, "ParameterNotFound")


def test_a_parameter_that_appears_later_is_found():
    assert secrets_from_ssm(PARAMETER) == ()
    configure(NEW)
    assert secrets_from_ssm(PARAMETER) == (NEW,)


def test_an_unreachable_parameter_store_is_unavailable_and_lets_nobody_in(monkeypatch, log):
    class Unreachable:
        def get_parameter(self, **_):
            raise ConnectionError("canary")

    monkeypatch.setattr(auth.ssm(), "client", Unreachable())
    with pytest.raises(Unavailable):
        secrets_from_ssm(PARAMETER)
    assert json.loads(log())["reason"] == "ConnectionError"
    assert "canary" not in log()


@pytest.mark.parametrize("value", ["canary-short", f"{NEW} canary-short", f"{OLD} {NEW} canary-0123456789", " "])
def test_short_or_too_many_secrets_give_none_and_are_not_logged(value, log):
    configure(value)
    assert secrets_from_ssm(PARAMETER) == ()
    line = json.loads(log())
    assert line["message"] == "the parameter must hold one or two secrets of at least 16 characters"
    assert "canary" not in log()
