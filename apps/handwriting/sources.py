"""Where examples come from: real ink, the synthetic writer, composed lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from apps.core.errors import UserError
from apps.handwriting import known, readers
from apps.handwriting.compose import Redrawn, Speller, compose
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.distort import Ranges
from apps.handwriting.language import read_units
from apps.handwriting.readers import Record
from apps.handwriting.splits import SPLITS, divide, split_files
from apps.handwriting.words import ENDINGS, WORDS, Practice, split_words
from apps.handwriting.writer import check_text, draw_hand, write

_WORDS_A_HAND = {"train": 12, "val": 2}
"""Words that a synthetic hand writes before another takes over."""
_COPIES = 4
"""Times that a synthetic hand writes each symbol that lines are composed of."""


def load(
    source: str | None, splits: Sequence[str], config: HandwritingConfig
) -> dict[str, list[Record]]:
    """The labelled records of each split wanted.

    Raises:
        UserError: missing or malformed data, a record without a label, a split
            that the data does not have or that is empty, `val_writers` for data
            that comes in splits.
    """
    if source is None:
        return {name: synthetic(name, config) for name in splits}
    by_split = split_files(Path(source)) or {}
    if by_split:
        if config.val_writers:
            names = ", ".join(path.name for path in by_split.values())
            raise UserError(
                f"val_writers={config.val_writers}: {source} is split by its files "
                f'({names}): leave --val-writers out (or give --val-writers "" with '
                "a model that was trained with it), or name one of the files as data"
            )
        found = {}
        for name in splits:
            if name not in by_split:
                raise UserError(
                    f"{source}: has no {name} split beside {', '.join(by_split)}"
                )
            found[name] = readers.collect(by_split[name], config.skip_bad)[0]
    else:
        records, _ = readers.collect(source, config.skip_bad)
        divided = divide(records, source, config.val_writers)
        for name in splits:
            if name not in divided:
                raise UserError(
                    f"{source}: has no {name} split (it has {', '.join(divided)})"
                )
        found = {name: divided[name] for name in splits}
    for name, records in found.items():
        found[name] = records = _labelled(records, config)
        if not records:
            raise UserError(f"{source}: the {name} split is empty")
    lengths = config.composed_lengths()
    if lengths:
        for name, records in found.items():
            seed = [config.seed, SPLITS.index(name)]
            if name == "train":
                found[name] = _practice(records, lengths, seed, config)
            else:
                found[name] = compose(records, lengths, 1000, seed)
    return found


def _practice(
    symbols: Sequence[Record],
    lengths: tuple[int, int],
    seed: Sequence[int],
    config: HandwritingConfig,
) -> Redrawn:
    """Composed lines for training: other ones, of other distortions of the symbols
    and beside symbols of other synthetic hands, in each epoch."""
    # A symbol by itself is distorted further than a whole line.
    ranges = Ranges(aspect=0.35, warp=0.12, reorder=config.reorder)
    ranges = ranges.scaled(config.augment)
    labels = sorted({str(r.text) for r in symbols})

    def draw(epoch: int) -> list[Record]:
        hands = _hands(labels, config, np.random.default_rng([*seed, epoch, 1]))
        return compose(
            [*symbols, *hands], lengths, config.composed_size, [*seed, epoch], ranges
        )

    return Redrawn(draw)


def _hands(
    labels: Sequence[str], config: HandwritingConfig, rng: np.random.Generator
) -> list[Record]:
    """Single symbols by synthetic hands, as many as the settings say."""
    faces = [face.strip() for face in config.fonts.split(",")]
    if config.hands:
        try:
            check_text("".join(labels), faces)
        except UserError as error:
            raise UserError(f"{error}; hands=0 composes people's symbols alone") from (
                error
            )
    records = []
    for number in range(config.hands):
        hand = draw_hand(rng, faces)
        for label in [*labels] * _COPIES:
            ink = write(label, hand, rng)
            records.append(Record(ink, label, "synthetic symbol", f"hand {number}"))
    return records


def _labelled(records: Iterable[Record], config: HandwritingConfig) -> list[Record]:
    """Records with a label; one without is an error, or is left out."""
    kept, left_out = [], 0
    for record in records:
        if record.text and record.text.strip():
            kept.append(record)
            continue
        if not config.skip_bad:
            raise UserError(
                f"{record.source}: has no transcript "
                "(--skip-bad leaves such records out and counts them)"
            )
        left_out += 1
    if left_out:
        print(
            f"left out {left_out} of {left_out + len(kept)} records, which have no "
            "transcript",
            file=sys.stderr,
        )
    return kept


def synthetic(split: str, config: HandwritingConfig) -> list[Record]:
    """Ink of the synthetic writer.

    Training and validation share neither hands nor (but for a text of fewer than
    ten) words. A classifier gets the single characters of the text.

    Raises:
        UserError: "test" is asked for; a text that the fonts cannot write.
    """
    if split == "test":
        raise UserError("the synthetic writer has no test split: use --split val")
    text = read_units(config.text, "word") if config.text else list(WORDS)
    if not config.text:
        text += [str(n) for n in (0, 12, 34, 56, 78, 90, 1755, 365, 482)]
    faces = [face.strip() for face in config.fonts.split(",")]
    check_text(" ".join(text), faces)
    held: list[str] = []
    if config.model == "classify":
        text = sorted({c for word in text for c in word})
        words = text
    else:
        words, held = split_words(text)
        if split != "train":
            words, held = held, words
    size = config.synthetic_size if split == "train" else 500
    rng = np.random.default_rng([config.seed, SPLITS.index(split), 2024])
    speller = _speller(config, split)
    endings = () if config.text else ENDINGS
    practice, kept_back = Practice(words, endings), set(held) - set(words)
    records = []
    for number in range(size):
        if number % _WORDS_A_HAND[split] == 0:
            hand = draw_hand(rng, faces)
        if split == "train" and config.model != "classify":
            word = practice.draw(rng)
            while word in kept_back:  # it may invent them
                word = practice.draw(rng)
        else:
            word = words[number % len(words)]
        place = f"synthetic {split} {number + 1} ({hand.face})"
        # People's digits, where there are any, are enough for all numbers.
        share = 1.0 if word.isdigit() else config.spelled
        if speller and rng.random() < share and set(word) <= speller.characters:
            ink, place = speller.write(word, hand, rng), f"spelled word {number + 1}"
        else:
            ink = write(word, hand, rng)
        records.append(Record(ink, word, place))
    return records


def _faces(config: HandwritingConfig) -> str:
    return ", ".join(dict.fromkeys(face.strip() for face in config.fonts.split(",")))


def _letters_about(config: HandwritingConfig) -> dict[str, str]:
    """The same of the real letters that words were spelled with, if any were."""
    if not config.letters:
        return {}
    sets = [known.by_path(path) for path in config.letters.split(",")]
    named = [c for c in sets if c]
    return {
        "name": f"synthetic ink (faces {_faces(config)}), and words spelled with "
        "letters of " + ", ".join(c.name for c in named),
        "licence": "; ".join(f"{c.name}: {c.licence}" for c in named),
        "citation": "; ".join(c.citation for c in named),
        "limits": "no connected writing of a person was seen",
    }


def _speller(config: HandwritingConfig, split: str) -> Speller | None:
    """The hands of the single letters that the settings name: those of this split."""
    if not config.letters:
        return None
    found: list[Record] = []
    for path in config.letters.split(","):
        try:
            records, _ = readers.collect(path.strip(), config.skip_bad)
        except UserError as error:
            raise UserError(
                f"words are spelled with the letters of {config.letters} (the setting "
                f"letters; --data gives other ink): {error}"
            ) from error
        found += divide(records, path)[split]
    return Speller(found)


def describe(source: str | None, config: HandwritingConfig) -> dict[str, str]:
    """Name, licence and limits of the data, as `Data.description` wants them."""
    if source is None:
        text = config.text or "built-in English words"
        return {
            "name": f"synthetic ink: {text} in the faces {_faces(config)}",
            "licence": "Hershey's faces are in the public domain, the face school is "
            "seqcore's",
            "citation": "A. V. Hershey, Calligraphy for Computers, US NBS 1967",
            "limits": "trained on synthetic ink alone, no person's",
        } | _letters_about(config)
    collection = known.by_path(source)
    name = collection.name if collection else Path(source).name or source
    if config.compose:
        name = f"lines of {config.compose} symbols composed from {name}"
        if config.hands:
            name += f" and from symbols of synthetic hands (faces {_faces(config)})"
    found = {"name": name}
    if collection:
        found["licence"] = collection.licence
        found["citation"] = collection.citation
        found["limits"] = collection.limits
    return {key: value for key, value in found.items() if value}
