"""Which words moved a decision."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

MOST_WORDS = 200
"""Words that are tried; the rest of a long text is left as it is."""


def word_effects(
    classify: Callable[[list[str]], Sequence[np.ndarray]],
    text: str,
    output: np.ndarray,
) -> list[dict[str, Any]]:
    """The effect of every word on the score of the class that was chosen.

    A word's effect is the score with it less the score without it (occlusion,
    Li et al. 2016, arXiv:1612.08220). Unlike a gradient it needs nothing but
    the model's answers, so it explains an exported file as well as the model
    it came from.

    Args:
        classify: Texts to class probabilities, one array a text.
        text: The text.
        output: The class probabilities of `text`.

    Returns:
        {"word", "effect"} for each word, in the order of the text.
    """
    words = list(re.finditer(r"\S+", text))[:MOST_WORDS]
    chosen = int(np.argmax(output))
    without = [text[: word.start()] + text[word.end() :] for word in words]
    scores = classify(without) if without else []
    return [
        {
            "word": word.group(),
            "effect": float(output[chosen]) - float(score[chosen]),
        }
        for word, score in zip(words, scores, strict=True)
    ]
