"""A trained model whose opinion another one learns from (Hinton et al. 2015)."""

from collections.abc import Callable, Sequence

import numpy as np

from apps.core.errors import UserError
from apps.speech.trained import open_trained


def teacher(path: str, classes: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """From clips, [n, samples], to the probabilities of `classes`, [n, classes].

    May be called on several threads.

    Args:
        path: A .keras file, or a folder with a model.keras.
        classes: Names of the classes that the pupil is trained to tell apart.

    Raises:
        UserError: no such model, or one of other words.
    """
    import tensorflow as tf

    model, found = open_trained(path, f"teacher={path}")
    missing = [name for name in classes if name not in found.labels]
    if missing:
        raise UserError(
            f"teacher={path}: does not know {missing[0]!r}, which this training tells "
            "apart: train it on the same words (with other_words=false none but the "
            "keywords are told apart)"
        )
    order = [found.labels.index(name) for name in classes]
    # Not `predict_on_batch`, which several threads must not call at once.
    run = tf.function(lambda clips: model(clips, training=False))

    def probabilities(clips: np.ndarray) -> np.ndarray:
        return run(tf.constant(clips)).numpy()[:, order]

    return probabilities
