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
from apps.handwriting.splits import divide

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


def manual_folder(dl_manager: tfds.download.DownloadManager, name: str) -> Path:
    """The data set's own folder in the manual directory, which all sets share, or
    that directory itself where it was given for one set."""
    folder = Path(dl_manager.manual_dir)
    return folder / name if (folder / name).is_dir() else folder


def splits(path: Path, instructions: str) -> dict[str, list[Record]]:
    """Records by split, no writer in two of them.

    Raises:
        ValueError: nothing readable there, or ink without a transcript; the message
            says what to put where.
    """
    try:
        records, _ = readers.collect(path)
        for record in records:
            if record.text is None:
                raise UserError(f"{record.source}: has no transcript")
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
