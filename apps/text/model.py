"""The text models: numbers of words and their parts to class probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
from keras import ops

from apps.text.hashing import SLOTS
from apps.text.linear import LinearVotes
from apps.text.words import WordHash
from seqcore import LSTM, RNN

if TYPE_CHECKING:
    from apps.text.config import TextConfig


GAIN = 3.3
"""Scale of the word vectors. Adam moves every weight by steps of like size: the
table starts near zero, where words that were hardly seen stay, and its vectors
are scaled up, so that those of frequent words still move fast."""
INITIAL = 0.01
TABLE_WEIGHTS = 1_200_000
"""Weights of the tables where the settings leave their sizes open: a byte each in
the int8 file."""
MOST_FEATURES = 65_536
FEW_CLASSES = 12


@keras.saving.register_keras_serializable("seqcore.text")
class WordEmbedding(keras.layers.Layer):
    """A vector a word: that of the word, of its pair, and the mean of its n-grams'.

    Words, pairs of words and character n-grams are the features of fastText
    (Joulin et al. 2016, arXiv:1607.01759; Bojanowski et al. 2017,
    arXiv:1607.04606); here they stay in their order. Padded words, whose slots
    are all 0, give zeros and are masked; a batch of one text has no padding and
    so no mask, which spares an exported file the masking.

    Args:
        features: Number of vectors in the table; numbers go from 1 to this.
        units: Length of a vector.
    """

    def __init__(self, features: int, units: int, **kwargs):
        super().__init__(**kwargs)
        self.features = features
        self.units = units
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.table = self.add_weight(
            name="table",
            shape=(self.features + 1, self.units),
            initializer=keras.initializers.RandomUniform(-INITIAL, INITIAL),
        )

    def call(self, ids):
        used = ops.cast(ids > 0, self.compute_dtype)
        ngrams = used[..., 2:]
        ngrams = ngrams / ops.maximum(ops.sum(ngrams, axis=-1, keepdims=True), 1.0)
        share = ops.concatenate([used[..., :2], ngrams], axis=-1) * GAIN
        vectors = ops.take(self.table, ids, axis=0)
        return ops.sum(vectors * share[..., None], axis=-2)

    def compute_mask(self, ids, previous=None):
        return None if ids.shape[0] == 1 else ids[..., 0] > 0

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        return {**super().get_config(), "features": self.features, "units": self.units}


@keras.saving.register_keras_serializable("seqcore.text")
class MaskedConv1D(keras.layers.Conv1D):
    """Conv1D with "same" padding that reads zeros past the end of a text.

    So a padded text has the features that it has alone.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is not None:
            inputs = inputs * ops.cast(mask, inputs.dtype)[..., None]
        return super().call(inputs)

    def compute_mask(self, inputs, mask=None):
        return mask


@keras.saving.register_keras_serializable("seqcore.text")
class Pooling(keras.layers.Layer):
    """[batch, words, units] to [batch, 2 * units]: maximum and mean over the words."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            parts = [ops.max(inputs, axis=1), ops.mean(inputs, axis=1)]
            return ops.concatenate(parts, axis=-1)
        there = ops.cast(mask, inputs.dtype)[..., None]
        count = ops.maximum(ops.sum(there, axis=1), 1.0)
        highest = ops.max(ops.where(there > 0, inputs, -1e9), axis=1)
        return ops.concatenate(
            [highest, ops.sum(inputs * there, axis=1) / count], axis=-1
        )

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], 2 * input_shape[-1])


@keras.saving.register_keras_serializable("seqcore.text")
class Together(keras.layers.Layer):
    """Logits of several classifiers, [batch, classes] each, to probabilities.

    A weighted mean of their log probabilities (Hinton 1999, "Products of experts").

    Args:
        shares: Weight of each classifier; they sum to 1.
    """

    def __init__(self, shares: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        self.shares = list(shares)

    def call(self, logits):
        parts = zip(self.shares, logits, strict=True)
        return ops.softmax(sum(share * ops.log_softmax(each) for share, each in parts))

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        return tuple(input_shape[0])

    def get_config(self) -> dict:
        return {**super().get_config(), "shares": self.shares}


@keras.saving.register_keras_serializable("seqcore.text")
class EachCrossentropy(keras.losses.Loss):
    """Sum of the cross-entropies of several classifiers, each by itself.

    Args:
        label_smoothing: Share of the target spread over all classes.

    Targets are [batch, classes], predictions logits [batch, classifiers, classes].
    """

    def __init__(self, label_smoothing: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        smooth = self.label_smoothing
        target = y_true * (1.0 - smooth) + smooth / y_pred.shape[-1]
        return -ops.sum(target[:, None] * ops.log_softmax(y_pred), axis=(1, 2))

    def get_config(self) -> dict:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def build(config: "TextConfig", classes: int) -> keras.Model:
    """The model: UTF-8 bytes, int32 [batch, n], to probabilities [batch, classes].

    It is two parts: `words`, a `WordHash`, and `classifier`, on its numbers.
    """
    data = keras.Input((None,), dtype="int32", name="text")
    classifier = build_classifier(config, classes)
    features, _ = sizes(config, classes)
    words = WordHash(features, config.max_words, name="words")
    return keras.Model(data, classifier(words(data)), name="text")


def sizes(config: "TextConfig", classes: int) -> tuple[int, int]:
    """(features, embedding), those that `config` leaves open chosen for `classes`.

    Few classes need few dimensions to be told apart, and what the vectors save
    goes into features. A feature costs a vector a network, a number a class and
    the mark of its bucket.
    """
    embedding = config.embedding or (16 if classes <= FEW_CLASSES else 20)
    feature = 1 + config.networks * embedding + (classes if config.linear else 0)
    features = min(max(TABLE_WEIGHTS // feature, 1024), MOST_FEATURES)
    return config.features or features | 1, embedding


def passes(config: "TextConfig", classes: int) -> int:
    """How often an epoch goes through the texts.

    Of many classes each has few texts, whose features are reached too rarely: on
    folds of the training data, twice as many passes give networks of BANKING77 three
    points and cost those of SST-2 one.
    """
    return config.passes or (1 if classes <= FEW_CLASSES else 2)


def build_classifier(config: "TextConfig", classes: int) -> keras.Model:
    """Numbers of words, int32 [batch, words, SLOTS], to probabilities."""
    ids = keras.Input((None, SLOTS), dtype="int32", name="ids")
    features, embedding = sizes(config, classes)
    logits = []
    for number in range(config.networks):
        name = f"embedding_{number}" if number else "embedding"
        x = WordEmbedding(features, embedding, name=name)(ids)
        logits.append(_network(config, x, classes))
    shares = [1 / config.networks] * config.networks
    if config.linear:
        # The networks differ by their seeds alone: together they count as one.
        logits.append(LinearVotes(features, classes, name="linear")(ids))
        shares = [share / 2 for share in shares] + [0.5]
    x = Together(shares, name="probabilities")(logits)
    return keras.Model(ids, x, name="classifier")


def build_experts(classifier: keras.Model, networks: int) -> keras.Model:
    """What is trained: a classifier's networks, to logits [batch, networks, classes].

    The layers are those of `classifier`.
    """
    logits = keras.tree.flatten(classifier.get_layer("probabilities").input)[:networks]
    return keras.Model(classifier.input, ops.stack(logits, axis=1), name="experts")


def _network(config: "TextConfig", x, classes: int):
    """Word vectors [batch, words, units] to logits."""
    x = keras.layers.SpatialDropout1D(config.embedding_dropout)(x)
    bag = Pooling()(x)
    if config.model == "clstm":
        x = MaskedConv1D(config.units, 3, padding="same", activation="relu")(x)
        x = keras.layers.SpatialDropout1D(config.embedding_dropout)(x)
    if config.model != "dense":
        layer = RNN if config.model == "rnn" else LSTM
        for _ in range(config.layers):
            x = keras.layers.Bidirectional(layer(config.units, return_sequences=True))(
                x
            )
        x = keras.layers.Concatenate()([Pooling()(x), bag])
    else:
        x = keras.layers.Dense(config.units, activation="relu")(bag)
    x = keras.layers.Dropout(config.dropout)(x)
    return keras.layers.Dense(classes)(x)
