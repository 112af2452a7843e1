"""`combine`: of several models that know the same words, one that asks them all."""

import argparse

from apps.speech.select import add_out_arguments


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
    add_out_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from apps.core.errors import UserError
    from apps.speech import APP
    from apps.speech.config import SpeechConfig
    from apps.speech.models import combined
    from apps.speech.trained import check_out, open_trained, write

    paths, out = arguments.models, Path(arguments.out)
    if len(paths) < 2:
        raise UserError(f"{paths[0]}: one model alone: name those to combine it with")
    check_out(out, paths)
    opened = [open_trained(path, path) for path in paths]
    configs, first = [], opened[0][1]
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
                f"{', '.join(first.labels)}: they must be the same in the same order "
                "(--words)"
            )
        configs.append(config)
    # The settings, which say what is scored and how, are the first one's; the rest
    # of what it says of itself does not hold for all.
    metadata = {key: first.metadata.get(key) for key in ("app", "labels", "input")}
    metadata["combined"] = [
        {"model": config.model, "training_data": found.metadata.get("training_data")}
        for config, (_, found) in zip(configs, opened, strict=True)
    ]
    made = combined([model for model, _ in opened])
    write(made, out, arguments.quantize, metadata, configs[0])
    print(f"{out}: the mean of {len(paths)} models")
