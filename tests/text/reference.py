"""Plain Python reading of the hashing rules, a character at a time.

Written from the description in apps/text/characters.py and hashing.py, with
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


def words(data: bytes) -> list[list[int]]:
    found: list[list[int]] = []
    open_word = False
    for code in code_points(data.replace(b"\x01", b"\0")):
        lower, kind = read(code)
        if kind == "letter" and open_word:
            found[-1].append(lower)
        elif kind != "separator":
            found.append([lower])
        open_word = kind == "letter"
    return [*found, [characters.END]]


def wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def bucket(hashed: int, buckets: int) -> int:
    return wrap(wrap(hashed) * hashing.MULTIPLIER) // 512 % buckets


def word_hash(word: list[int]) -> int:
    total = 0
    for position, code in enumerate(word):
        total += code * pow(hashing.MULTIPLIER, min(position, 63) + 1, 2**32)
    return wrap(total)


def ids(
    data: bytes, word_buckets: int, ngram_buckets: int, max_words: int
) -> list[list[int]]:
    rows = []
    before = None
    for word in words(data)[:max_words]:
        hashed = word_hash(word)
        row = [1 + bucket(hashed, word_buckets)]
        first = 1 + word_buckets
        if before is None:
            row.append(0)
        else:
            pair = before * hashing.NGRAM_MULTIPLIER + hashed
            row.append(first + bucket(pair, ngram_buckets))
        before = hashed
        for n in hashing.NGRAMS:
            for start in range(hashing.POSITIONS):
                gram = word[start : start + n]
                if len(gram) < n:
                    row.append(0)
                    continue
                value = gram[0] + (hashing.STARTS_WORD if start == 0 else 0)
                for code in gram[1:]:
                    value = value * hashing.NGRAM_MULTIPLIER + code
                ends = start + n == len(word)
                value += hashing.ENDS_WORD if ends else n * hashing.LENGTH_SALT
                row.append(first + bucket(value, ngram_buckets))
        rows.append(row)
    return rows
