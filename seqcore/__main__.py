"""``python -m seqcore``: export a model, or inspect an exported file."""

import sys

from seqcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
