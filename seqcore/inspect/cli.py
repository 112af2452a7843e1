"""``python -m seqcore inspect MODEL.keras --data FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqcore.export.errors import cause
from seqcore.loading import load_model, read_arrays, start_tensorflow

_MOST_EXAMPLES = 64


def run(file: str, data: str | None, out: str | None, loss: str | None) -> Path:
    """Write the report on a .keras file; returns its path.

    Raises:
        ValueError: a file that is missing or damaged, or does not fit.
        ImportError: matplotlib is not installed.
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if data is None:
        raise ValueError(
            f"{path}: looking into a model takes examples: --data FILE, a .npy of "
            "inputs or a .npz with x and, for the gradient of the loss, y"
        )
    x, y = read_examples(data)
    from seqcore.inspect.figures import new_figure

    new_figure(1, 1)  # before the seconds that Keras takes: is matplotlib there?
    start_tensorflow()
    model = load_model(path, with_loss=True)
    if y is not None and loss is None and not _has_loss(model):
        raise ValueError(
            f"{path}: was saved without a loss: give --loss NAME, such as mse or "
            "sparse_categorical_crossentropy, or data without y"
        )
    import tensorflow as tf

    from seqcore.inspect.report import write_report

    folder = Path(out) if out else Path(f"{path.stem}_inspect")
    try:
        return write_report(model, x, y, out=folder, loss=loss, title=path.name)
    except tf.errors.OpError as error:
        raise ValueError(
            f"{data}: values that the model or its loss does not take, such as a "
            f"class that it does not have, or text: {cause(error)}"
        ) from None


def read_examples(name: str) -> tuple[Any, Any]:
    """``(x, y)`` of a .npy (x alone) or .npz; the first 64 examples.

    An .npz holds ``x`` and maybe ``y``; a model with several inputs takes a dict,
    every other array by its name.

    Raises:
        ValueError: neither, damaged, empty, or x and y differ in examples.
    """
    arrays = {key: a[:_MOST_EXAMPLES] for key, a in read_arrays(name).items()}
    y = arrays.pop("y", None)
    if not arrays:
        raise ValueError(f"{name}: holds y alone; the inputs are to be named x")
    return (arrays["x"] if list(arrays) == ["x"] else arrays), y


def _has_loss(model: Any) -> bool:
    return bool(getattr(model, "compiled", False)) and model.loss is not None
