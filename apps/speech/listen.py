"""`listen`: the words in continuous sound, as they are said."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prints time, word and score of every keyword in a recording of any length "
        "or at a microphone. The model is a .tflite file of a streaming "
        "configuration (stream_crnn, stream_lstm)."
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file that streams")
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        default="microphone",
        help="a recording, microphone (default), or - for raw 16-bit mono samples at "
        "16 kHz on standard input",
    )
    add_verify_argument(parser)
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="smallest score that is reported (default: the file's own)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line"
    )


def add_verify_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify",
        metavar="FILE",
        help="a .tflite file of whole clips that knows the same words (as of the "
        "configuration attention), asked where MODEL hears a word",
    )


def run(arguments: argparse.Namespace) -> None:
    import contextlib
    import dataclasses
    import json

    from apps.speech.sound import pieces_of
    from apps.speech.stream import detections, open_scorer

    scorer = open_scorer(arguments.model, arguments.verify)
    if arguments.threshold is not None:
        rule = dataclasses.replace(scorer.rule, threshold=arguments.threshold)
        scorer.rule = rule.validated("--threshold")
    with contextlib.closing(pieces_of(arguments.source)) as pieces:
        for found in detections(scorer, pieces):
            row = dataclasses.asdict(found)
            text = f"{found.seconds:9.2f} s  {found.label:16s} {found.score:.3f}"
            print(json.dumps(row) if arguments.json else text, flush=True)
