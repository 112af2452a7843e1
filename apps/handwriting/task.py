"""The task that the settings ask for: naming a symbol, or transcribing."""

from apps.core.task import Task
from apps.handwriting.classify import Classify
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.transcribe import Transcribe


def make_task(config: HandwritingConfig) -> Task[HandwritingConfig]:
    return (Classify if config.model == "classify" else Transcribe)(config)
