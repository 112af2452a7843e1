"""The toy's data and model; imports Keras, as an application's task does."""

import keras
import numpy as np

import seqcore
from apps.core.batches import Batches, one_hot
from apps.core.errors import UserError
from apps.core.task import Data, Split, Task
from tests.core.toy import ToyConfig

LABELS = ("low", "middle", "high")


class ToyBatches(Batches):
    def __init__(self, split: Split, config: ToyConfig):
        super().__init__(len(split), config.batch_size, config.seed)
        self.x = np.stack(split.inputs)
        self.y = one_hot(split.targets, len(LABELS))
        self.noise = config.noise

    def make_batch(self, indices, rng):
        x = self.x[indices]
        x = x + self.noise * rng.standard_normal(x.shape).astype("float32")
        return x, self.y[indices]


class ToyTask(Task[ToyConfig]):
    app = "toy"
    input_description = "float32 [1, 16, 1]: samples of a tone"

    def load(self, source, splits, labels=None):
        if source is not None:
            raise UserError(f"{source}: there is no such data folder")
        found = {}
        for name in splits:
            rng = np.random.default_rng([7, len(name)])
            targets = np.arange(96) % 3
            phase = rng.uniform(0, 6, (96, 1))
            angle = np.arange(16) * (0.4 + 0.5 * targets[:, None]) + phase
            x = np.sin(angle) + 0.3 * rng.standard_normal((96, 16))
            found[name] = Split(
                name,
                list(x[..., None].astype("float32")),
                [int(t) for t in targets],
                [f"{name}-{i}" for i in range(96)],
            )
        return Data(LABELS, found, {"name": "tones", "licence": "none needed"})

    def build_model(self, data):
        inputs = keras.Input((16, 1))
        x = seqcore.LSTM(self.config.units)(inputs)
        x = keras.layers.Dropout(self.config.dropout)(x)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))

    def training_batches(self, split):
        return ToyBatches(split, self.config)

    def read(self, path):
        try:
            value = np.load(path, allow_pickle=False).astype("float32")
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such file") from None
        except ValueError as error:
            raise UserError(f"{path}: is not a .npy file: {error}") from None
        return [(path, value.reshape(16, 1))]
