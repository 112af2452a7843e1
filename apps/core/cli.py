"""The command line that every application has: train, evaluate, export, predict."""

import argparse
import contextlib
import functools
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from apps.core.app import App
from apps.core.errors import UserError


def _positive(text: str) -> int:
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return value


def build_parser(app: App) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=f"python -m apps.{app.name}",
        description=app.summary,
        epilog=f"examples:\n{app.examples}",
        formatter_class=raw,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    # A mistyped flag must be an error, not the flag that it happens to begin.
    add = functools.partial(verbs.add_parser, allow_abbrev=False)

    train = add(
        "train",
        help="train a model; write it, its exports and a report to a run directory",
        description="Trains a model and writes the run directory: settings, metrics, "
        "TensorBoard logs, checkpoints, model.keras, saved_model/, model.tflite, "
        "report.md with figures, model_card.md.",
        epilog="configurations:\n"
        + "\n".join(
            f"  {name:12s} {(type(config).__doc__ or '').splitlines()[0]}"
            if not getattr(config, "summary", "")
            else f"  {name:12s} {getattr(config, 'summary', '')}"
            for name, config in app.configs.items()
        )
        + "\n\nsettings (--set key=value), with the values of "
        + f"{app.default_config}:\n"
        + "\n".join(
            f"  {key} = {value}"
            for key, value in vars(app.configs[app.default_config]).items()
        ),
        formatter_class=raw,
    )
    train.add_argument(
        "--workdir",
        metavar="DIR",
        help="run directory, new or empty (default: runs/APP-CONFIG)",
    )
    train.add_argument(
        "--config",
        metavar="NAME",
        choices=list(app.configs),
        help=f"{', '.join(app.configs)} (default: {app.default_config})",
    )
    train.add_argument("--data", metavar="PATH", help=app.data_help)
    train.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one setting; may be repeated",
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="continue a run that was stopped or killed",
    )

    evaluate = add("evaluate", help="measure a model on labelled data")
    evaluate.add_argument(
        "model",
        metavar="MODEL",
        help="a .tflite or .keras file, or a SavedModel folder",
    )
    evaluate.add_argument("--data", metavar="PATH", help=app.data_help)
    evaluate.add_argument(
        "--split",
        metavar="NAME",
        default="val",
        choices=("train", "val", "test"),
        help="train, val or test (default: val)",
    )

    export = add("export", help="write saved_model/ and model.tflite")
    export.add_argument("model", metavar="MODEL", help="a .keras file")
    export.add_argument("--out", metavar="DIR", required=True)
    export.add_argument(
        "--quantize",
        choices=("none", "float16", "dynamic", "int8"),
        default="dynamic",
        help="form of the weights in model.tflite (default: dynamic)",
    )
    export.add_argument(
        "--data",
        metavar="PATH",
        help="for int8, which measures ranges: the training data",
    )

    predict = add("predict", help=f"recognise {app.input_help}")
    predict.add_argument(
        "model",
        metavar="MODEL",
        help="a .tflite or .keras file, or a SavedModel folder",
    )
    predict.add_argument("files", metavar="FILE", nargs="+", help=app.input_help)
    predict.add_argument(
        "--top",
        metavar="K",
        type=_positive,
        default=3,
        help="number of candidates shown (default: 3)",
    )

    inspect = add(
        "inspect",
        help="show what the gates do while a model reads a file",
        description="Writes a report with figures: every gate over time, which forget "
        "gates change at the moments that matter (a pen-up, the end of a clause, a "
        "change of the sound), how gradients travel and how far memory reaches.",
    )
    inspect.add_argument("model", metavar="MODEL", help="a .keras file")
    inspect.add_argument("file", metavar="FILE", help=f"{app.input_help}; the first")
    inspect.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: FILE_inspect)"
    )

    parsers = {
        "train": train,
        "evaluate": evaluate,
        "export": export,
        "predict": predict,
        "inspect": inspect,
    }
    for name, verb in app.verbs.items():
        parsers[name] = add(name, help=verb.help)
        importlib.import_module(verb.module).add_arguments(parsers[name])
    for option in app.options:
        for name in option.verbs:
            if option.is_switch:
                parsers[name].add_argument(
                    option.flag, action="store_true", help=option.help
                )
            else:
                parsers[name].add_argument(
                    option.flag, metavar=option.metavar, help=option.help
                )
    for name in ("train", "evaluate", "export", "predict", "inspect"):
        parsers[name].add_argument(
            "--json",
            action="store_true",
            help="print one JSON value on standard output",
        )
    return parser


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps native code's start-up chatter off standard error.

    TensorFlow writes about oneDNN and CUDA before its log level is read; a user
    who made a typing mistake should see one line. What Python raises still shows.
    `seqcore.export.stderr.quiet` cannot serve here: importing it starts TensorFlow.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def start_tensorflow() -> None:
    """Imports it, without the words on standard error that no level stops."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU, and says so


def main(app: App, argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status."""
    arguments = build_parser(app).parse_args(argv)
    return exit_status(lambda: _run(app, arguments))


def exit_status(command: Callable[[], None]) -> int:
    """Runs `command`.

    Returns:
        0, or 2 after a mistake of the user's (one line on standard error),
        or 130 when interrupted, or 141 when nobody reads the output any more.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name of a file need not be text; that is no reason to stop.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        command()
        if sys.stdout is not None:
            sys.stdout.flush()
        return 0
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        # What is missing here is missing by a fault of ours; a full disk is not.
        if isinstance(error, FileNotFoundError) or error.errno is None:
            raise
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        with contextlib.suppress(OSError):
            print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 2


def _drop_output() -> None:
    """After a failed write, as with `| head` or a full disk: what is left in the buffer
    would fail again at the end."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(app: App, arguments: argparse.Namespace) -> None:
    if own := app.verbs.get(arguments.verb):
        if own.runs_models:
            start_tensorflow()
        importlib.import_module(own.module).run(arguments)
        return
    if arguments.verb == "train":
        if arguments.workdir is None:
            config = arguments.config or app.default_config
            arguments.workdir = f"runs/{app.name}-{config}"
        # Caught here, before seconds go into importing Keras.
        from apps.core import flags

        flags.training(app, arguments)
    start_tensorflow()
    from apps.core import verbs

    getattr(verbs, arguments.verb)(app, arguments)
