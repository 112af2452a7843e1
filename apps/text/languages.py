"""The default data: which language is this message in?

The PyPI package `chatterbot-corpus` (BSD licence, contributed by its users)
carries short conversations in 28 languages as YAML. It is a small dependency of
the applications, so that this needs no download.
"""

import importlib.metadata
import importlib.resources
from pathlib import Path
from typing import Any

from apps.core.errors import UserError
from apps.text.sources import Corpus
from apps.text.splits import normalised
from apps.text.table import BadRows, Row

FEWEST = 60
"""Different sentences that a language must have to be one of the labels."""
MOST = 1500
"""Sentences kept of a language; English alone has far more."""
LEFT_OUT = ("hinglish",)
"""Not a language of its own: Hindi in Latin letters, mixed with English."""


def language_corpus() -> Corpus:
    """Sentences labelled with their language, without duplicates.

    Raises:
        UserError: the package is not installed.
    """
    try:
        version = importlib.metadata.version("chatterbot-corpus")
        root = importlib.resources.files("chatterbot_corpus") / "data"
        folders = sorted(path for path in Path(str(root)).iterdir() if path.is_dir())
    except (ModuleNotFoundError, OSError) as error:
        raise UserError(
            "the default data is in the package chatterbot-corpus, which is not "
            "installed: pip install chatterbot-corpus==1.3.3, or give --data"
        ) from error
    sentences = {
        folder.name: _sentences(folder)
        for folder in folders
        if folder.name not in LEFT_OUT
    }
    # A sentence found in two languages (a name, a formula, something left
    # untranslated) says nothing of either.
    owners: dict[str, set[str]] = {}
    for language, found in sentences.items():
        for text in found:
            owners.setdefault(text, set()).add(language)
    rows = []
    for language, found in sentences.items():
        own = [(text, row) for text, row in found.items() if len(owners[text]) == 1]
        if len(own) >= FEWEST:
            step = max(len(own) / MOST, 1.0)
            kept = [own[int(i * step)][1] for i in range(min(len(own), MOST))]
            rows += [Row(text, language, where) for text, where in kept]
    description = {
        "name": f"chatterbot-corpus {version}, the language of its sentences",
        "licence": "BSD",
        "citation": "Gunther Cox and contributors, ChatterBot language training "
        "corpus, https://github.com/gunthercox/chatterbot-corpus",
    }
    return Corpus({"train": rows}, description, BadRows(False))


def _sentences(folder: Path) -> dict[str, tuple[str, str]]:
    """Normalised text to (text, where), for one language."""
    import yaml

    found: dict[str, tuple[str, str]] = {}
    for path in sorted(folder.glob("*.yml")):
        # The loader in C is ten times as fast, where PyYAML was built with it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), loader)
        for conversation in content.get("conversations") or []:
            for text in conversation or []:
                if isinstance(text, str) and any(map(str.isalpha, text)):
                    found.setdefault(
                        normalised(text), (text.strip(), f"{folder.name}/{path.name}")
                    )
    return found
