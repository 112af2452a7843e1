"""`say`: one word by a synthetic voice, as a recording to try a model on."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Speaks a word with espeak-ng and writes it as one second of 16 kHz WAV. "
        "The default voice is one that the default training data does not use."
    )
    parser.add_argument("word", metavar="WORD")
    parser.add_argument("--out", metavar="FILE", required=True, help="a .wav file")
    parser.add_argument(
        "--language", default="en-us", help="espeak-ng voice language (default: en-us)"
    )
    parser.add_argument("--voice", metavar="NAME", help="espeak-ng voice variant")
    parser.add_argument(
        "--rate", type=int, default=160, help="words a minute, 80 to 450"
    )
    parser.add_argument("--pitch", type=int, default=50, help="0 to 99")


def run(arguments: argparse.Namespace) -> None:
    import numpy as np
    import soundfile

    from apps.core import files
    from apps.core.errors import UserError
    from apps.speech.audio import SAMPLE_RATE
    from apps.speech.clips import CLIP_SAMPLES
    from apps.speech.espeak import synthesiser
    from apps.speech.synthesis import voices_of

    if not arguments.out.endswith(".wav"):
        raise UserError(f"--out {arguments.out}: must end in .wav")
    for name, low, high in (("rate", 80, 450), ("pitch", 0, 99)):
        if not low <= getattr(arguments, name) <= high:
            raise UserError(
                f"--{name} {getattr(arguments, name)}: must be {low} to {high}"
            )
    engine = synthesiser()
    engine.check_speakable(arguments.word, arguments.language, "--language CODE")
    variants = engine.variants()
    voice = arguments.voice or voices_of("test", variants)[0]
    # espeak-ng says the word in its plain voice where it does not know the variant.
    if voice not in variants:
        raise UserError(
            f"--voice {voice}: espeak-ng has no such variant: choose from "
            f"{', '.join(variants)}"
        )
    engine.set_voice(arguments.language, voice)
    spoken = engine.say(
        arguments.word,
        words_a_minute=arguments.rate,
        pitch=arguments.pitch,
        pitch_range=50,
    )
    if len(spoken) > CLIP_SAMPLES:
        raise UserError(f"{arguments.word!r} takes longer than a second: raise --rate")
    before = (CLIP_SAMPLES - len(spoken)) // 2
    samples = np.pad(spoken, (before, CLIP_SAMPLES - len(spoken) - before))
    with files.replacing(arguments.out) as temporary:
        soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16")
    print(f"{arguments.out}: {arguments.word!r} by {arguments.language}+{voice}")
