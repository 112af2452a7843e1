"""From hashes of words and of their parts to the numbers that a model looks up.

What plain feature hashing lacks is to tell a word that it never saw from one that
falls into the same bucket. Here every bucket has one owner, the most frequent
feature that wanted it, and a byte, the *mark* of the owner, tells it from the
others. What owns no bucket is unknown: a word then has the number of its kind, a
pair or an n-gram none.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from apps.text.characters import END, KINDS
from apps.text.hashing import (
    LENGTH_SALT,
    MULTIPLIER,
    NGRAM_MULTIPLIER,
    SLOTS,
    hash_words,
)


def _high(hashed: tf.Tensor, multiplier: int, below: int) -> tf.Tensor:
    # Multiplying carries the low bits up; dividing throws the weak low bits away.
    return tf.math.floormod(tf.math.floordiv(hashed * multiplier, 1 << 9), below)


def places(hashes: tf.Tensor, buckets: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of each hash the two buckets that may be its own, and its mark, 1 to 255."""
    return (
        _high(hashes, MULTIPLIER, buckets),
        _high(hashes, NGRAM_MULTIPLIER, buckets),
        _high(hashes, LENGTH_SALT, 255) + 1,
    )


def number_words(
    data: tf.Tensor, owners: tf.Tensor, buckets: int, limit: int | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The numbers of every word of a run of texts and of its parts.

    Args:
        data: As for `hash_words`, and so is `limit`.
        owners: uint8 [buckets]: the mark of the feature that owns the bucket, or 0.
        buckets: How many there are.

    Returns:
        ids: int32 [words, SLOTS]: 0 for a slot that is not in use or nobody's; a
            word without a bucket has the number of its kind; the others KINDS + 1
            plus the bucket.
        ends: bool [words], true for the word that is the end of a text.
    """
    hashes, used, kinds, ends = hash_words(data, limit)
    one, two, mark = places(hashes, buckets)
    own, other = (
        tf.cast(tf.gather(owners, where), tf.int32) == mark for where in (one, two)
    )
    ids = tf.where(own, one, two) + (KINDS + 1)
    ids = tf.where(used & (own | other), ids, 0)
    word = tf.where(ids[:, :1] > 0, ids[:, :1], kinds[:, None] + 1)
    return tf.concat([word, ids[:, 1:]], 1), ends


@keras.saving.register_keras_serializable("seqcore.text")
class WordHash(keras.layers.Layer):
    """UTF-8 bytes [batch, n] to numbers [batch, words, SLOTS], both int32.

    Zero bytes are padding; padded words have all their slots zero. The last
    word of every text is the end of the text, so there is always one; texts
    longer than `max_words` are cut. `adapt` decides which words, pairs and
    n-grams have a number of their own.

    Args:
        features: Largest number; `KINDS` of them are those of unknown words.
        max_words: Words kept of a text, its end included.
    """

    def __init__(self, features: int, max_words: int, **kwargs):
        super().__init__(**kwargs)
        for name, value, least in (
            ("features", features, KINDS + 1),
            ("max_words", max_words, 1),
        ):
            if value < least:
                raise ValueError(f"expected {name} of at least {least}, got {value}")
        self.features = features
        self.max_words = max_words

    def build(self, input_shape: tuple) -> None:
        self.owners = self.add_weight(
            name="owners",
            shape=(self.features - KINDS,),
            dtype="uint8",
            initializer="zeros",
            trainable=False,
        )

    def call(self, data: tf.Tensor) -> tf.Tensor:
        data = tf.cast(data, tf.int32)
        # The end mark is ours to write; in a text it would end it early.
        bad = (data == END) | (data < 0) | (data > 255)
        data = tf.pad(tf.where(bad, 0, data), [[0, 0], [0, 1]], constant_values=END)
        flat = tf.reshape(data, [-1])
        owners, buckets = tf.convert_to_tensor(self.owners), self.features - KINDS
        if data.shape[0] == 1:
            ids, _ = number_words(flat, owners, buckets, self.max_words)
            return ids[None]
        ids, ends = number_words(flat, owners, buckets)
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
            "features": self.features,
            "max_words": self.max_words,
        }

    def adapt(self, texts: Sequence[np.ndarray], least: int) -> int:
        """Gives the most frequent words, pairs and n-grams of texts their buckets.

        Each takes the first of its two buckets that is free (Azar et al. 1999,
        "Balanced allocations": few find both taken before the table is full).

        Args:
            texts: UTF-8 bytes [n], one array a text.
            least: Texts that a feature must occur in. One that occurs in one text
                alone tells that text's label without fail, and nothing else: a
                model learns to rely on what it will never see again.

        Returns:
            How many features have a bucket.
        """
        if not self.built:
            self.build((None, None))
        found = [np.empty(0, "int32")]
        for data in _joined(texts):
            hashes, used, _, ends = (part.numpy() for part in _hash_many(data))
            row = np.cumsum(ends) - ends
            row = np.broadcast_to(row[:, None], used.shape)[used].astype("int64")
            each = np.unique(row << 32 | hashes[used].astype("int64") & 0xFFFFFFFF)
            found.append(each.astype("int32"))  # its low half
        features, counts = np.unique(np.concatenate(found), return_counts=True)
        features, counts = features[counts >= least], counts[counts >= least]
        features = features[np.argsort(-counts, kind="stable")]
        owners = np.zeros(self.owners.shape, "uint8")
        ways = (part.numpy() for part in places(tf.constant(features), len(owners)))
        placed = 0
        for one, two, mark in zip(*ways, strict=True):
            bucket = two if owners[one] else one
            if not owners[bucket]:
                owners[bucket] = mark
                placed += 1
        self.owners.assign(owners)
        return placed

    def many(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Numbers the words of texts of any lengths at once, without padding.

        Args:
            texts: UTF-8 bytes [n], one array a text.

        Returns:
            int32 [words, SLOTS] for each text: what `call` gives for it.
        """
        if not self.built:
            self.build((None, None))
        owners = tf.convert_to_tensor(self.owners)
        found: list[np.ndarray] = []
        for data in _joined(texts):
            ids, ends = _number_many(data, owners, self.features - KINDS)
            pieces = np.split(ids.numpy(), np.flatnonzero(ends.numpy()) + 1)
            found += [piece[: self.max_words] for piece in pieces[:-1]]
        return found


_TEXTS_AT_ONCE = 2048


def _joined(texts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Runs of texts, int32 [n] each, every text behind its end mark."""
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        parts: list = []
        for text in texts[first : first + _TEXTS_AT_ONCE]:
            parts += [np.where(text == END, 0, text), [END]]
        yield np.concatenate(parts).astype("int32")


_hash_many = tf.function(hash_words, reduce_retracing=True, autograph=False)
_number_many = tf.function(number_words, reduce_retracing=True, autograph=False)
