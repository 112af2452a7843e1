"""Plain Python reading of the hashing rules, a character at a time.

Written from the description in apps/text/characters.py, hashing.py and words.py, with
none of its tensor code: what the layer computes must equal this.
"""

import unicodedata

from apps.text import characters, hashing


def code_points(data: bytes) -> list[int]:
    """UTF-8 by the layer's rules, for any bytes at all."""
    found = []
    for i, byte in enumerate(data):
        if 0x80 <= byte < 0xC0:
            continue
        tail = [
            b - 0x80 if 0x80 <= b < 0xC0 else 0
            for b in (data + b"\0\0\0")[i + 1 : i + 4]
        ]
        if byte < 0x80:
            found.append(byte)
        elif byte < 0xE0:
            found.append((byte - 0xC0) * 64 + tail[0])
        elif byte < 0xF0:
            found.append((byte - 0xE0) * 4096 + tail[0] * 64 + tail[1])
        else:
            found.append(
                (byte - 0xF0) * 262144 + tail[0] * 4096 + tail[1] * 64 + tail[2]
            )
    return found


def read(code: int) -> tuple[int, str]:
    """(lower case, "separator", "symbol" or "letter") of one character."""
    if code >= 0x2000:
        if any(low <= code < high for low, high in characters.SEPARATORS):
            return code, "separator"
        if any(low <= code < high for low, high in characters.SYMBOLS):
            return code, "symbol"
        return code, "letter"
    category = unicodedata.category(chr(code))
    if category[0] in "ZC":
        return code, "separator"
    unspaced = 0xE00 <= code < 0xF00 or 0x1000 <= code < 0x10A0
    unspaced = unspaced or 0x1780 <= code < 0x1800
    if unspaced or not (category[0] in "LNM" or code == ord("'")):
        return code, "symbol"
    lower = chr(code).lower()
    single = len(lower) == 1 and ord(lower) < 0x2000
    return (ord(lower) if single else code), "letter"


def words(data: bytes) -> list[tuple[list[int], int]]:
    """Words in lower case, and the first character of each as it stands."""
    found: list[tuple[list[int], int]] = []
    open_word = False
    for code in code_points(data.replace(b"\x01", b"\0")):
        lower, kind = read(code)
        if kind == "letter" and open_word:
            found[-1][0].append(lower)
        elif kind != "separator":
            found.append(([lower], code))
        open_word = kind == "letter"
    return [*found, ([characters.END], characters.END)]


def wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def scattered(hashed: int, multiplier: int, below: int) -> int:
    return wrap(wrap(hashed) * multiplier) // 512 % below


def word_hash(word: list[int]) -> int:
    total = 0
    for position, code in enumerate(word):
        total += code * pow(hashing.MULTIPLIER, min(position, 63) + 1, 2**32)
    return wrap(total)


def hashes(word: list[int], before: int | None) -> list[int | None]:
    """Hashes of a word, of the pair that it ends and of its n-grams."""
    hashed = word_hash(word)
    pair = None if before is None else before * hashing.NGRAM_MULTIPLIER + hashed
    row: list[int | None] = [hashed, pair]
    for n in hashing.NGRAMS:
        for start in range(hashing.POSITIONS):
            gram = word[start : start + n]
            if len(gram) < n:
                row.append(None)
                continue
            value = gram[0] + (hashing.STARTS_WORD if start == 0 else 0)
            for code in gram[1:]:
                value = value * hashing.NGRAM_MULTIPLIER + code
            ends = start + n == len(word)
            row.append(value + (hashing.ENDS_WORD if ends else n * hashing.LENGTH_SALT))
    return row


def number(hashed: int | None, owners: list[int]) -> int:
    """The number of the bucket that a hash owns, or 0."""
    if hashed is None:
        return 0
    mark = scattered(hashed, hashing.LENGTH_SALT, 255) + 1
    for multiplier in (hashing.MULTIPLIER, hashing.NGRAM_MULTIPLIER):
        bucket = scattered(hashed, multiplier, len(owners))
        if owners[bucket] == mark:
            return characters.KINDS + 1 + bucket
    return 0


def ids(data: bytes, owners: list[int], max_words: int) -> list[list[int]]:
    rows = []
    before = None
    for word, first in words(data)[:max_words]:
        row = [number(hashed, owners) for hashed in hashes(word, before)]
        kind = 1 + (first != word[0]) + 2 * (ord("0") <= word[0] <= ord("9"))
        rows.append([row[0] or kind, *row[1:]])
        before = word_hash(word)
    return rows
