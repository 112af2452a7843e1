"""Transcribers for browsers: outputs of a size that is known before the run.

How many steps a transcriber makes depends on the ink, and LiteRT.js hands out the
buffers of the outputs before it runs. A free length of the input, on the other hand,
does no harm. So the network stays as it is, as fast on short ink as ever, and steps
that say blank fill its scores up. (`export --length` fixes the whole network instead:
what delegates want, but every ink then costs as much as the longest.)
"""

from typing import Any

import keras
from keras import ops

from apps.handwriting import models
from apps.handwriting.layers import GreedyTranscript, silent

STEPS = 512
"""Of the output: a line of some 60 letters. What is longer is cut off."""


@keras.saving.register_keras_serializable("seqcore")
class FilledSteps(keras.layers.Layer):
    """Log probabilities of exactly `steps` steps, blank for certain behind the ink.

    Args:
        steps: Steps of the output.

    Input shape: [batch, any, labels + 1]. Output shape: [batch, steps, labels + 1].
    """

    def __init__(self, steps: int = STEPS, **kwargs: Any):
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, scores):
        filling = ops.zeros((ops.shape(scores)[0], self.steps, 1)) + silent(scores)
        longer = ops.concatenate([scores, filling], 1)
        # Not longer[:, :steps]: of that TensorFlow does not know the size.
        start, size = (0, 0, 0), (scores.shape[0] or 1, self.steps, scores.shape[-1])
        return ops.slice(longer, start, size)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.steps, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


def with_filled_output(model: keras.Model) -> keras.Model:
    """A transcriber whose outputs, under the same names, have `STEPS` steps."""
    scores = FilledSteps(name="filled")(model.output[models.SCORES])
    transcript = GreedyTranscript(name="spoken")(scores)
    outputs = {models.SCORES: scores, models.TRANSCRIPT: transcript}
    return keras.Model(model.input, outputs, name=model.name)
