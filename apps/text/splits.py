"""Validation splits and duplicates."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def normalised(text: str) -> str:
    """The text without case and spacing: two that agree in it are duplicates."""
    return " ".join(text.casefold().split())


def stratified_split(
    texts: Sequence[str], targets: Sequence[Any], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sets aside `fraction` of every class for validation.

    Duplicates stay together, so that no validation text was trained on. Every
    class with two different texts of its own has at least one on either side.
    Texts with more than one label stay in training: for a class they may be all.

    Args:
        texts: The texts.
        targets: Class of each, its index or its name.
        fraction: Share to set aside, between 0 and 1.
        seed: Any integer: decides which.

    Returns:
        Two sorted int64 arrays: indices for training, indices for validation.
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(normalised(text), []).append(index)
    by_class: dict[Any, list[list[int]]] = {}
    for group in groups.values():
        by_class.setdefault(targets[group[0]], []).append(group)
    validation: list[int] = []
    for target in sorted(by_class):
        members = by_class[target]
        size = sum(map(len, members))
        wanted = max(round(fraction * size), 1)
        taken = 0
        drawn = (members[place] for place in rng.permutation(len(members)))
        pure = [group for group in drawn if len({targets[i] for i in group}) == 1]
        for group in pure[: len(members) - 1]:
            if taken >= wanted:
                break
            validation += group
            taken += len(group)
    held = np.zeros(len(texts), bool)
    held[validation] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def duplicates(texts: Sequence[str], others: Sequence[str]) -> int:
    """How many of `texts` occur in `others`, case and spacing aside."""
    known = {normalised(text) for text in others}
    return sum(normalised(text) in known for text in texts)
