"""Elias omega codes, compared with a plain encoder and decoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.slidescore.anno2 import omega
from local.anno2 import omega as decode_all
from local.anno2 import signed

numbers = st.integers(1, 2**32) | st.integers(1, 20)


def plain(number):
    """The code of a number as a string of bits."""
    code = "0"
    while number > 1:
        group = f"{number:b}"
        code, number = group + code, len(group) - 1
    return code


def packed(bits):
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


@pytest.mark.parametrize(("number", "code"), [(1, "0"), (2, "100"), (3, "110"), (4, "101000"), (16, "10100100000")])
def test_codes_of_small_numbers_are_those_of_the_paper(number, code):
    assert omega.encode(np.array([number])) == packed(code)


@given(st.lists(numbers, min_size=1, max_size=300))
def test_the_codes_are_those_of_a_plain_encoder(values):
    assert omega.encode(np.array(values, np.int64)) == packed("".join(map(plain, values)))


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1) | st.integers(-5, 5), min_size=1, max_size=300))
def test_decoded_signed_numbers_are_the_originals(values):
    decoded = list(decode_all(omega.encode_signed(np.array(values, np.int64))))
    assert [signed(number) for number in decoded[: len(values)]] == values
