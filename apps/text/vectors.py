"""Pre-trained word vectors in the text format of word2vec, GloVe and fastText."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from apps.core.errors import UserError
from apps.text.characters import KINDS
from apps.text.model import WordEmbedding
from apps.text.splits import normalised
from apps.text.words import WordHash


def read_vectors(path: str, wanted: set[str]) -> dict[str, np.ndarray]:
    """The vectors of the words in `wanted`, float32 [n] each.

    Lines are a word and its numbers, space apart; word2vec's and fastText's
    first line, two whole numbers, is skipped.

    Raises:
        UserError: the file is missing, or a line is not of that form.
    """
    found: dict[str, np.ndarray] = {}
    length = 0
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                word, _, rest = line.rstrip().partition(" ")
                if number == 1 and rest.strip().isdigit() and word.isdigit():
                    continue
                if word.casefold() not in wanted or word.casefold() in found:
                    continue
                try:
                    vector = np.array(rest.split(), "float32")
                except ValueError:
                    vector = np.empty(0, "float32")
                length = length or len(vector)
                if not length or len(vector) != length or not np.isfinite(vector).all():
                    raise UserError(
                        f"{path} line {number}: expected a word and {length or 'its'} "
                        "numbers, in the text format of word2vec, GloVe or fastText"
                    )
                found[word.casefold()] = vector
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    return found


def set_vectors(model: keras.Model, path: str, texts: Sequence[str]) -> int:
    """Starts the networks of `model` from pre-trained vectors; returns how many.

    Vectors longer than the table's are reduced to their principal components,
    shorter ones leave the rest as it is. All are scaled to the spread that the
    table's own vectors reach in training.

    Raises:
        UserError: the file is malformed, or has none of the words of `texts`.
    """
    wanted = {word for text in texts for word in normalised(text).split()}
    vectors = read_vectors(path, wanted)
    if not vectors:
        raise UserError(f"{path}: has none of the words of the training texts")
    layers = model.get_layer("classifier").layers
    tables = [layer.table for layer in layers if isinstance(layer, WordEmbedding)]
    hashing = model.get_layer("words")
    assert isinstance(hashing, WordHash)
    values = np.stack(list(vectors.values()))
    values -= values.mean(0)
    units = tables[0].shape[1]
    if values.shape[1] > units:
        _, _, axes = np.linalg.svd(values, full_matrices=False)
        values = values @ axes[:units].T
    values *= _SPREAD / max(float(values.std()), 1e-12)
    encoded = [np.frombuffer(w.encode(), "uint8").astype("int32") for w in vectors]
    # A word alone is two, itself and the end; others are split further.
    words = [word[0, 0] if len(word) == 2 else 0 for word in hashing.many(encoded)]
    known = np.array(words) > KINDS
    for table in tables:
        rows = np.array(keras.ops.convert_to_numpy(table))
        rows[np.array(words)[known], : values.shape[1]] = values[known]
        table.assign(rows)
    return len(vectors)


_SPREAD = 0.1
