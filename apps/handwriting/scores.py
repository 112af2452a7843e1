"""Character and word error rates, and where the errors are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def edit_distance(a: Sequence, b: Sequence) -> int:
    """Fewest insertions, deletions and substitutions from `a` to `b` (Levenshtein)."""
    if len(a) < len(b):
        a, b = b, a
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right)),
            )
    return row[-1]


def error_rate(references: Sequence[Sequence], hypotheses: Sequence[Sequence]) -> float:
    """Edits over all pairs by the length of all references.

    On strings this is the CER, on lists of words the WER. It can exceed 1.

    Raises:
        ValueError: lists of different lengths, or references that are all empty.
    """
    if len(references) != len(hypotheses):
        raise ValueError(
            f"{len(references)} references and {len(hypotheses)} hypotheses"
        )
    length = sum(len(reference) for reference in references)
    if length == 0:
        raise ValueError("an error rate needs a reference that is not empty")
    pairs = zip(references, hypotheses, strict=True)
    return sum(edit_distance(r, h) for r, h in pairs) / length


def transcript_metrics(
    references: Sequence[str], hypotheses: Sequence[str]
) -> dict[str, Any]:
    """{"n", "cer", "wer", "accuracy"}; accuracy is the share of perfect transcripts."""
    exact = np.mean([r == h for r, h in zip(references, hypotheses, strict=True)])
    return {
        "n": len(references),
        "cer": error_rate(references, hypotheses),
        "wer": error_rate(
            [r.split() for r in references], [h.split() for h in hypotheses]
        ),
        "accuracy": float(exact),
    }


def worst(
    references: Sequence[str], hypotheses: Sequence[str], count: int
) -> list[int]:
    """Indices of the wrong transcripts, those with most edits a character first."""
    rates = [
        edit_distance(r, h) / max(len(r), 1)
        for r, h in zip(references, hypotheses, strict=True)
    ]
    order = np.argsort(-np.asarray(rates), kind="stable")[:count]
    return [int(i) for i in order if rates[i] > 0]
