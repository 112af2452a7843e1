"""python -m apps.web: gather the page into a folder, or serve it on this machine."""

import argparse
import sys
from pathlib import Path

from apps.core.cli import exit_status, start_tensorflow

HERE = Path(__file__).parent
DEFAULT_OUT = HERE.parents[1] / "dist" / "web"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m apps.web", description=__doc__, allow_abbrev=False
    )
    found.add_argument(
        "verb",
        choices=("build", "serve"),
        help="build: write the folder; serve: write it, then serve it on localhost",
    )
    found.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        help="the folder, which any static host serves as it is (default: dist/web)",
    )
    found.add_argument(
        "--models",
        type=Path,
        default=HERE.parents[1] / "saved_models",
        help="folder of model folders (default: saved_models)",
    )
    found.add_argument(
        "--port", type=int, default=8000, help="of the server (default: 8000)"
    )
    found.add_argument(
        "--no-float",
        action="store_true",
        help="leave the float variants out: faster, and exports nothing",
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    return exit_status(lambda: _run(given))


def _run(given: argparse.Namespace) -> None:
    start_tensorflow()
    from apps.web.build import build

    build(given.out, given.models, float_variants=not given.no_float)
    if given.verb == "serve":
        from apps.web.serve import serve

        serve(given.out, given.port)


if __name__ == "__main__":
    sys.exit(main())
