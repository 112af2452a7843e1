"""Pre-trained word vectors in the text format of word2vec, GloVe and fastText."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from apps.core.errors import UserError
from apps.text.hashing import WordHash
from apps.text.splits import normalised


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
    """Starts the table of `model` from pre-trained vectors; returns how many.

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
    embedding = model.get_layer("classifier").get_layer("embedding")
    hashing = model.get_layer("words")
    assert isinstance(hashing, WordHash)
    table = np.array(keras.ops.convert_to_numpy(embedding.table))
    values = np.stack(list(vectors.values()))
    values -= values.mean(0)
    if values.shape[1] > table.shape[1]:
        _, _, axes = np.linalg.svd(values, full_matrices=False)
        values = values @ axes[: table.shape[1]].T
    values *= _SPREAD / max(float(values.std()), 1e-12)
    encoded = [np.frombuffer(w.encode(), "uint8").astype("int32") for w in vectors]
    for word, value in zip(hashing.many(encoded), values, strict=True):
        if len(word) == 2:  # the word and the end: not split further
            table[word[0, 0], : len(value)] = value
    embedding.table.assign(table)
    return len(vectors)


_SPREAD = 0.1
