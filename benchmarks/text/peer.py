"""fastText, as its authors advise to use it."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.text.sets import Pairs

GRID = list(itertools.product((0.5, 1.0), (25, 50), (1, 2)))
"""fastText's lr, epoch and wordNgrams."""


def prepared(text: str) -> str:
    """Lower case, punctuation apart: the preparation fastText's authors advise."""
    return re.sub(r"([.!?,'/()])", r" \1 ", text.lower()).replace("\n", " ")


def predict(model: Any, text: str) -> str:
    # The wrapper's own predict breaks under NumPy 2; this is what it calls.
    (answer,) = model.f.predict(text + "\n", 1, 0.0, "strict")
    return answer[1].removeprefix("__label__")


def accuracies(train: Pairs, val: Pairs, folder: Path) -> dict[str, float]:
    """Accuracy for every point of the grid."""
    import fasttext

    path = folder / "train.txt"
    names = sorted({label for _, label in train})
    path.write_text(
        "".join(
            f"__label__{names.index(label)} {prepared(text)}\n" for text, label in train
        ),
        encoding="utf-8",
    )
    found = {}
    for rate, epochs, ngrams in GRID:
        model = fasttext.train_supervised(
            str(path), lr=rate, epoch=epochs, wordNgrams=ngrams, thread=1, verbose=0
        )
        hits = [
            predict(model, prepared(text)) == str(names.index(label))
            for text, label in val
        ]
        found[f"lr {rate} epoch {epochs} wordNgrams {ngrams}"] = float(np.mean(hits))
    return found
