"""How the text layer reads characters: one table and a few ranges.

The same definitions build the graph that travels in the exported file
(`hashing.py`) and the plain Python reference in the tests.

Every character is one of three kinds:

- a *separator* (white space, control and format characters): ends a word;
- a *symbol*: a word of its own. Punctuation, emoji, and the scripts written
  without spaces (Han, kana, Thai, Lao, Myanmar, Khmer), where one character
  is the smallest unit that needs no dictionary;
- a *letter* (or digit, or combining mark, or apostrophe): words are runs of these.

Lower case is that of Unicode, character by character, for everything below
U+2000 whose lower case is one character below U+2000 as well: Latin, Greek,
Cyrillic, Armenian and Georgian, accented letters included. The rules that
depend on context or language (Greek final sigma, Turkish dotless i) and the
few cased scripts above (full-width Latin, Deseret) are left alone.
"""

import functools
import unicodedata

import numpy as np

END = 1
"""U+0001 ends a text: the layer appends it, so that even an empty text is one
word long. The same character inside a text is a separator."""

TABLE_SIZE = 0x2000

KINDS = 4
"""Kinds of words that a model does not know, numbered from 1: those that begin with
a capital letter (+1) and with a digit (+2) apart."""

SEPARATORS = ((0x2000, 0x2010), (0x2028, 0x2030), (0x205F, 0x2070), (0x3000, 0x3001))
"""Half-open ranges at and above U+2000: spaces and format characters."""

SYMBOLS = (
    (0x2010, 0x2070),  # punctuation
    (0x20A0, 0x2C00),  # currency, arrows, mathematics, dingbats
    (0x2E00, 0xA000),  # CJK punctuation, kana, Han
    (0xF900, 0xFB00),  # Han, compatibility
    (0xFE10, 0xFE70),  # CJK punctuation, compatibility
    (0xFF01, 0xFF10),  # full-width punctuation
    (0xFF1A, 0xFF21),
    (0xFF3B, 0xFF41),
    (0xFF5B, 0xFFA0),  # and half-width kana
    (0x1F000, 0x110000),  # emoji, Han extensions
)
"""Half-open ranges at and above U+2000 that are not separators."""

_UNSPACED = ((0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800))
"""Thai and Lao, Myanmar, Khmer."""

_APOSTROPHE = ord("'")


def _entry(code: int) -> int:
    character = chr(code)
    category = unicodedata.category(character)
    if code == END:
        return -END
    if category[0] in "ZC":
        return 0
    is_letter = category[0] in "LNM" or code == _APOSTROPHE
    if not is_letter or any(low <= code < high for low, high in _UNSPACED):
        return -code
    lower = character.lower()
    return ord(lower) if len(lower) == 1 and ord(lower) < TABLE_SIZE else code


@functools.cache
def character_table() -> np.ndarray:
    """int32 [TABLE_SIZE]: 0 for a separator, -code for a symbol, else lower case."""
    return np.array([_entry(code) for code in range(TABLE_SIZE)], "int32")
