"""Codes drawn into real pictures, and pictures without codes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.detectors import DETECTORS

BARCODES = DETECTORS["barcodes"]
# ISO/IEC 15420: the bars of a digit on the right. On the left are its complement (L), or the bars read backwards (G).
RIGHT = ["1110010", "1100110", "1101100", "1000010", "1011100", "1001110", "1010000", "1000100", "1001000", "1110100"]
PARITY = ["LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"]


def detect(picture):
    return BARCODES.detect(picture, BARCODES.parameters())


def qr(text, module_px=4):
    """A QR code with its quiet zone, uint8 BGR."""
    code = cv2.copyMakeBorder(cv2.QRCodeEncoder.create().encode(text), 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=255)
    code = cv2.resize(code, None, fx=module_px, fy=module_px, interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(code, cv2.COLOR_GRAY2BGR)


def ean13(digits, module_px=3):
    """An EAN-13 of twelve digits and their check digit with its quiet zone, and all thirteen digits."""
    digits += str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10)
    left = ""
    for parity, digit in zip(PARITY[int(digits[0])], digits[1:7], strict=True):
        bars = RIGHT[int(digit)]
        left += bars[::-1] if parity == "G" else bars.translate(str.maketrans("01", "10"))
    bars = "101" + left + "01010" + "".join(RIGHT[int(digit)] for digit in digits[7:]) + "101"
    row = np.repeat(np.array([0 if bar == "1" else 255 for bar in bars], np.uint8), module_px)
    code = cv2.copyMakeBorder(np.tile(row, (40 * module_px, 1)), 20, 20, 40, 40, cv2.BORDER_CONSTANT, value=255)
    return cv2.cvtColor(code, cv2.COLOR_GRAY2BGR), digits


def placed(code, x, y, degrees=0, size=(640, 480)):
    """A picture of a table with a code whose middle is at x, y."""
    table = cv2.resize(scenes.picture("coffee"), size)
    height, width = code.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turn[:, 2] += x - width / 2, y - height / 2
    is_code = cv2.warpAffine(np.full((height, width), 255, np.uint8), turn, size) > 128
    table[is_code] = cv2.warpAffine(code, turn, size)[is_code]
    return cv2.GaussianBlur(table, (0, 0), 0.6)


@pytest.mark.parametrize("degrees", [0, 12, 45, 90, 180])
def test_qr_code_is_read_however_it_lies(degrees):
    detections = detect(placed(qr("https://example.com/a?b=1"), 300, 240, degrees))
    assert detections.labels == ("https://example.com/a?b=1",)
    assert detections.offsets.tolist() == [0, 4]
    assert detections.xy.mean(axis=0) == pytest.approx([300, 240], abs=4)
    sides = np.linalg.norm(np.diff(detections.xy, axis=0, append=detections.xy[:1]), axis=1)
    assert sides == pytest.approx(sides.mean(), rel=0.1)
    assert np.isnan(detections.scores).all()


@pytest.mark.parametrize("degrees", [0, 5, 30, 90])
def test_ean_is_read_however_it_lies(degrees):
    code, digits = ean13("590123412345")
    detections = detect(placed(code, 320, 240, degrees))
    assert detections.labels == (digits,)
    assert digits == "5901234123457"
    assert detections.xy.mean(axis=0) == pytest.approx([320, 240], abs=25)


def test_code_of_small_modules_is_enlarged_until_it_can_be_read():
    texts = [f"part {number}" for number in range(8)]
    pictures = [placed(qr(text, 3), 180 + 40 * n, 200, 7 * n, (960, 540)) for n, text in enumerate(texts)]
    assert sum(detect(picture).labels == (text,) for picture, text in zip(pictures, texts, strict=True)) >= 7


def test_a_sheet_of_fifteen_codes_and_an_ean_is_read():
    sheet = np.full((700, 850, 3), 255, np.uint8)
    texts = [f"part {number}" for number in range(15)]
    bars, digits = ean13("400638133393")
    codes = [(qr(text), 10 + n % 5 * 165, 10 + n // 5 * 160) for n, text in enumerate(texts)]
    for code, x, y in [*codes, (bars, 300, 500)]:
        sheet[y : y + code.shape[0], x : x + code.shape[1]] = code
    assert sorted(detect(sheet).labels) == sorted([*texts, digits])


@pytest.mark.parametrize("text", ["Grüße", "日本語", "🙂", "a\nb", "0123456789" * 8])
def test_text_of_any_script_is_read(text):
    assert detect(qr(text, 6)).labels == (text,)


@pytest.mark.parametrize("name", sorted(path.stem for path in scenes.FOLDER.glob("*.png") if path.stem != "multipage"))
def test_pictures_without_codes_give_none(name):
    assert detect(scenes.picture(name)).labels == ()


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.booleans())
def test_any_picture_has_detections_or_none(height, width, seed, is_flat):
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (1, 1, 3) if is_flat else (height, width, 3), np.uint8)
    detections = detect(np.ascontiguousarray(np.broadcast_to(picture, (height, width, 3))))
    assert len(detections.labels) == len(detections.scores) == len(detections.offsets) - 1


def test_several_threads_detect_at_once_and_each_gets_its_own():
    texts = [f"thread {number}" for number in range(6)]
    pictures = [placed(qr(text, 5), 200 + 50 * number, 240) for number, text in enumerate(texts)]
    with ThreadPoolExecutor(6) as pool:
        assert [detections.labels for detections in pool.map(detect, pictures)] == [(text,) for text in texts]


def finders(across, module_px=3):
    """A square of finder patterns side by side, uint8 BGR."""
    one = np.full((9, 9), 255, np.uint8)
    one[1:8, 1:8], one[2:7, 2:7], one[3:6, 3:6] = 0, 255, 0
    return cv2.cvtColor(np.tile(np.kron(one, np.ones((module_px, module_px), np.uint8)), (across, across)), 8)


@pytest.mark.parametrize("across", [10, 40])
def test_qr_codes_are_not_searched_for_among_too_many_finder_patterns(across, monkeypatch):
    monkeypatch.setattr("cv2.QRCodeDetectorAruco", lambda: pytest.fail("searched for"))
    assert detect(finders(across)).labels == ()
