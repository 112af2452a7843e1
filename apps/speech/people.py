"""Words by synthesisers whose voices were made from recordings of people.

espeak-ng, the default, makes its sounds by rules: every voice is at hand, but its
fricatives are poor. These have few voices with the sounds of people, so that each
take is said by a mixture of voices, or a voice of another size, pitch and speed.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from apps.speech import flite, mbrola
from apps.speech import kokoro as neural
from apps.speech.accents import least_length, spellings
from apps.speech.config import SYNTHESISERS
from apps.speech.espeak import synthesiser

ENGINES = tuple(name for name in SYNTHESISERS if name != "espeak")
_LIST = 5
"""Words that a neural voice reads out in a row."""
Spoken = tuple[str, str, np.ndarray, np.random.Generator]
"""The word, whose voice, float32 [samples] at 16 kHz, the generator of the take."""


def check_installed(engine: str, language: str) -> None:
    """Raises:
    UserError: the engine is not installed, or does not speak the language.
    """
    if engine == "flite":
        flite.check_installed(language)
    elif engine == "mbrola":
        mbrola.check_installed(language)
    else:
        neural.check_installed()


def speak_by(
    engine: str, counts: Mapping[str, int], accents: list[str], seed: int
) -> Iterator[Spoken]:
    """So many takes of every word.

    Args:
        engine: One of `ENGINES`.
        counts: Takes of each word.
        accents: Voice languages of espeak-ng, whose pronunciation is taken.
        seed: Seed of the voices.
    """
    by = {"flite": _by_flite, "kokoro": _by_kokoro, "mbrola": _by_mbrola}
    return by[engine](counts, accents, seed)


def _by_flite(
    counts: Mapping[str, int], accents: list[str], seed: int
) -> Iterator[Spoken]:
    for word, count in counts.items():
        for take in range(count):
            rng = np.random.default_rng([seed, take, *f"flite {word}".encode()])
            voice = flite.VOICES[int(rng.integers(len(flite.VOICES)))]
            samples = flite.say(
                word,
                voice,
                stretch=rng.uniform(0.5, 1.2),
                pitch=rng.uniform(0.75, 1.4),
                size=rng.uniform(0.85, 1.2),
            )
            yield word, voice, samples, rng


def _by_kokoro(
    counts: Mapping[str, int], accents: list[str], seed: int
) -> Iterator[Spoken]:
    """The words are read out in short lists, in any order."""
    engine, model = synthesiser(), neural.kokoro()
    for take in range(max(counts.values())):
        rng = np.random.default_rng([seed, take, *b"kokoro"])
        words = [word for word, count in counts.items() if take < count]
        words = [words[i] for i in rng.permutation(len(words))]
        for first in range(0, len(words), _LIST):
            part = words[first : first + _LIST]
            engine.set_voice(accents[int(rng.integers(len(accents)))])
            found = model.say(
                [engine.phonemes(word) for word in part],
                model.someone(rng),
                speed=rng.uniform(0.5, 1.1),
                # Four of the five voices are women's: more are made larger.
                size=rng.uniform(0.9, 1.35),
            )
            for word, samples in zip(part, found, strict=True):
                yield word, "kokoro", samples, rng


def _by_mbrola(
    counts: Mapping[str, int], accents: list[str], seed: int
) -> Iterator[Spoken]:
    """People of every language say the words, with the sounds of their own."""
    language = accents[0]
    people = mbrola.voices()
    for word, count in counts.items():
        foreign = spellings(word, language)
        least = least_length(word, language)
        for take in range(count):
            rng = np.random.default_rng([seed, take, *f"mbrola {word}".encode()])
            samples, voice = np.zeros(0, "float32"), ""
            for someone in rng.permutation(len(people)):
                voice, spoken = people[someone]
                own = mbrola.same_language(language, spoken)
                text = mbrola.spelling(voice, (word,) if own else foreign, least)
                if text:
                    samples = mbrola.say(
                        text,
                        voice,
                        words_a_minute=int(rng.integers(80, 220)),
                        pitch=int(rng.integers(20, 80)),
                        size=rng.uniform(0.87, 1.15),
                    )
                if len(samples):
                    break
            yield word, voice, samples, rng
