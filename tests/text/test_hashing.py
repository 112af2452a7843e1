"""The text layer: equal to a plain reference, on Unicode of every kind."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.text.characters import KINDS, character_table
from apps.text.hashing import SLOTS, hash_words
from apps.text.words import WordHash, places
from tests.text import reference

SIZES = (4093, 50)
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


def as_bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data or b" ", "uint8").astype("int32")


def adapted(features: int, max_words: int) -> WordHash:
    """A layer that knows what is in TEXTS, but for what found no free bucket."""
    layer = WordHash(features, max_words)
    layer.adapt([as_bytes(text.encode("utf-8", "replace")) for text in TEXTS], 1)
    return layer


@pytest.fixture(scope="module")
def layer() -> WordHash:
    return adapted(*SIZES)


def expected_ids(layer: WordHash, data: bytes) -> np.ndarray:
    owners = keras.ops.convert_to_numpy(layer.owners).tolist()
    return np.array(reference.ids(data, owners, layer.max_words))


@pytest.mark.parametrize("text", TEXTS)
def test_equals_the_reference(layer, text):
    data = text.encode("utf-8", "replace")
    expected = expected_ids(layer, data)
    np.testing.assert_array_equal(layer(as_bytes(data)[None])[0], expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(any_text, min_size=1, max_size=5))
def test_training_and_model_give_equal_ids(layer, texts):
    """No skew: the bulk route of training, one text alone, and a padded batch."""
    data = [text.encode("utf-8", "replace") for text in texts]
    bulk = layer.many([as_bytes(d) for d in data])
    longest = max(len(as_bytes(d)) for d in data)
    batch = np.zeros((len(data), longest + 2), "int32")
    for row, d in enumerate(data):
        batch[row, : len(as_bytes(d))] = as_bytes(d)
    padded = layer(batch).numpy()
    for row, d in enumerate(data):
        expected = expected_ids(layer, d)
        np.testing.assert_array_equal(bulk[row], expected)
        np.testing.assert_array_equal(padded[row][: len(expected)], expected)
        assert not padded[row][len(expected) :].any()


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read(layer, data):
    """Bytes that are no UTF-8 at all give what the rules say, never an error."""
    found = layer(as_bytes(data)[None])[0]
    np.testing.assert_array_equal(found, expected_ids(layer, data))


def test_values_outside_a_byte_are_padding(layer):
    odd = np.array([[104, -5, 105, 300, 2**31 - 1, -(2**31)]], "int32")
    plain = np.array([[104, 0, 105, 0, 0, 0]], "int32")
    np.testing.assert_array_equal(layer(odd), layer(plain))


def words_of(text: str) -> list[str]:
    return ["".join(map(chr, word)) for word, _ in reference.words(text.encode())[:-1]]


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


LITERAL = [
    [1243812650, 961329640, -1178163890, -450680110],
    [-34921209, -1542420871],
    [-1640531535, 612263364],
]
"""Of "card", then of "7" and the end, with the pairs that they end."""
LITERAL_PLACES = [[317, 580], [664, 382], [251, 177]]


def test_literal_hashes():
    """Trained models depend on these numbers: they must never change."""
    hashes, used, kinds, ends = hash_words(as_bytes(b"Card 7\x01"))
    used_hashes = [h[u].numpy().tolist() for h, u in zip(hashes, used, strict=True)]
    assert used_hashes == LITERAL
    assert kinds.numpy().tolist() == [1, 2, 0]
    assert ends.numpy().tolist() == [False, False, True]
    buckets = [part.numpy().tolist() for part in places(hashes[:2, 0], 1000)]
    assert buckets == LITERAL_PLACES


def test_unknown_words_keep_their_kind(layer):
    """And what is known of their parts; a pair or n-gram that is unknown is 0."""
    before = layer(as_bytes(b"card Zebra zebra 44 card")[None])[0].numpy()
    assert before[1:4, 0].tolist() == [2, 1, 3]
    assert before[0, 0] == before[4, 0] > KINDS
    assert before[0, 2] > KINDS  # "car" is part of "card", which TEXTS has
    assert not before[1, 1]


def test_every_owner_answers_to_its_own_number():
    """Distinct numbers for distinct words, and hardly any for words never seen."""
    known = [f"w{i}" for i in range(400)]
    layer = WordHash(8191, 10)
    texts = [as_bytes(word.encode()) for word in known]
    placed = layer.adapt(texts, 1)
    own = np.array([ids[0, 0] for ids in layer.many(texts)])
    told = own[own > KINDS]
    assert len(told) > 390
    assert len(np.unique(told)) > 0.98 * len(told)
    assert placed == np.count_nonzero(keras.ops.convert_to_numpy(layer.owners))
    strangers = [as_bytes(f"q{i}x".encode()) for i in range(1000)]
    taken = [ids[0, 0] > KINDS for ids in layer.many(strangers)]
    assert sum(taken) < 30


def test_the_most_frequent_features_are_known():
    texts = [as_bytes(b"often")] * 9 + [as_bytes(b"twice")] * 2 + [as_bytes(b"once")]
    layer = WordHash(211, 10)
    layer.adapt(texts, 2)
    words = [layer(as_bytes(w)[None])[0, 0, 0] > KINDS for w in (b"often", b"twice")]
    assert all(words)
    assert layer(as_bytes(b"once")[None])[0, 0, 0] == 1
    tiny = WordHash(KINDS + 2, 10)  # two buckets
    assert tiny.adapt(texts, 1) <= 2
    assert tiny(as_bytes(b"twice")[None])[0, 0, 0] == 1


def test_limit_and_shape(layer):
    long = " ".join(["word"] * 500).encode()
    assert layer(as_bytes(long)[None]).shape == (1, 50, SLOTS)
    assert layer.compute_output_shape((3, 9)) == (3, None, SLOTS)


def test_round_trip():
    layer = WordHash(11, 13)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.get_config() == layer.get_config()


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="expected features of at least 5, got 0"):
        WordHash(0, 1)
