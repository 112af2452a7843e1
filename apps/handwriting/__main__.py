"""python -m apps.handwriting"""

import sys

from apps.core.cli import main
from apps.handwriting import APP

sys.exit(main(APP))
