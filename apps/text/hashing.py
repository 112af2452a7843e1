"""From UTF-8 bytes to the hashes of words and of parts of words.

Everything is integer arithmetic that converts to builtin TFLite operators, so
that an exported file takes raw bytes and no phone reimplements a tokenizer.
There is no list of words: a word is known by its hash (Weinberger et al. 2009,
"Feature hashing", arXiv:0902.2206), and the hashes of its character n-grams
stand for its parts (Bojanowski et al. 2017, arXiv:1607.04606), so that a word
never seen in training still has a meaning.
"""

from collections.abc import Sequence

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
"""Numbers a word: the word, the pair of words that it ends, then its n-grams."""

# Odd constants of wrapping 32-bit arithmetic, as signed integers. They define
# the numbers: changing one makes every trained model meaningless.
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
    data: tf.Tensor, limit: int | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The hashes of every word of a run of texts and of its parts.

    Args:
        data: UTF-8 bytes, int32 [n]; each text ends with the byte `END`, and
            zeros are padding.
        limit: Only the first `limit` words are returned.

    Returns:
        hashes: int32 [words, SLOTS].
        used: bool [words, SLOTS], false where a word has no such pair or n-gram.
        kinds: int32 [words]: whether the word begins with a capital letter (+1)
            or a digit (+2).
        ends: bool [words], true for the word that is the end of a text.
    """
    original = decode(data)
    code, kind = classify(original)
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
    first = tf.gather(code, start)
    before_first = _shift(first, -1)
    hashes = [word[:, None], (_shift(word, -1) * NGRAM_MULTIPLIER + word)[:, None]]
    used = [(first > 0)[:, None], ((before_first > 0) & (before_first != END))[:, None]]

    value = tf.where(is_start, code + STARTS_WORD, code)
    at = start[:, None] + tf.range(POSITIONS)[None, :]
    safe = tf.minimum(at, tf.size(code) - 1)
    rolling = value
    for n in range(2, max(NGRAMS) + 1):
        rolling = rolling * NGRAM_MULTIPLIER + _shift(value, n - 1)
        if n in NGRAMS:
            closing = tf.where(_shift(is_end, n - 1), ENDS_WORD, n * LENGTH_SALT)
            hashes.append(tf.gather(rolling + closing, safe))
            used.append(at + (n - 1) <= end[:, None])
    capital = tf.cast(tf.gather(original, start) != first, tf.int32)
    digit = _within(first, ((ord("0"), ord("9") + 1),))
    used_slots = tf.concat(used, 1)
    return tf.concat(hashes, 1), used_slots, capital + 2 * digit, first == END
