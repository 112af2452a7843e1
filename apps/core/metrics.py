"""Metrics of tasks that give each example one class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def confusion_matrix(
    targets: ArrayLike, predictions: ArrayLike, count: int
) -> np.ndarray:
    """int64 [count, count]: row is the true class, column the predicted one."""
    matrix = np.zeros((count, count), "int64")
    np.add.at(matrix, (np.asarray(targets, int), np.asarray(predictions, int)), 1)
    return matrix


def classification_metrics(
    targets: Sequence[int], outputs: Sequence[np.ndarray], labels: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, macro F1, per-class recall and precision, and the confusion matrix.

    Args:
        targets: True class indices.
        outputs: Class probabilities [len(labels)], one array an example.
        labels: Names of the classes.

    Returns:
        {"n", "accuracy", "macro_f1", "loss", "per_class", "confusion"}. Macro F1
        averages over the classes that occur in `targets`; "loss" is the mean
        negative log probability of the true class, in nats.
    """
    scores = np.stack([np.asarray(output, "float64") for output in outputs])
    true = np.asarray(targets, int)
    matrix = confusion_matrix(true, scores.argmax(1), len(labels))
    hits = np.diag(matrix).astype(float)
    support, predicted = matrix.sum(1), matrix.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(support > 0, hits / support, 0.0)
        precision = np.where(predicted > 0, hits / predicted, 0.0)
        f1 = np.where(hits > 0, 2 * precision * recall / (precision + recall), 0.0)
    return {
        "n": len(true),
        "accuracy": float(hits.sum() / len(true)),
        "macro_f1": float(f1[support > 0].mean()),
        "loss": float(
            -np.log(np.maximum(scores[range(len(true)), true], 1e-12)).mean()
        ),
        "per_class": {
            label: {
                "n": int(support[i]),
                "recall": float(recall[i]),
                "precision": float(precision[i]),
                "f1": float(f1[i]),
            }
            for i, label in enumerate(labels)
        },
        "confusion": matrix.tolist(),
    }
