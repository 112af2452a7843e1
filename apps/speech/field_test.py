"""`field-test`: false accepts an hour against misses, and the threshold for a rate."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from apps.speech.clips import Clip
    from apps.speech.detector import Stream
    from apps.speech.field import Outcome, Recording

SNRS_DB = (20, 15, 10, 5, 0, -5)
_SLOT_SECONDS = 4.0
_LONGEST_BACKGROUND_SECONDS = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Composes long recordings of clips in background and counts what a streaming "
        "model detects there. One recording, of half of the speakers, chooses the "
        "threshold; another, of the other half in other stretches of background, is "
        "reported. The threshold is written into MODEL."
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file that streams")
    parser.add_argument(
        "--keywords",
        metavar="DIR",
        required=True,
        help="clips: as --data of train; words that are no labels are distractors",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="val",
        help="which clips of it (default: val; all where the data names no splits)",
    )
    parser.add_argument(
        "--distractors", metavar="DIR", help="more clips, none of them a keyword"
    )
    parser.add_argument(
        "--background",
        metavar="PATH",
        nargs="+",
        required=True,
        help="recordings of noise, or folders of them",
    )
    for name, default, meaning in (
        ("--hours", 1.0, "length of each of the two recordings"),
        ("--snr", 10.0, "level of speech over background, dB"),
        ("--rate", 1.0, "false accepts an hour that the threshold may cost"),
    ):
        parser.add_argument(
            name, type=float, default=default, help=f"{meaning} (default: {default:g})"
        )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--out", metavar="DIR", help="where field.json and field.png go (default: none)"
    )
    parser.add_argument(
        "--keep-threshold", action="store_true", help="leave MODEL as it is"
    )
    parser.add_argument("--json", action="store_true", help="print field.json")


def run(arguments: argparse.Namespace) -> None:
    import json
    import sys

    import numpy as np

    from apps.core import figures, files
    from apps.core.errors import UserError
    from apps.speech import field
    from apps.speech.clips import held_out
    from apps.speech.detector import METADATA_KEY, Stream
    from seqcore.export import write_metadata

    for name, low, high in (("hours", 0.01, 100), ("snr", -30, 60), ("rate", 0, 1000)):
        value = getattr(arguments, name)
        if not low <= value <= high:
            raise UserError(f"--{name} {value:g}: must be in [{low}, {high}]")
    stream = Stream(arguments.model)
    clips, words = _clips(arguments, stream)
    noise = backgrounds(arguments.background)
    first = np.array(held_out(clips, 0.5))
    halves = []
    for part, cut in ((first, 0), (~first, 1)):
        rng = np.random.default_rng([arguments.seed, cut])
        chosen = [clip for clip, mine in zip(clips, part, strict=True) if mine]
        sounds = [np.array_split(n, 2)[cut] for n in noise]
        half = _compose(chosen, words, sounds, arguments, rng)
        print(
            f"{('choosing', 'reporting')[cut]}: {half.hours:.2f} h with "
            f"{len(half.events)} clips",
            file=sys.stderr,
        )
        halves.append((half, field.scores_of(stream, half)))
    thresholds = [round(float(t), 3) for t in np.arange(0.05, 1.0, 0.01)]
    curves = [
        field.sweep(half, stream.rule, stream.labels, scores, thresholds)
        for half, scores in halves
    ]
    threshold = field.choose(curves[0], arguments.rate).threshold
    reported = next(o for o in curves[1] if o.threshold == threshold)
    rule = dataclasses.replace(stream.rule, threshold=threshold)
    table = [_at(snr, clips, ~first, words, noise, stream, rule) for snr in SNRS_DB]
    found = {
        "model": arguments.model,
        "keywords": arguments.keywords,
        "background": arguments.background,
        "snr_db": arguments.snr,
        "wanted_false_accepts_per_hour": arguments.rate,
        "threshold": threshold,
        "reported": _row(reported),
        "chosen_on": _row(next(o for o in curves[0] if o.threshold == threshold)),
        "curve": [_row(o) for o in curves[1]],
        "by_snr": table,
    }
    if arguments.out:
        out = Path(arguments.out)
        files.write_json(out / "field.json", found)
        figures.trade_off(
            [(o.false_accepts_per_hour, 100 * o.miss_rate) for o in curves[1]],
            (reported.false_accepts_per_hour, 100 * reported.miss_rate),
            ("false accepts an hour", "misses, %", f"threshold {threshold:g}"),
            out / "field.png",
        )
    if not arguments.keep_threshold:
        metadata = {k: v for k, v in stream.metadata.items() if k != METADATA_KEY}
        write_metadata(arguments.model, metadata | {METADATA_KEY: rule.to_json()})
    print(json.dumps(found) if arguments.json else _text(found))


def _clips(
    arguments: argparse.Namespace, stream: "Stream"
) -> tuple[list["Clip"], set[str]]:
    """The clips, and which words are keywords."""
    from apps.core.errors import UserError
    from apps.speech import sources

    words = set(stream.labels) - set(stream.rule.ignore)
    recordings = sources.find(arguments.keywords, sources.SPLITS)
    clips = [c for c in recordings.clips if arguments.split in ("all", c.split)]
    if not clips and all(not c.split for c in recordings.clips):
        clips = recordings.clips
    if not any(clip.word in words for clip in clips):
        raise UserError(
            f"--keywords {arguments.keywords}: no clip of a keyword of the model "
            f"({', '.join(sorted(words))}) in the split {arguments.split}"
        )
    if arguments.distractors:
        others = sources.find(arguments.distractors, sources.SPLITS).clips
        # A name that no label has: what is said there is never a keyword.
        clips = clips + [dataclasses.replace(c, word=f"not {c.word}") for c in others]
    return clips, words


def backgrounds(paths: Sequence[str]) -> list["np.ndarray"]:
    """Recordings of noise at one level, each of at least a minute's worth.

    Raises:
        UserError: a path that does not exist, or a folder without a recording.
    """
    from apps.core.errors import UserError
    from apps.speech.audio import SAMPLE_RATE, SUFFIXES, is_audio, read_audio
    from apps.speech.field import unit_background

    found = []
    for name in paths:
        path = Path(name)
        inside = [path]
        if path.is_dir():
            inside = [p for p in sorted(path.iterdir()) if is_audio(p)]
            if not inside:
                raise UserError(
                    f"--background {name}: holds no recording ({', '.join(SUFFIXES)})"
                )
        for recording in inside:
            samples = read_audio(recording, _LONGEST_BACKGROUND_SECONDS)
            if len(samples) < 4 * SAMPLE_RATE:
                raise UserError(f"--background {recording}: is shorter than 4 s")
            found.append(unit_background(samples))
    return found


def _compose(
    clips: list["Clip"],
    words: set[str],
    noise: list["np.ndarray"],
    arguments: argparse.Namespace,
    rng: "np.random.Generator",
) -> "Recording":
    """As many keywords as distractors (where there are any), repeated as needed."""
    import numpy as np

    from apps.speech import field
    from apps.speech.clips import Audio

    seconds = arguments.hours * 3600
    count = max(2, int(seconds / _SLOT_SECONDS))
    mine = [i for i, clip in enumerate(clips) if clip.word in words]
    others = [i for i, clip in enumerate(clips) if clip.word not in words]
    chosen: list[int] = []
    for group, number in (
        (mine, count // 2 if others else count),
        (others, count - count // 2 if others else 0),
    ):
        rounds = -(-number // max(len(group), 1))
        drawn = [rng.permutation(group) for _ in range(rounds if group else 0)]
        chosen += np.concatenate(drawn)[:number].tolist() if drawn else []
    audio = Audio.read(clips)
    return field.compose(
        audio[chosen],
        [clips[i].word for i in chosen],
        noise,
        seconds=seconds,
        snr_db=arguments.snr,
        rng=rng,
    )


def _at(
    snr: float,
    clips: list["Clip"],
    part: "np.ndarray",
    words: set[str],
    noise: list["np.ndarray"],
    stream: "Stream",
    rule: Any,
) -> dict[str, float]:
    """Accuracy and misses of the reported half's keywords at one SNR."""
    import numpy as np

    from apps.speech import field
    from apps.speech.audio import SAMPLE_RATE
    from apps.speech.clips import Audio

    chosen = [
        clip
        for clip, mine in zip(clips, part, strict=True)
        if mine and clip.word in words
    ]
    said = [clip.word for clip in chosen]
    recording = field.compose(
        Audio.read(chosen)[np.arange(len(chosen))],
        said,
        [np.array_split(n, 2)[1] for n in noise],
        seconds=3 * len(chosen),
        snr_db=snr,
        rng=np.random.default_rng(7),
    )
    sound = np.concatenate(list(recording.pieces()))
    right = 0
    for event in recording.events:
        clip = sound[event.start : event.start + SAMPLE_RATE]
        right += stream.labels[int(np.argmax(stream.classify(clip)))] == event.word
    result = field.outcome(
        recording, rule, stream.labels, field.scores_of(stream, recording)
    )
    return {
        "snr_db": snr,
        "word_accuracy": right / len(said),
        "miss_rate": result.miss_rate,
        "n": len(said),
    }


def _row(outcome: "Outcome") -> dict[str, float]:
    return {
        "threshold": outcome.threshold,
        "miss_rate": round(outcome.miss_rate, 5),
        "false_accepts_per_hour": round(outcome.false_accepts_per_hour, 4),
        "keywords": outcome.keywords,
        "hours": round(outcome.hours, 4),
    }


def _text(found: dict[str, Any]) -> str:
    reported = found["reported"]
    lines = [
        f"threshold {found['threshold']:.2f}, chosen for at most "
        f"{found['wanted_false_accepts_per_hour']:g} false accepts an hour",
        f"on other speakers, at {found['snr_db']:g} dB SNR, in "
        f"{reported['hours']:g} h with {reported['keywords']} keywords:",
        f"  false accepts an hour  {reported['false_accepts_per_hour']:.2f}",
        f"  miss rate              {reported['miss_rate']:.4f}",
        "",
        f"{'SNR, dB':>8s} {'word accuracy':>14s} {'miss rate':>10s}",
    ]
    for row in found["by_snr"]:
        lines.append(
            f"{row['snr_db']:8d} {row['word_accuracy']:14.4f} {row['miss_rate']:10.4f}"
        )
    return "\n".join(lines)
