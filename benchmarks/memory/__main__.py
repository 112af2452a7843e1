"""Why a plain RNN forgets and an LSTM does not: every figure and table of
docs/understanding.md.

    python -m benchmarks.memory                  all, resuming what was begun
    python -m benchmarks.memory --quick          the same in small, into runs/
    python -m benchmarks.memory --only adding    that experiment anew

Each experiment's results are kept as a file in --out, replaced after every training:
a run that was stopped goes on where it was. The figures and tables are drawn from
these files, for the experiments that are complete. With --quick nothing in docs/ is
touched: figures and
tables go to the folder of the results.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.memory.experiments import EXPERIMENTS, missing, results, run, write

_PAGE = Path(__file__).parents[2] / "docs" / "understanding.md"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="small, under 2 minutes")
    parser.add_argument(
        "--only", metavar="LIST", help=f"run these anew: {','.join(EXPERIMENTS)}"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the results (default: runs/memory)"
    )
    parser.add_argument(
        "--workers", type=int, help="trainings at a time (default: one a core)"
    )
    parser.add_argument(
        "--draw", action="store_true", help="run nothing: figures and tables only"
    )
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    arguments = parser.parse_args(argv)
    quick = arguments.quick
    out = Path(arguments.out or ("runs/memory-quick" if quick else "runs/memory"))
    only = arguments.only.split(",") if arguments.only else []
    for name in only:
        if name not in EXPERIMENTS:
            parser.error(f"--only {name}: choose from {', '.join(EXPERIMENTS)}")
    if arguments.workers is not None and arguments.workers < 1:
        parser.error(f"--workers {arguments.workers}: must be at least 1")
    if arguments.draw and only:
        parser.error("--draw runs nothing, --only runs anew: leave one of them out")
    for name in only:
        (out / f"{name}.json").unlink(missing_ok=True)
    for name, value in results(out).items():
        if value["quick"] != quick:
            size = "with" if value["quick"] else "without"
            parser.error(
                f"{out / name}.json: is of a run {size} --quick: name another folder "
                "with --out"
            )
    wanted = [] if arguments.draw else only or EXPERIMENTS
    cores = len(os.sched_getaffinity(0))
    run(wanted, out, quick, arguments.workers or cores, _say)

    from benchmarks.memory import figures, tables

    found = {
        name: value
        for name, value in results(out).items()
        if not missing(name, quick, {name: value})
    }
    folder = out / "figures" if quick else _PAGE.parent / "figures"
    drawn = figures.draw(found, folder)
    texts = tables.markdown(found)
    if quick:
        page = out / "tables.md"
        write(page, "\n\n".join(texts.values()) + "\n")
    else:
        page = _PAGE
        write(page, tables.filled(page.read_text("utf-8"), texts))
    _say(f"{page}: {len(texts)} tables; {folder}: {len(drawn)} figures")
    if arguments.json:
        print(json.dumps(tables.summary(found)))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
