"""`select`: of a model of many words, one that listens for some of them."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes a model that reports some of a trained model's words and calls the "
        "others unknown. Nothing is trained: the probabilities of the other words "
        "(and of unknown, if the model has it) are added up, weighed by the setting "
        "unknown_share, or in a streaming model to be as frequent as the words that "
        "are kept."
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument(
        "--words", metavar="LIST", required=True, help='the words to keep, as "yes, no"'
    )
    add_out_arguments(parser)


def add_out_arguments(parser: argparse.ArgumentParser) -> None:
    """Of verbs that make a model of trained ones."""
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="a folder without a training run"
    )
    parser.add_argument(
        "--quantize",
        choices=("none", "float16", "dynamic"),
        default="dynamic",
        help="form of the weights in model.tflite (default: dynamic)",
    )


def run(arguments: argparse.Namespace) -> None:
    import dataclasses
    from pathlib import Path

    import keras

    from apps.core import recogniser
    from apps.core.errors import UserError
    from apps.speech import APP
    from apps.speech.clips import SILENCE, UNKNOWN
    from apps.speech.config import SpeechConfig
    from apps.speech.detector import METADATA_KEY, Rule
    from apps.speech.layers import MergeClasses
    from apps.speech.trained import check_out, write

    if Path(arguments.model).suffix != ".keras":
        raise UserError(f"{arguments.model}: words are selected from a .keras file")
    out = Path(arguments.out)
    check_out(out, [arguments.model])
    loaded = recogniser.load(arguments.model, APP)
    config = loaded.config(APP)
    assert isinstance(config, SpeechConfig)
    config = dataclasses.replace(config, words=arguments.words)
    words = config.keywords()
    if not words:
        raise UserError("--words: names no word: give those that the model is to keep")
    for word in words:
        if word not in loaded.labels or word in (UNKNOWN, SILENCE):
            raise UserError(
                f"--words: {word!r} is no word of {arguments.model} (it has "
                f"{', '.join(loaded.labels)})"
            )
    rest = set(loaded.labels) - set(words) - {SILENCE}
    if not rest - {UNKNOWN}:
        raise UserError(
            f"--words: these are all words of {arguments.model}: some must be left"
        )
    labels = (*words, UNKNOWN, *(x for x in (SILENCE,) if x in loaded.labels))
    groups = [labels.index(x if x in labels else UNKNOWN) for x in loaded.labels]
    trained = loaded.runner
    assert isinstance(trained, keras.Model)
    # A detector hears other words at least as often as its own.
    share = 1.0 if config.streams else config.unknown_share
    # `unknown` was made as frequent as `share` of the words that the model has.
    others = rest - {UNKNOWN}
    heard = float(len(others))
    if UNKNOWN in rest:
        heard += share * (len(words) + len(others))
    weight = share * len(words) / heard
    weights = [weight if label in rest else 1.0 for label in loaded.labels]
    # A name that none of its layers has, also where words were selected before.
    name = f"labels_{len(trained.layers)}"
    merged = MergeClasses(groups, weights, name=name)(trained.output)
    model = keras.Model(trained.input, merged, name=trained.name)
    metadata = loaded.metadata | {"labels": list(labels)}
    if config.streams:
        metadata.setdefault(METADATA_KEY, Rule().to_json())
    write(model, out, arguments.quantize, metadata, config)
    print(f"{out}: {len(words)} words of {len(loaded.labels)}, the rest is unknown")
