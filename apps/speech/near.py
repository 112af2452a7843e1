"""Words that sound nearly like a keyword, for a detector to learn to refuse."""

import functools
import re
from collections.abc import Sequence

import numpy as np

# Phonemes as espeak-ng writes them for English; a longer name goes first. Other
# languages mostly share them, and what is not known counts letter by letter.
_VOWELS = (
    "aI@", "aI3", "aU@", "i@", "e@", "o@", "O@", "A@", "U@", "@L", "aI", "eI", "OI",
    "aU", "oU", "i:", "u:", "3:", "A:", "O:", "0", "a", "E", "I", "V", "U", "@", "i",
    "3", "A", "O", "e", "o", "u",
)  # fmt: skip
_CONSONANTS = (
    "tS", "dZ", "p", "b", "t", "d", "k", "g", "f", "v", "T", "D", "s", "z", "S",
    "Z", "h", "m", "n", "N", "l", "r", "w", "j",
)  # fmt: skip
_PLAIN_VOWELS = ("aI", "eI", "oU", "i:", "u:", "3:", "A:", "O:", "a", "E", "I", "V")
_SOUNDS = "|".join(
    map(re.escape, sorted((*_VOWELS, *_CONSONANTS), key=len, reverse=True))
)
_VARIANT = "25#-"
"""Marks of a variant of a sound, which only its own language has: "O2", "t#"."""
_TOKEN = re.compile(rf"(?:{_SOUNDS})[{_VARIANT}]*|[',|%_; ]+|.")


def phonemes_of(spelling: str) -> list[str]:
    """Cuts espeak-ng's mnemonics into phonemes and marks (stress, pauses)."""
    return _TOKEN.findall(spelling)


def common(phoneme: str) -> str:
    """The phoneme of which this one is a variant."""
    return phoneme.rstrip(_VARIANT)


def is_sound(token: str) -> bool:
    """Whether it is a phoneme that is known, and no mark."""
    return common(token) in _VOWELS or common(token) in _CONSONANTS


def near(
    spelling: str, rng: np.random.Generator, taken: Sequence[str] = (), tries: int = 20
) -> str:
    """Another word, one or two phonemes away, or the first or second half.

    Args:
        spelling: The word in espeak-ng's mnemonics, such as "s'Ev@n".
        rng: Chooses what changes.
        taken: Words that it must not sound like, in mnemonics: "go" is near "no".
        tries: How often one is drawn, at least 1; where every one sounds like one of
            them, the last is taken.

    Returns:
        Mnemonics; never those that were given.
    """
    avoided = {_sounds_of(word) for word in taken}
    for _ in range(tries):
        made = _changed(spelling, rng)
        if _sounds_of(made) not in avoided:
            break
    return made


@functools.lru_cache(maxsize=1000)
def _sounds_of(spelling: str) -> tuple[str, ...]:
    """Its phonemes, without stress and variants."""
    return tuple(common(token) for token in phonemes_of(spelling) if is_sound(token))


def _changed(spelling: str, rng: np.random.Generator) -> str:
    tokens = phonemes_of(spelling)
    sounds = [i for i, token in enumerate(tokens) if is_sound(token)]
    if len(sounds) >= 4 and rng.random() < 0.3:
        middle = sounds[len(sounds) // 2]
        return "".join(tokens[:middle] if rng.random() < 0.5 else tokens[middle:])
    changed = list(tokens)
    # Of a very short word one phoneme is much; of a long one hardly audible.
    count = 1 if len(sounds) < 5 else 2
    for i in rng.permutation(sounds)[:count]:
        old = common(tokens[i])
        kin = _PLAIN_VOWELS if old in _VOWELS else _CONSONANTS
        others = [token for token in kin if token != old]
        changed[i] = others[int(rng.integers(len(others)))]
    if not sounds:
        return "".join([*tokens, "A:"])
    return "".join(changed)
