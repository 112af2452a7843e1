from apps.core.cli import main
from apps.text import APP

if __name__ == "__main__":
    raise SystemExit(main(APP))
