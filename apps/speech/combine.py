"""`combine`: of several models that know the same words, one that asks them all."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes one model whose answer is the mean of the probabilities that several "
        "trained models give. Train them with different seeds (--set seed=1), or in "
        "different ways: each errs where the others do not. The file is as large, "
        "and takes as long, as all of them together. Nothing is trained."
    )
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="a .keras file, or the folder of one; at least two, for whole clips",
    )
    parser.add_argument("--out", metavar="DIR", required=True)
    parser.add_argument(
        "--quantize",
        choices=("none", "float16", "dynamic"),
        default="dynamic",
        help="form of the weights in model.tflite (default: dynamic)",
    )


def run(arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from apps.core.errors import UserError
    from apps.speech import APP
    from apps.speech.config import SpeechConfig
    from apps.speech.models import combined
    from apps.speech.trained import open_trained, write

    paths = arguments.models
    if len(paths) < 2:
        raise UserError(f"{paths[0]}: one model alone: name those to combine it with")
    opened = [open_trained(path, path) for path in paths]
    first = opened[0][1]
    for path, (_, found) in zip(paths, opened, strict=True):
        config = found.config(APP)
        assert isinstance(config, SpeechConfig)
        if config.streams:
            raise UserError(
                f"{path}: is a streaming model ({config.model}): models of whole "
                "clips can be combined"
            )
        if found.labels != first.labels:
            raise UserError(
                f"{path}: has the labels {', '.join(found.labels)}, and {paths[0]} has "
                f"{', '.join(first.labels)}: train them on the same words"
            )
    out = Path(arguments.out)
    made = combined([model for model, _ in opened])
    write(made, out, arguments.quantize, first.metadata | {"combined": len(paths)})
    print(f"{out}: the mean of {len(paths)} models")
