import pytest

from annohooks.core.auth import authenticate
from annohooks.core.errors import Unauthorized

OLD = "old-secret-0123456789"
NEW = "new-secret-0123456789"


@pytest.mark.parametrize("accepted", [[NEW], [OLD, NEW], [NEW, OLD], ("", NEW)])
def test_an_accepted_secret_is_let_in(accepted):
    assert authenticate(NEW, accepted) is None


def test_while_a_secret_is_replaced_old_and_new_are_both_let_in():
    assert authenticate(OLD, [OLD, NEW]) is None
    assert authenticate(NEW, [OLD, NEW]) is None


def test_a_secret_outside_ascii_is_let_in():
    assert authenticate("gëheim-ключ-秘密-0123", ["gëheim-ключ-秘密-0123"]) is None


@pytest.mark.parametrize(
    "given", [None, "", "wrong", NEW[:-1], NEW + "x", NEW.upper(), f" {NEW}", "ключ", "\ud800", "?"]
)
def test_any_other_secret_is_refused(given):
    with pytest.raises(Unauthorized) as raised:
        authenticate(given, [OLD, NEW])
    assert raised.value.status == 401
    assert NEW not in raised.value.message


@pytest.mark.parametrize("given", [None, "", NEW])
@pytest.mark.parametrize("accepted", [[], (), [""], ["", ""]])
def test_with_no_secret_configured_nobody_is_let_in(given, accepted):
    with pytest.raises(Unauthorized):
        authenticate(given, accepted)


def test_every_secret_is_compared_even_after_one_matched(monkeypatch):
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append(len(a)) or a == b)
    authenticate(OLD, [OLD, NEW])
    assert compared == [32, 32]
