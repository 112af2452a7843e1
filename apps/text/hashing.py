"""From UTF-8 bytes to the bucket numbers of words and of parts of words.

Everything is integer arithmetic that converts to builtin TFLite operators, so
that an exported file takes raw bytes and no phone reimplements a tokenizer.
There is no vocabulary: a word is known by its hash (Weinberger et al. 2009,
"Feature hashing", arXiv:0902.2206), and the hashes of its character n-grams
stand for its parts (Bojanowski et al. 2017, arXiv:1607.04606), so that a word
never seen in training still has a meaning.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from apps.text.characters import (
    END,
    SEPARATORS,
    SYMBOLS,
    TABLE_SIZE,
    character_table,
)

NGRAMS = (3, 4)
"""Lengths of the character n-grams of a word."""
POSITIONS = 10
"""N-grams are taken from the first POSITIONS characters of a word."""
SLOTS = 2 + len(NGRAMS) * POSITIONS
"""Buckets a word: the word, the pair of words that it ends, then its n-grams."""

# Odd constants of wrapping 32-bit arithmetic, as signed integers. They define
# the bucket numbers: changing one makes every trained model meaningless.
MULTIPLIER = -1640531535  # 2654435761, the golden ratio of 2^32 (Knuth, TAOCP 3)
NGRAM_MULTIPLIER = 1540483477  # of MurmurHash2
STARTS_WORD = 374761393  # of xxHash32, as are the next two
ENDS_WORD = -2048144777
LENGTH_SALT = 668265263
MAX_POWER = 64
"""Characters past the 64th of a word are hashed without regard to their order."""


def wrap(value: int) -> int:
    """`value` as a signed 32-bit integer."""
    return (value + 2**31) % 2**32 - 2**31


def powers() -> np.ndarray:
    """int32 [MAX_POWER]: MULTIPLIER ** (1 + i), wrapping."""
    found = [MULTIPLIER]
    while len(found) < MAX_POWER:
        found.append(wrap(found[-1] * MULTIPLIER))
    return np.array(found, "int32")


def _shift(values: tf.Tensor, by: int) -> tf.Tensor:
    """[n] -> [n]: element i is values[i + by], zero past either end."""
    zeros = tf.zeros([abs(by)], values.dtype)
    if by < 0:
        return tf.concat([zeros, values], 0)[:by]
    return tf.concat([values, zeros], 0)[by:]


def _within(values: tf.Tensor, ranges: Sequence[tuple[int, int]]) -> tf.Tensor:
    """int32 [n]: 1 where a value lies in one of the half-open ranges."""
    return tf.add_n(
        [tf.cast((values >= low) & (values < high), tf.int32) for low, high in ranges]
    )


def decode(data: tf.Tensor) -> tf.Tensor:
    """UTF-8 to code points, int32 [n] -> int32 [m].

    Bytes that are not UTF-8 give some code point or other, never an error: a
    continuation byte alone is skipped, a missing one counts as zero.
    """
    # A byte is a continuation where its two top bits are 10: its payload is
    # carried, so that a lead byte can add up the payloads that follow it.
    continues = (data >= 0x80) & (data < 0xC0)
    payload = tf.where(continues, data - 0x80, 0)
    one, two, three = (_shift(payload, by) for by in (1, 2, 3))
    code = tf.where(
        data < 0x80,
        data,
        tf.where(
            data < 0xE0,
            (data - 0xC0) * 64 + one,
            tf.where(
                data < 0xF0,
                (data - 0xE0) * 4096 + one * 64 + two,
                (data - 0xF0) * 262144 + one * 4096 + two * 64 + three,
            ),
        ),
    )
    return tf.boolean_mask(code, ~continues)


def classify(code: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Code points to (lower case, kind), both int32 [n].

    Kind is 0 for a separator, 1 for a letter, 2 for a symbol.
    """
    entry = tf.gather(character_table(), tf.minimum(code, TABLE_SIZE - 1))
    separator = tf.minimum(_within(code, SEPARATORS), 1)
    symbol = (1 - separator) * _within(code, SYMBOLS)
    in_table = code < TABLE_SIZE
    kind = tf.where(
        in_table,
        tf.where(entry == 0, 0, tf.where(entry < 0, 2, 1)),
        1 - separator + symbol,
    )
    return tf.where(in_table, tf.abs(entry), code), kind


def hash_words(
    data: tf.Tensor, word_buckets: int, ngram_buckets: int, limit: int | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The bucket numbers of every word of a run of texts.

    Args:
        data: UTF-8 bytes, int32 [n]; each text ends with the byte `END`, and
            zeros are padding.
        word_buckets: Buckets for whole words: numbers 1 to `word_buckets`.
        ngram_buckets: Buckets for n-grams: the numbers after those. 0 stands
            for a slot that is not in use.
        limit: Only the first `limit` words are returned.

    Returns:
        ids: int32 [words, SLOTS].
        ends: bool [words], true for the word that is the end of a text.
    """
    code, kind = classify(decode(data))
    letter, before, after = kind == 1, _shift(kind, -1) == 1, _shift(kind, 1) == 1
    is_start = (kind == 2) | (letter & ~before)
    is_end = (kind == 2) | (letter & ~after)
    start = tf.reshape(tf.where(is_start), [-1])
    end = tf.reshape(tf.where(is_end), [-1])
    start, end = tf.cast(start, tf.int32), tf.cast(end, tf.int32)

    # Position of each character in its word. Separators, which belong to no
    # word, count on from the word before and contribute zero.
    number = tf.maximum(tf.cumsum(tf.cast(is_start, tf.int32)) - 1, 0)
    position = tf.range(tf.size(code)) - tf.gather(start, number)
    position = tf.clip_by_value(position, 0, MAX_POWER - 1)
    term = tf.where(kind > 0, code, 0) * tf.gather(powers(), position)
    # The hash of any stretch is the difference of two prefix sums.
    total = tf.cumsum(term)
    if limit is not None:
        start, end = start[:limit], end[:limit]
    word = tf.gather(total, end) - tf.gather(total - term, start)
    mark = tf.gather(code, start)
    before_mark = _shift(mark, -1)
    pair = _shift(word, -1) * NGRAM_MULTIPLIER + word
    pair = tf.where(
        (before_mark == 0) | (before_mark == END),
        0,
        _bucket(pair, ngram_buckets) + (1 + word_buckets),
    )
    slots = [_bucket(word, word_buckets)[:, None] + 1, pair[:, None]]

    value = tf.where(is_start, code + STARTS_WORD, code)
    at = start[:, None] + tf.range(POSITIONS)[None, :]
    last = end[:, None]
    safe = tf.minimum(at, tf.size(code) - 1)
    rolling = value
    for n in range(2, max(NGRAMS) + 1):
        rolling = rolling * NGRAM_MULTIPLIER + _shift(value, n - 1)
        if n in NGRAMS:
            closing = tf.where(_shift(is_end, n - 1), ENDS_WORD, n * LENGTH_SALT)
            bucket = _bucket(rolling + closing, ngram_buckets) + (1 + word_buckets)
            slots.append(tf.where(at + (n - 1) <= last, tf.gather(bucket, safe), 0))
    return tf.concat(slots, 1), mark == END


def _bucket(hashed: tf.Tensor, buckets: int) -> tf.Tensor:
    # Multiplying carries the low bits up; dividing throws the weak low bits away.
    return tf.math.floormod(tf.math.floordiv(hashed * MULTIPLIER, 1 << 9), buckets)


@keras.saving.register_keras_serializable("seqcore.text")
class WordHash(keras.layers.Layer):
    """UTF-8 bytes [batch, n] to bucket numbers [batch, words, SLOTS], both int32.

    Zero bytes are padding; padded words have all their slots zero. The last
    word of every text is the end of the text, so there is always one; texts
    longer than `max_words` are cut.

    Args:
        word_buckets: Buckets for whole words.
        ngram_buckets: Buckets for character n-grams.
        max_words: Words kept of a text, its end included.
    """

    def __init__(self, word_buckets: int, ngram_buckets: int, max_words: int, **kwargs):
        super().__init__(**kwargs)
        for name, value in (
            ("word_buckets", word_buckets),
            ("ngram_buckets", ngram_buckets),
            ("max_words", max_words),
        ):
            if value < 1:
                raise ValueError(f"expected {name} to be positive, got {value}")
        self.word_buckets = word_buckets
        self.ngram_buckets = ngram_buckets
        self.max_words = max_words

    def call(self, data: tf.Tensor) -> tf.Tensor:
        data = tf.cast(data, tf.int32)
        # The end mark is ours to write; in a text it would end it early.
        bad = (data == END) | (data < 0) | (data > 255)
        data = tf.pad(tf.where(bad, 0, data), [[0, 0], [0, 1]], constant_values=END)
        flat = tf.reshape(data, [-1])
        if data.shape[0] == 1:
            ids, _ = hash_words(
                flat, self.word_buckets, self.ngram_buckets, self.max_words
            )
            return ids[None]
        ids, ends = hash_words(flat, self.word_buckets, self.ngram_buckets)
        row = tf.cumsum(tf.cast(ends, tf.int32), exclusive=True)
        ragged = tf.RaggedTensor.from_value_rowids(ids, row, tf.shape(data)[0])
        return ragged[:, : self.max_words].to_tensor()

    def compute_output_spec(self, data: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((data.shape[0], None, SLOTS), "int32")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], None, SLOTS)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "word_buckets": self.word_buckets,
            "ngram_buckets": self.ngram_buckets,
            "max_words": self.max_words,
        }

    def many(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Hashes texts of any lengths at once, without padding.

        Args:
            texts: UTF-8 bytes [n], one array a text.

        Returns:
            int32 [words, SLOTS] for each text: what `call` gives for it.
        """
        found: list[np.ndarray] = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            chunk = texts[first : first + _TEXTS_AT_ONCE]
            parts: list = []
            for text in chunk:
                parts += [np.where(text == END, 0, text), [END]]
            ids, ends = _hash_many(
                np.concatenate(parts).astype("int32"),
                self.word_buckets,
                self.ngram_buckets,
            )
            pieces = np.split(ids.numpy(), np.flatnonzero(ends.numpy()) + 1)
            found += [piece[: self.max_words] for piece in pieces[: len(chunk)]]
        return found


_TEXTS_AT_ONCE = 2048
_hash_many = tf.function(
    hash_words, input_signature=None, reduce_retracing=True, autograph=False
)
