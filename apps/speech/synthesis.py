"""Recordings made by a speech synthesiser: data that needs no download."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import multiprocessing
from collections.abc import Sequence

import numpy as np

from apps.core.errors import UserError
from apps.speech.accents import foreign, native
from apps.speech.audio import to_pcm16
from apps.speech.clips import CLIP_SAMPLES, UNKNOWN, Clip, Recordings
from apps.speech.espeak import synthesiser
from apps.speech.near import near
from apps.speech.noise import Background
from apps.speech.people import check_installed, speak_by

DEFAULT_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHER_WORDS = (
    "backward", "bed", "bird", "cat", "close", "dog", "eight", "five", "follow",
    "forward", "four", "happy", "house", "learn", "light", "marvin", "music", "nine",
    "one", "open", "please", "seven", "sheila", "six", "start", "table", "three",
    "tree", "two", "visual", "water", "window", "wow", "zero",
)  # fmt: skip
"""What `unknown` is made of; those that sound like a keyword are left out."""
_FOREIGN_SHARE = 0.3
_MBROLA = "; most voices of MBROLA (mbrola) are for non-commercial use only"
# Effects rather than voices: nobody speaks like that.
_ODD = ("Demonic", "Robot", "Tweaky", "announcer", "croak", "fast", "robosoft", "klatt")
_SPLIT_SHARES = {"train": 1.0, "val": 0.2, "test": 0.2}
_OTHER_SHARE = 0.25
_NEAR_SHARE = 0.4
"""Clips of made-up words near a keyword, as a share of its own."""


def voices_of(split: str, variants: Sequence[str]) -> list[str]:
    """The voice variants that only `split` uses: 70, 15 and 15 of a hundred."""
    usable = [v for v in variants if not any(odd in v for odd in _ODD)]
    order = sorted(usable, key=lambda v: hashlib.sha256(v.encode()).digest())
    first, second = round(0.7 * len(order)), round(0.85 * len(order))
    return {
        "train": order[:first], "val": order[first:second], "test": order[second:]
    }[split]  # fmt: skip


@functools.lru_cache(maxsize=2)
def speak(
    keywords: tuple[str, ...], language: str, takes: int, seed: int,
    splits: tuple[str, ...], engines: tuple[str, ...] = (), others: bool = True,
) -> Recordings:  # fmt: skip
    """The words, and others, in many voices with noise, split by voice.

    Args:
        keywords: The words; empty for `DEFAULT_WORDS`.
        language: A voice language of espeak-ng; "en" and "en-us" vary the accent.
        takes: Training clips a keyword; a fifth as many for val and test.
        seed: Seed of voices, rates, pitches and noise.
        splits: The splits to make.
        engines: Further synthesisers (see `people`), each of which says as many of
            the training clips as espeak-ng. They have too few voices to keep some
            for the other splits.
        others: Whether other words, and words near the keywords, are spoken too.

    Raises:
        UserError: a word that cannot be said, two that sound the same, an unknown
            language, or a synthesiser that is not installed.
    """
    keywords = keywords or DEFAULT_WORDS
    for word in keywords:
        synthesiser().check_speakable(word, language)
    keyword_sounds = _sounds(keywords, language)
    _check_differ(keywords, keyword_sounds, language)
    for engine in engines if "train" in splits else ():
        check_installed(engine, language)
    more = None
    if others:
        sounds = zip(OTHER_WORDS, _sounds(OTHER_WORDS, language), strict=True)
        more = [word for word, sound in sounds if sound not in keyword_sounds]
    # espeak-ng keeps hidden state from word to word. Only a process of its own
    # makes the clips of a split the same whenever they are made.
    with concurrent.futures.ProcessPoolExecutor(
        len(splits), multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        work = functools.partial(
            _speak_split,
            keywords,
            more,
            language,
            takes,
            seed,
            engines,
        )
        clips = [clip for made in pool.map(work, splits) for clip in made]
    return Recordings(
        clips,
        list,
        {
            "name": f"synthetic speech ({', '.join(('espeak-ng', *engines))}, "
            f"{language})",
            "licence": "generated; the synthesisers are under GPL-3.0 (espeak-ng), a "
            "BSD licence (flite) and Apache-2.0 (Kokoro), their output is the user's"
            + (_MBROLA if "mbrola" in engines else ""),
            "limits": "trained on synthetic voices alone: expect lower accuracy on "
            "people; measure on recordings before relying on it",
        },
        "synthetic speech",
        keywords,
    )


def _sounds(words: Sequence[str], language: str) -> list[str]:
    """Each word's phonemes: "Seven" and "7" have those of "seven"."""
    engine = synthesiser()
    engine.set_voice(language)
    return [engine.phonemes(word) for word in words]


def _check_differ(
    keywords: Sequence[str], sounds: Sequence[str], language: str
) -> None:
    """Raises:
    UserError: two keywords sound the same, so that no clip could tell them apart.
    """
    found: dict[str, str] = {}
    for word, sound in zip(keywords, sounds, strict=True):
        if sound in found:
            raise UserError(
                f"--words: {found[sound]!r} and {word!r} sound the same when synthetic "
                f"voices speak {language}: leave one out, or train on recordings alone "
                "(--data FOLDER, synthetic_takes=0)"
            )
        found[sound] = word


def _speak_split(
    keywords: Sequence[str], more: Sequence[str] | None, language: str, takes: int,
    seed: int, engines: Sequence[str], split: str,
) -> list[Clip]:  # fmt: skip
    """`more` are the other words; None: neither these nor words near the keywords."""
    voices = voices_of(split, synthesiser().variants())
    background = Background([], split, seed)
    counts = {word: takes * _SPLIT_SHARES[split] for word in keywords}
    counts |= {word: takes * _SPLIT_SHARES[split] * _OTHER_SHARE for word in more or ()}
    share = 1 / (1 + len(engines)) if split == "train" else 1.0
    clips = []
    for word, count in counts.items():
        abroad = foreign(word, language)
        for take in range(max(1, round(count * share))):
            rng = np.random.default_rng([seed, take, *f"{split} {word}".encode()])
            at_home = rng.random() >= _FOREIGN_SHARE or not abroad
            ways = native(word, language) if at_home else abroad
            clips.append(_clip(word, ways, voices, split, take, background, rng))
    more_takes = {word: round(count * share) for word, count in counts.items()}
    accents = [accent for accent, _ in native("", language)]
    for name in engines if split == "train" else ():
        for word, voice, spoken, rng in speak_by(name, more_takes, accents, seed):
            if 0 < len(spoken) <= CLIP_SAMPLES:
                pcm = _placed(spoken, background, rng)
                title = f"{word} by {name}, {voice}"
                clips.append(Clip(word, title, split, voice, pcm))
    engine = synthesiser()
    engine.set_voice(language)
    spellings = {
        word: engine.phonemes(word, form=0)
        for word in (keywords if more is not None else ())
    }
    taken = list(spellings.values())
    for word, spelling in spellings.items():
        for take in range(max(1, round(takes * _SPLIT_SHARES[split] * _NEAR_SHARE))):
            rng = np.random.default_rng([seed, take, *f"near {split} {word}".encode()])
            text = f"[[{near(spelling, rng, taken)}]]"
            ways = native(text, language)
            made = _clip(text, ways, voices, split, take, background, rng)
            clips.append(dataclasses.replace(made, word=UNKNOWN))
    return clips


def _clip(
    word: str, accents: Sequence[tuple[str, str]], voices: Sequence[str], split: str,
    take: int, background: Background, rng: np.random.Generator,
) -> Clip:  # fmt: skip
    engine = synthesiser()
    variant = voices[int(rng.integers(len(voices)))]
    accent, text = accents[int(rng.integers(len(accents)))]
    engine.set_voice(accent, variant)
    rate = int(rng.integers(100, 320))
    spoken = engine.say(
        text,
        words_a_minute=rate,
        pitch=int(rng.integers(5, 95)),
        pitch_range=int(rng.integers(10, 95)),
    )
    while len(spoken) > CLIP_SAMPLES and rate < 450:
        rate = min(450, round(rate * 1.25))
        spoken = engine.say(text, words_a_minute=rate, pitch=50, pitch_range=50)
    if word.startswith("[[") and not len(spoken):
        spoken = np.full(1, 1e-3, "float32")  # nothing that could be heard
    if not 0 < len(spoken) <= CLIP_SAMPLES:
        problem = "takes longer than one second" if len(spoken) else "makes no sound"
        raise UserError(f"--words: {word!r} {problem} when spoken: choose another word")
    title = f"{word} by {accent}+{variant}, take {take}"
    return Clip(word, title, split, variant, _placed(spoken, background, rng))


def _placed(
    spoken: np.ndarray, background: Background, rng: np.random.Generator
) -> np.ndarray:
    """int16 [CLIP_SAMPLES]: the word at some place and level, in noise."""
    samples = np.zeros(CLIP_SAMPLES, "float32")
    # Where a person's word lies who was asked to speak: near the middle.
    slack = CLIP_SAMPLES - len(spoken)
    start = int(slack * rng.uniform(0.3, 0.7))
    samples[start : start + len(spoken)] = spoken
    level = np.sqrt(np.mean(np.square(spoken)))
    gain = 10 ** (rng.uniform(-30, -15) / 20) / level
    samples *= min(gain, 0.8 / np.abs(spoken).max())
    noise = background.draw(1, CLIP_SAMPLES, rng)[0]
    snr = rng.uniform(5, 35)
    samples += noise * np.sqrt(np.mean(np.square(samples))) * 10 ** (-snr / 20)
    return to_pcm16(samples)
