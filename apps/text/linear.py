"""A linear classifier over words, pairs and n-grams, beside the network.

On a few thousand texts a linear classifier with a weight a feature and class is
as good as a network and wrong in other places: both together are better than
either. Each is trained to answer alone.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from apps.text.bayes import naive_bayes

SCALE = 6.0
"""Of the table's weights: Adam moves them all by steps of like size, and here they
must move further than those of a network."""


@keras.saving.register_keras_serializable("seqcore.text")
class LinearVotes(keras.layers.Layer):
    """Numbers of words, int32 [batch, words, slots], to logits [batch, classes].

    Every slot in use adds its number's weights, and the sum is divided by the root
    of how many there are, which gives every text about the same length as a vector.

    Args:
        features: Largest number.
        classes: Number of classes.
    """

    def __init__(self, features: int, classes: int, **kwargs):
        super().__init__(**kwargs)
        self.features = features
        self.classes = classes

    def build(self, input_shape: tuple) -> None:
        self.table = self.add_weight(
            name="table", shape=(self.features + 1, self.classes), initializer="zeros"
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.classes,), initializer="zeros"
        )

    def call(self, ids):
        used = ops.cast(ids > 0, self.compute_dtype)
        count = ops.sum(used, axis=(1, 2))[:, None]
        votes = ops.take(self.table, ids, axis=0) * used[..., None]
        votes = ops.sum(votes, axis=(1, 2))
        return SCALE * votes / ops.sqrt(ops.maximum(count, 1.0)) + self.bias

    def start(self, texts: Sequence[np.ndarray], targets: Sequence[int]) -> None:
        """Sets the weights to those of naive Bayes, which training then corrects.

        Args:
            texts: int32 [words, slots], one array a text.
            targets: Class index of each.
        """
        rows, bias = naive_bayes(texts, targets, self.features, self.classes)
        self.table.assign(rows / SCALE)
        self.bias.assign(bias)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.classes)

    def get_config(self) -> dict:
        own = {"features": self.features, "classes": self.classes}
        return {**super().get_config(), **own}
