"""Text sets of TensorFlow Datasets, by name."""

import contextlib
import sys
from pathlib import Path

from apps.core.builders import find_builder
from apps.core.errors import UserError
from apps.text.sources import SPLITS, Corpus
from apps.text.table import LABEL_COLUMNS, TEXT_COLUMNS, BadRows, Row, good


def from_tfds(name: str, bad: BadRows) -> Corpus:
    """Reads `tfds:NAME` or `tfds:NAME/CONFIG`.

    Raises:
        UserError: unknown, not obtainable, or without one text and one label.
    """
    try:
        builder = find_builder(name)
        with contextlib.redirect_stdout(sys.stderr):  # TFDS tells what it does
            builder.download_and_prepare()
    except (AssertionError, OSError, ValueError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines()]
        reason = " ".join(line for line in lines if line)[:400]
        raise UserError(f"tfds:{name}: cannot be prepared: {reason}") from error
    import tensorflow_datasets as tfds

    features = builder.info.features
    labels = {
        key: feature
        for key, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    }
    label = next((key for key in LABEL_COLUMNS if key in labels), None)
    label = label or next(iter(labels), None)
    texts = [k for k, f in features.items() if isinstance(f, tfds.features.Text)]
    text = next((key for key in (*TEXT_COLUMNS, "description") if key in texts), None)
    text = text or next(iter(texts), None)
    if label is None or text is None:
        raise UserError(
            f"tfds:{name}: has no text with a class label among "
            f"{', '.join(features)}: it is no text classification set"
        )
    splits: dict[str, list[Row]] = {}
    for split, names in SPLITS.items():
        for found in (n for n in names if n in builder.info.splits):
            rows = []
            data = tfds.as_numpy(builder.as_dataset(split=found))
            for number, example in enumerate(data):
                if int(example[label]) < 0:
                    continue  # TFDS's mark of a hidden label
                row = Row(
                    example[text].decode("utf-8", "replace").strip(),
                    labels[label].int2str(int(example[label])),
                    f"tfds:{name} {found} {number}",
                )
                if good(row, bad):
                    rows.append(row)
            if rows:
                splits[split] = rows
    licence = builder.info.redistribution_info
    description = {
        "name": builder.info.full_name,
        "licence": (licence.license if licence else "") or "see the citation",
        "citation": builder.info.citation or "",
        "folder": str(Path(builder.data_dir).name),
    }
    return Corpus(splits, description, bad)
