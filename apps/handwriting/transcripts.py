"""python -m apps.handwriting transcripts: the texts of a split, one a line.

What `--lm` and `--lexicon` learn from.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("data", metavar="PATH", help="ink with transcripts")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--out", metavar="FILE", required=True, help="the text file")
    parser.add_argument(
        "--val-writers", metavar="LIST", default="", help="as in train and evaluate"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave malformed records out"
    )


def run(arguments: Namespace) -> None:
    import dataclasses

    from apps.core import files
    from apps.handwriting import sources
    from apps.handwriting.config import CONFIGS

    config = dataclasses.replace(
        CONFIGS["words"],
        val_writers=arguments.val_writers,
        skip_bad=arguments.skip_bad,
    )
    records = sources.load(arguments.data, (arguments.split,), config)[arguments.split]
    lines = [" ".join(str(record.text).split()) for record in records]
    files.write_text(arguments.out, "\n".join(lines) + "\n")
    print(f"{arguments.out}: {len(lines)} transcripts of the {arguments.split} split")
