"""Pre-trained vectors: they reach the rows of their words, errors name the line."""

import keras
import numpy as np
import pytest

from apps.core.errors import UserError
from apps.text import model as models
from apps.text.config import TextConfig
from apps.text.task import encode
from apps.text.vectors import read_vectors, set_vectors

CONFIG = TextConfig(model="dense", features=101, embedding=3)


def test_words_get_their_vectors(tmp_path):
    path = tmp_path / "v.vec"
    path.write_text("3 4\nCard 1 0 0 1\nrain 0 2 0 -1\nunused 9 9 9 9\nsun 0 0 1 0\n")
    found = read_vectors(str(path), {"card", "rain", "sun"})
    assert found["card"].tolist() == [1, 0, 0, 1]
    model = models.build(CONFIG, 2)
    model.get_layer("words").adapt([encode("Card rain sun")], 1)
    assert set_vectors(model, str(path), ["My card", "rain sun"]) == 3
    ids = [
        int(model.get_layer("words")(encode(word)[None])[0, 0, 0])
        for word in ("CARD", "rain", "sun")
    ]
    first, second = (
        keras.ops.convert_to_numpy(model.get_layer("classifier").get_layer(n).table)
        for n in ("embedding", "embedding_1")
    )
    rows = first[ids]
    np.testing.assert_array_equal(second[ids], rows)
    # Reduced from four to three dimensions; three points keep their distances.
    original = np.array([[1, 0, 0, 1], [0, 2, 0, -1], [0, 0, 1, 0]], float)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        now = np.linalg.norm(rows[i] - rows[j]) / np.linalg.norm(rows[0] - rows[1])
        then = np.linalg.norm(original[i] - original[j]) / np.linalg.norm(
            original[0] - original[1]
        )
        assert now == pytest.approx(then, rel=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("card 1 2\nrain 1\n", "line 2: expected a word and 2 numbers"),
        ("card one two\n", "line 1: expected a word and its numbers"),
        ("other 1 2\n", "has none of the words"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "v.vec"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        set_vectors(models.build(CONFIG, 2), str(path), ["card rain"])


def test_missing_file():
    with pytest.raises(UserError, match="cannot be read"):
        read_vectors("/nowhere/v.vec", {"card"})
