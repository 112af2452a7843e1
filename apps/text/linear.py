"""A linear classifier over words, pairs and n-grams, beside the networks.

On a few thousand texts a linear classifier with a weight a feature and class is
as good as a network and wrong in other places: both together are better than
either. It is fitted before the networks are trained, and they do not change it.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from scipy import optimize, sparse

from apps.text.bayes import naive_bayes, softmax_loss

DECAY = 5e-5
"""Of the weights' squares, against the mean cross-entropy: chosen on folds of TREC,
SST-2 and BANKING77, whose best are 3e-5 to 1e-4."""
STEPS = 40
MOST_SLOTS = 20_000_000
"""Slots of the texts that the weights are fitted to: 240 MB."""


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
            name="table",
            shape=(self.features + 1, self.classes),
            initializer="zeros",
            trainable=False,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.classes,), initializer="zeros", trainable=False
        )

    def call(self, ids):
        used = ops.cast(ids > 0, self.compute_dtype)
        count = ops.sum(used, axis=(1, 2))[:, None]
        votes = ops.take(self.table, ids, axis=0) * used[..., None]
        votes = ops.sum(votes, axis=(1, 2))
        return votes / ops.sqrt(ops.maximum(count, 1.0)) + self.bias

    def fit(
        self,
        texts: Sequence[np.ndarray],
        targets: Sequence[int],
        weights: np.ndarray | None = None,
    ) -> None:
        """Sets the weights: those of naive Bayes and a correction of them.

        The correction is fitted (logistic regression) to what naive Bayes leaves
        to be explained of each text when the text is left out of its counts. Its
        counts with the text would explain nearly everything, and nothing would be
        learnt.

        Args:
            texts: int32 [words, slots], one array a text.
            targets: Class index of each.
            weights: Of each class in the loss, or None.
        """
        y = np.asarray(targets)
        order = np.random.default_rng(0).permutation(len(y))
        size = np.cumsum([texts[i].size for i in order])
        chosen = order[: max(int(np.searchsorted(size, MOST_SLOTS)), 1)]
        rows, bias, known = naive_bayes(texts, y, chosen, self.features, self.classes)
        rows += correction(
            slot_matrix([texts[i] for i in chosen], self.features),
            y[chosen],
            known,
            None if weights is None else weights[y[chosen]],
        )
        self.table.assign(rows.astype("float32"))
        self.bias.assign(bias.astype("float32"))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.classes)

    def get_config(self) -> dict:
        own = {"features": self.features, "classes": self.classes}
        return {**super().get_config(), **own}


def slot_matrix(texts: Sequence[np.ndarray], features: int) -> sparse.csr_array:
    """[texts, features + 1]: how often a text has a number, over its slots' root."""
    used = [text[text > 0] for text in texts]
    lengths = np.array([len(ids) for ids in used])
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    shape = (len(texts), features + 1)
    return sparse.csr_array((values, np.concatenate(used), starts), shape)


def correction(
    matrix: sparse.csr_array,
    targets: np.ndarray,
    known: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The small weights v for which softmax(known + matrix @ v) fits best.

    Minimises the mean cross-entropy plus DECAY / 2 times the sum of squares, which
    is convex.

    Args:
        matrix: [texts, features].
        targets: Class index of each text.
        known: float64 [texts, classes], logits to be corrected.
        weights: Of each text in the mean, or None.

    Returns:
        float64 [features, classes].
    """
    shape = (matrix.shape[1], known.shape[1])
    share = np.full(len(targets), 1 / len(targets)) if weights is None else weights
    share = (share / share.sum())[:, None]
    transposed = matrix.T.tocsr()
    own = np.arange(len(targets)), targets

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        v = flat.reshape(shape)
        losses, excess = softmax_loss(known + matrix @ v, targets)
        excess[own] -= 1
        gradient = transposed @ (share * excess) + DECAY * v
        return float(share[:, 0] @ losses + DECAY / 2 * flat @ flat), gradient.ravel()

    found = optimize.minimize(
        objective,
        np.zeros(shape[0] * shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": STEPS, "maxcor": 5},
    )
    return found.x.reshape(shape)
