"""Words that sound nearly like a keyword, for a detector to learn to refuse."""

import re

import numpy as np

# Phonemes as espeak-ng writes them for English; a longer name goes first. Other
# languages mostly share them, and what is not known counts letter by letter.
_VOWELS = (
    "aI@", "aI3", "aU@", "i@", "e@", "o@", "A@", "U@", "aI", "eI", "OI", "aU", "oU",
    "i:", "u:", "3:", "A:", "O:", "a#", "I2", "E2", "0", "a", "E", "I", "V", "U", "@",
    "i", "3", "A", "O", "e", "o", "u",
)  # fmt: skip
_CONSONANTS = (
    "tS", "dZ", "p", "b", "t", "d", "k", "g", "f", "v", "T", "D", "s", "z", "S",
    "Z", "h", "m", "n", "N", "l", "r", "w", "j",
)  # fmt: skip
_PLAIN_VOWELS = ("aI", "eI", "oU", "i:", "u:", "3:", "A:", "O:", "a", "E", "I", "V")
_TOKEN = re.compile(
    "|".join(map(re.escape, sorted((*_VOWELS, *_CONSONANTS), key=len, reverse=True)))
    + r"|[',|%_; ]+|."
)


def phonemes_of(spelling: str) -> list[str]:
    """Cuts espeak-ng's mnemonics into phonemes and marks (stress, pauses)."""
    return _TOKEN.findall(spelling)


def near(spelling: str, rng: np.random.Generator) -> str:
    """Another word, one or two phonemes away, or the first or second half.

    Args:
        spelling: The word in espeak-ng's mnemonics, such as "s'Ev@n".
        rng: Chooses what changes.

    Returns:
        Mnemonics; never those that were given.
    """
    tokens = phonemes_of(spelling)
    sounds = [i for i, t in enumerate(tokens) if t in _VOWELS or t in _CONSONANTS]
    if len(sounds) >= 4 and rng.random() < 0.3:
        middle = sounds[len(sounds) // 2]
        return "".join(tokens[:middle] if rng.random() < 0.5 else tokens[middle:])
    changed = list(tokens)
    # Of a very short word one phoneme is much; of a long one hardly audible.
    count = 1 if len(sounds) < 5 else 2
    for i in rng.permutation(sounds)[:count]:
        kin = _PLAIN_VOWELS if tokens[i] in _VOWELS else _CONSONANTS
        others = [t for t in kin if t != tokens[i]]
        changed[i] = others[int(rng.integers(len(others)))]
    if not sounds:
        return "".join([*tokens, "A:"])
    return "".join(changed)
