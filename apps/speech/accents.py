"""How a word is said in another accent: of the language, or of a foreigner."""

from apps.speech.espeak import synthesiser
from apps.speech.near import common, is_sound, phonemes_of

_ACCENTS = {
    "en": (
        "en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc",
        "en-gb-x-gbclan", "en-gb-x-gbcwmd",
    ),
}  # fmt: skip
_FOREIGN = {
    "en": ("fr", "de", "it", "es", "pt", "el", "nl", "sv", "da", "ru", "tr"),
}  # fmt: skip
"""Languages with whose sounds the words are said as well: foreign accents."""
# What speakers say for English sounds that their language lacks: the five vowels
# that nearly all have, the r that English writes and many English people drop, and
# the t that Americans swallow.
_PLAIN = {
    "V": "a", "I": "i", "E": "e", "0": "o", "3": "er", "A": "a", "O": "o", "U": "u",
    "A:": "a", "3:": "er", "O:": "o", "i:": "i", "u:": "u", "aI": "ai", "eI": "ei",
    "OI": "oi", "aU": "au", "oU": "o", "i@": "ir", "e@": "er", "o@": "or", "O@": "or",
    "A@": "ar", "U@": "ur", "aI@": "air", "aI3": "air", "aU@": "aur", "@": "e",
    "@L": "el", "?": "t",
}  # fmt: skip
_CONSONANTS = {"T": "s", "D": "z", "w": "u", "N": "n", "h": "", "z": "s", "j": "i"}
_USUAL = {"words_a_minute": 160, "pitch": 50, "pitch_range": 50}
_AS_LONG = 0.6
"""Part of its length in English that a word must keep with a foreign accent:
espeak-ng stops at a sound that the other language has nothing for."""


def native(text: str, language: str) -> list[tuple[str, str]]:
    """(voice language, what it is to say) for each accent of the language."""
    accents = _ACCENTS.get(language.removesuffix("-us"), (language,))
    return [(accent, text) for accent in accents]


def spellings(word: str, language: str) -> tuple[str, ...]:
    """The word as foreigners say it, in mnemonics of espeak-ng.

    In place of the language's own vowels stand plain ones in the first; and in
    place of rare consonants common ones as well in the second.
    """
    engine = synthesiser()
    engine.set_voice(language)
    plain: list[str] = []
    for token in phonemes_of(engine.phonemes(word, form=0)):
        # What no other language has would end the word there.
        sound = common(token) if is_sound(token) else token
        if sound == "r" and plain and plain[-1].endswith("r"):
            continue  # said already: "zero" is "zi@roU"
        plain.append(_PLAIN.get(sound, sound))
    plainest = [_CONSONANTS.get(token, token) for token in plain]
    return tuple(f"[[{''.join(tokens)}]]" for tokens in (plain, plainest))


def least_length(word: str, language: str) -> float:
    """Samples of the word at 160 words a minute, at least, if no sound is lost."""
    engine = synthesiser()
    engine.set_voice(language)
    return _AS_LONG * len(engine.say(word, **_USUAL))


def foreign(word: str, language: str) -> list[tuple[str, str]]:
    """As `native`, for the foreign accents that have a sound for all of the word."""
    engine = synthesiser()
    text = spellings(word, language)[0]
    least = least_length(word, language)
    found = []
    for accent in _FOREIGN.get(language.removesuffix("-us"), ()):
        engine.set_voice(accent)
        if len(engine.say(text, **_USUAL)) >= least:
            found.append((accent, text))
    return found
