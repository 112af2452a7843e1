"""The text layer: equal to a plain reference, on Unicode of every kind."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.text.characters import character_table
from apps.text.hashing import SLOTS, WordHash
from tests.text import reference

SIZES = (8191, 4093, 50)
TEXTS = (
    "",
    "a",
    "Where is my CARD? It's 2 weeks late!!",
    "ÄRGER über Öl, naïve CAFÉ",
    "ΚΑΛΗΜΕΡΑ κόσμε ΟΔΟΣ",
    "Привет, как ДЕЛА? Ёж",
    "ԲԱՐԵՎ ᲗᲑᲘᲚᲘᲡᲘ თბილისი",
    "İstanbul ISPARTA ıŞĞ",
    "مرحبا، كيف الحال؟",
    "नमस्ते दुनिया। कैसे हो",
    "我想查我的卡。東京タワー",
    "ฉันต้องการบัตร",
    "안녕하세요 세계",
    "❤️👍🏽 ok 🤷‍♂️ €5 ½",
    "line\nbreak\ttab\u00a0nbsp\u2003em\u3000full\u200bzero",
    "e\u0301 combining and \u00e9 composed",
    "x" * 100 + " " + "y" * 70,
    "one\x01two\x00three",
    " ".join(f"w{i}" for i in range(80)),
    "\U0001d4b3 \U00010400 \U0010ffff",
)
any_text = st.text(max_size=60) | st.text(
    st.characters(max_codepoint=0x2FFF), max_size=60
)


@pytest.fixture(scope="module")
def layer() -> WordHash:
    return WordHash(*SIZES)


def as_bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data or b" ", "uint8").astype("int32")


@pytest.mark.parametrize("text", TEXTS)
def test_equals_the_reference(layer, text):
    data = text.encode("utf-8", "replace")
    expected = np.array(reference.ids(data, *SIZES))
    np.testing.assert_array_equal(layer(as_bytes(data)[None])[0], expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(any_text, min_size=1, max_size=5))
def test_training_and_model_give_equal_ids(texts):
    """No skew: the bulk route of training, one text alone, and a padded batch."""
    layer = WordHash(*SIZES)
    data = [text.encode("utf-8", "replace") for text in texts]
    bulk = layer.many([as_bytes(d) for d in data])
    longest = max(len(as_bytes(d)) for d in data)
    batch = np.zeros((len(data), longest + 2), "int32")
    for row, d in enumerate(data):
        batch[row, : len(as_bytes(d))] = as_bytes(d)
    padded = layer(batch).numpy()
    for row, d in enumerate(data):
        expected = np.array(reference.ids(d, *SIZES))
        np.testing.assert_array_equal(bulk[row], expected)
        np.testing.assert_array_equal(padded[row][: len(expected)], expected)
        assert not padded[row][len(expected) :].any()


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read(data):
    """Bytes that are no UTF-8 at all give what the rules say, never an error."""
    found = WordHash(*SIZES)(as_bytes(data)[None])[0]
    np.testing.assert_array_equal(found, np.array(reference.ids(data, *SIZES)))


def test_values_outside_a_byte_are_padding(layer):
    odd = np.array([[104, -5, 105, 300, 2**31 - 1, -(2**31)]], "int32")
    plain = np.array([[104, 0, 105, 0, 0, 0]], "int32")
    np.testing.assert_array_equal(layer(odd), layer(plain))


def words_of(text: str) -> list[str]:
    return ["".join(map(chr, word)) for word in reference.words(text.encode())[:-1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 20 °C!", ["it's", "20", "°", "c", "!"]),
        ("ÄRGER, ЁЖ ΚΌΣΜΟΣ", ["ärger", ",", "ёж", "κόσμοσ"]),
        ("我的卡ok", ["我", "的", "卡", "ok"]),
        ("hi👍🏽there", ["hi", "👍", "🏽", "there"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "।"]),
    ],
)
def test_words_are_what_a_reader_would_say(text, expected):
    assert words_of(text) == expected


def test_lower_case_is_unicodes():
    """Every character with a one-character lower case below U+2000."""
    table = character_table()
    for code in range(0x2000):
        lower = chr(code).lower()
        if chr(code).isalpha() and len(lower) == 1 and ord(lower) < 0x2000:
            assert abs(table[code]) == ord(lower), hex(code)


def test_literal_ids(layer):
    """Trained models depend on these numbers: they must never change."""
    found = layer(as_bytes(b"card")[None])[0].numpy()
    used = [[int(i) for i in row if i] for row in found]
    assert used == [[2575, 8666, 11751, 8837], [4966, 8733]]


def test_buckets_are_filled_evenly(layer):
    """A thousand words fall into as many buckets as random ones would."""
    words = [
        first + vowel + last
        for first in "bcdfghklmn"
        for vowel in "aeiou"
        for last in "bcdfghklmnprstvwxyz1"
    ]
    ids = np.concatenate(layer.many([as_bytes(w.encode()) for w in words]))
    distinct = len(np.unique(ids[:, 0])) - 1
    buckets = SIZES[0]
    expected = buckets * (1 - (1 - 1 / buckets) ** len(words))
    assert abs(distinct - expected) < 25


def test_limit_and_shape(layer):
    long = " ".join(["word"] * 500).encode()
    assert layer(as_bytes(long)[None]).shape == (1, 50, SLOTS)
    assert layer.compute_output_shape((3, 9)) == (3, None, SLOTS)


def test_round_trip():
    layer = WordHash(11, 12, 13)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.get_config() == layer.get_config()


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="word_buckets to be positive, got 0"):
        WordHash(0, 1, 1)
