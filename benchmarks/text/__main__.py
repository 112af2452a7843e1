"""Text classification measured against fastText.

    python -m benchmarks.text accuracy --data DIR [--sets snips banking77 trec sst2]
    python -m benchmarks.text latency MODEL.tflite
    python -m benchmarks.text buckets

`accuracy` wants a folder with snips/, banking77/, trec/TREC.train.all and
sst2/stsa.binary.{train,dev}. Of the first three a stratified, seeded tenth is
set aside; SST-2 has its own dev set. On that part nothing is chosen for ours:
the default settings were chosen on folds of the training data, and the last epoch
counts. fastText gets the best of its grid, chosen on the very part reported.
The accuracy of ours is that of the exported int8 file.
"""

import argparse
import sys

from apps.core.cli import exit_status
from apps.text import APP
from benchmarks.text.accuracy import accuracy
from benchmarks.text.speed import buckets, latency


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("accuracy", help="against fastText on four sets")
    one.add_argument("--data", required=True)
    one.add_argument(
        "--sets", nargs="+", default=["snips", "banking77", "trec", "sst2"]
    )
    one.add_argument("--config", default=APP.default_config)
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    one.add_argument("--workdir", help="keep the run directories here")
    one.set_defaults(run=accuracy)
    two = verbs.add_parser("latency", help="one message, one thread")
    two.add_argument("model")
    two.set_defaults(run=latency)
    three = verbs.add_parser("buckets", help="length buckets against padding")
    three.add_argument("--buckets", type=int, default=4)
    three.set_defaults(run=buckets)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(exit_status(main))
