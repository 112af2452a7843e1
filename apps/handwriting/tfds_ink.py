"""What the TensorFlow Datasets builders of ink share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from apps.core.errors import UserError
from apps.handwriting import readers
from apps.handwriting.readers import Record
from apps.handwriting.sources import divide

SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}


def features(label: Any) -> tfds.features.FeaturesDict:
    """Points (x, y, t, pen; see `Ink.points`), the label, the writer, the place."""
    return tfds.features.FeaturesDict(
        {
            "points": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
            "label": label,
            "writer": tfds.features.Text(),
            "source": tfds.features.Text(),
        }
    )


def splits(path: Path, instructions: str) -> dict[str, list[Record]]:
    """Records by split, no writer in two of them.

    Raises:
        ValueError: nothing readable there; the message says what to put where.
    """
    try:
        records, _ = readers.collect(path)
        return divide(records, str(path))
    except UserError as error:
        raise ValueError(f"{error}. {' '.join(instructions.split())}") from None


def examples(records: Sequence[Record]) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, record in enumerate(records):
        yield (
            index,
            {
                "points": record.ink.points(),
                "label": record.text,
                "writer": record.writer or "",
                "source": Path(record.source).name,
            },
        )
