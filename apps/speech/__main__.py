"""`python -m apps.speech`."""

from apps.core.cli import main
from apps.speech import APP

if __name__ == "__main__":
    raise SystemExit(main(APP))
