"""A tiny application: which of three tones is in 16 samples. Seconds to train."""

import dataclasses
from collections.abc import Sequence

from apps.core.app import App, Option
from apps.core.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class ToyConfig(TrainingConfig):
    units: int = 16
    dropout: float = 0.2
    noise: float = 0.1
    loud: bool = False


CONFIGS = {
    "small": ToyConfig(
        model="small", epochs=6, batch_size=16, learning_rate=0.03, warmup_epochs=0.5
    ),
    "averaged": ToyConfig(
        model="small",
        epochs=4,
        batch_size=16,
        learning_rate=0.02,
        weight_averaging=0.8,
        quantize="none",
    ),
}

APP = App(
    name="toy",
    summary="Names a tone.",
    configs=CONFIGS,
    default_config="small",
    task="tests.core.toy_task:ToyTask",
    data_help="a folder of .npy files (default: made on the spot)",
    input_help=".npy files of 16 samples",
    examples="  python -m apps.toy train",
    options=(
        Option("--loud", "loud", "shout", verbs=("train", "evaluate"), is_switch=True),
        Option("--noise", "noise", "noise level", metavar="X"),
    ),
)


def run(*arguments: str) -> int:
    """The toy's command line, in this process."""
    from apps.core.cli import main

    return main(APP, list(arguments))


def main(arguments: Sequence[str]) -> int:
    return run(*arguments)


if __name__ == "__main__":
    import sys

    raise SystemExit(main(sys.argv[1:]))
