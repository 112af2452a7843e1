"""The four sets as pairs of text and label, in a training and a reported part."""

from pathlib import Path

from apps.text.sources import find
from apps.text.splits import stratified_split
from apps.text.table import Format

SPLIT_SEED = 0

Pairs = list[tuple[str, str]]


def _label_text(path: Path) -> Pairs:
    """Lines of `label text` in Latin-1, as TREC and SST-2 come."""
    lines = path.read_text(encoding="latin-1").split("\n")
    return [(line[2:].strip(), line[0]) for line in lines if line.strip()]


def _set_aside(pairs: Pairs) -> tuple[Pairs, Pairs]:
    texts, labels = zip(*pairs, strict=True)
    names = sorted(set(labels))
    train, val = stratified_split(
        texts, [names.index(label) for label in labels], 0.1, SPLIT_SEED
    )
    return [pairs[i] for i in train], [pairs[i] for i in val]


def load(folder: Path, name: str) -> tuple[Pairs, Pairs]:
    """(training, reported) pairs of text and label."""
    if name == "sst2":
        return tuple(  # type: ignore[return-value]
            _label_text(folder / "sst2" / f"stsa.binary.{part}")
            for part in ("train", "dev")
        )
    if name == "trec":
        return _set_aside(_label_text(folder / "trec" / "TREC.train.all"))
    rows = find(str(folder / name), Format()).splits["train"]
    return _set_aside([(row.text, row.label) for row in rows])
