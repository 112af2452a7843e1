"""python -m apps.handwriting show: draw ink, and what a model reads in it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from apps.core.errors import UserError

MOST = 60
"""Inks that one picture shows."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an ink file")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="the picture, .svg or .png (default: FILE's name with .svg, here)",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="show this model's reading as well"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave malformed records out"
    )


def run(arguments: Namespace) -> None:
    from pathlib import Path

    from apps.handwriting import drawing, readers

    records, _ = readers.collect(arguments.file, arguments.skip_bad)
    left_out = len(records) - MOST
    records = records[:MOST]
    titles = [record.text or "" for record in records]
    if arguments.model:
        titles = [
            f"{title} read as {reading}" if title else f"read as {reading}"
            for title, reading in zip(
                titles, _readings(arguments, records), strict=True
            )
        ]
    out = arguments.out or f"{Path(arguments.file).stem or 'ink'}.svg"
    if Path(out).resolve() == Path(arguments.file).resolve():
        raise UserError(f"{out}: is the ink itself: choose another --out")
    drawing.draw([record.ink for record in records], titles, out)
    more = f" (the first; {left_out} more in the file)" if left_out > 0 else ""
    print(f"{out}: {len(records)} inks{more}")


def _readings(arguments: Namespace, records) -> list[str]:
    from apps.core import recogniser
    from apps.handwriting import APP

    model = recogniser.load(arguments.model, APP)
    task = APP.make_task(model.config(APP))
    found = []
    for record in records:
        output = task.output(model.runner, record.ink.points())
        found.append(task.describe(output, model.labels, 1)[0]["label"])
    return found
