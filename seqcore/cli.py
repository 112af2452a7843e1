"""``python -m seqcore export | inspect``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqcore.export.errors import ExportError
from seqcore.loading import load_model, read_arrays, start_tensorflow


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or 2 with a single line on standard error for bad input, or 141 when nobody
        reads the output any more.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for stream in (sys.stdout, sys.stderr):
        # Labels need not be text that the terminal has; that is no reason to stop.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more at the end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, TypeError, OSError, ImportError) as error:
        text = " ".join(str(error).split())
        print(f"seqcore {arguments.command}: error: {text}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seqcore",
        description="Export Keras models with seqcore layers, and look into the files.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser(
        "export", help="a .keras file to a .tflite file and a SavedModel"
    )
    export.set_defaults(run=_export, default=export.get_default)
    export.add_argument("model", help="a .keras file")
    export.add_argument("--out", required=True, help="folder to write to")
    export.add_argument(
        "--format",
        choices=("tflite", "saved_model", "both"),
        default="both",
        help="what to write (default: both)",
    )
    export.add_argument(
        "--quantize", choices=("none", "float16", "dynamic", "int8"), default="none"
    )
    export.add_argument(
        "--inference-io",
        choices=("float32", "int8"),
        default="float32",
        help="what an int8 file takes and gives (default: float32)",
    )
    export.add_argument(
        "--lowering", choices=("auto", "loop", "unrolled", "fused"), default="auto"
    )
    export.add_argument(
        "--streaming", action="store_true", help="add the signature `stream`"
    )
    export.add_argument("--chunk", type=int, help="fix the steps of a stream call")
    export.add_argument(
        "--shape",
        help="fix the input's lengths, as 1,100,40 (- leaves one free); the batch of a "
        "SavedModel stays free",
    )
    export.add_argument(
        "--representative",
        help=".npy or .npz with inputs of the training run, examples first (int8)",
    )
    export.add_argument("--metadata", help="a .json file to carry inside the files")
    inspect = commands.add_parser(
        "inspect",
        help="what a .tflite file holds, or what goes on inside a .keras model",
        description="Prints what a .tflite file holds. For a .keras model with "
        "seqcore layers and examples, writes a report with figures: gates, gradients "
        "through time, memory.",
    )
    inspect.set_defaults(run=_inspect, default=inspect.get_default)
    inspect.add_argument("file", help="a .tflite or .keras file")
    inspect.add_argument("--json", action="store_true", help="print one JSON object")
    inspect.add_argument(
        "--data",
        metavar="FILE",
        help="examples (.keras): a .npy of inputs, or a .npz with x and maybe y",
    )
    inspect.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: NAME_inspect)"
    )
    inspect.add_argument(
        "--loss", help="a Keras loss by name, where the file was saved without one"
    )
    return parser


def _inspect(arguments: argparse.Namespace) -> None:
    if Path(arguments.file).suffix == ".keras":
        from seqcore.inspect.cli import run

        report = run(arguments.file, arguments.data, arguments.out, arguments.loss)
        print(json.dumps({"report": str(report)}) if arguments.json else report)
        return
    _refuse(arguments, f"on {arguments.file}, which is no .keras file", _REPORT)
    from seqcore.export.inspection import inspect_tflite, render

    description = inspect_tflite(arguments.file)
    print(json.dumps(description) if arguments.json else render(description))


# Options that only one kind of file takes.
_REPORT = ("data", "out", "loss")
_TFLITE = (
    "quantize", "inference_io", "lowering", "streaming", "chunk", "representative",
)  # fmt: skip


def _refuse(arguments: argparse.Namespace, where: str, options: Sequence[str]) -> None:
    """Say which options would do nothing.

    Raises:
        ExportError: one of ``options`` is given, and has no effect ``where``.
    """
    default = arguments.default
    given = [name for name in options if vars(arguments)[name] != default(name)]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise ExportError(f"{flags}: no effect {where}; leave it out")


def _export(arguments: argparse.Namespace) -> None:
    if arguments.format == "saved_model":
        _refuse(arguments, "with --format saved_model", _TFLITE)
    if arguments.quantize != "int8":
        _refuse(arguments, "without --quantize int8", ["representative"])
    path = Path(arguments.model)
    if not path.is_file() or path.suffix != ".keras":
        raise ExportError(f"{path}: expected a .keras file that exists")
    # Everything a user can get wrong is read before TensorFlow starts.
    metadata = _read_json(arguments.metadata) if arguments.metadata else {}
    shape = _shape(arguments.shape) if arguments.shape else None
    file = arguments.representative
    arrays = read_arrays(file) if file else None

    start_tensorflow()
    from seqcore.export.metadata import read_metadata
    from seqcore.export.program import model_io
    from seqcore.export.saved_model import export_saved_model
    from seqcore.export.tflite import export_tflite

    model = load_model(path)
    names = list(model_io(model).specs)
    data = None if arrays is None else _examples(arrays, names, file)
    metadata = {**read_metadata(path), **metadata}
    folder = Path(arguments.out)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.format != "saved_model":
            suffix = "" if arguments.quantize == "none" else f"_{arguments.quantize}"
            export_tflite(
                model,
                folder / f"{path.stem}{suffix}.tflite",
                quantize=arguments.quantize,
                inference_io=arguments.inference_io,
                lowering=arguments.lowering,
                streaming=arguments.streaming,
                chunk=arguments.chunk,
                shape=shape,
                representative_data=data,
                metadata=metadata,
            )
        if arguments.format != "tflite":
            target = folder / "saved_model"
            export_saved_model(model, target, metadata=metadata, shape=shape)
            print(f"{target}: SavedModel")
    finally:
        for place in made:  # nothing could be exported, if it is empty
            if not any(place.iterdir()):
                place.rmdir()


def _read_json(name: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(name).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{name}: not a JSON file that opens ({error})") from None
    if not isinstance(value, dict):
        raise ExportError(f"{name}: expected a JSON object")
    return value


def _shape(text: str) -> tuple[int | None, ...]:
    try:
        return tuple(None if d.strip() == "-" else int(d) for d in text.split(","))
    except ValueError:
        raise ExportError(
            f"--shape {text!r}: expected sizes such as 1,100,40, with - for a free one"
        ) from None


def _examples(arrays: dict[str, Any], names: list[str], file: str) -> list[Any]:
    """Examples for the inputs of these names, of what `read_arrays` found in a file."""
    if "y" not in names:
        arrays = {key: value for key, value in arrays.items() if key != "y"}
    if not arrays:
        raise ExportError(f"{file}: holds y alone; the inputs are to be named {names}")
    if len(arrays) == len(names) == 1:
        return list(*arrays.values())
    rows = zip(*arrays.values(), strict=True)
    return [dict(zip(arrays, row, strict=True)) for row in rows]
