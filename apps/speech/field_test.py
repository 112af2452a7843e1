"""`field-test`: false accepts an hour against misses, and the threshold for a rate."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.speech.listen import add_verify_argument

if TYPE_CHECKING:
    import numpy as np

    from apps.speech.field import Outcome
    from apps.speech.stream import Scorer

SNRS_DB = (20, 15, 10, 5, 0, -5)
_HALVES = ("choosing", "reporting")
_STRETCHES = ("val", "test")
"""Which stretch of the background each half hears."""
_THRESHOLDS = tuple(
    round(step / 1000, 3) for step in (*range(50, 990, 10), *range(990, 1000))
)
"""Finer at the end: of a model of few words nearly every score is close to 1."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Composes long recordings of clips in background and counts what a streaming "
        "model detects there. One recording, of half of the speakers, chooses the "
        "threshold; another, of the other half in other stretches of background, is "
        "reported. Of every background only what no training hears is used. The "
        "threshold is written into MODEL, or into the file of --verify."
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file that streams")
    add_verify_argument(parser)
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
    from apps.speech.clips import Audio
    from apps.speech.field_data import (
        backgrounds,
        clips_of,
        composed,
        first_half,
        whole_people,
    )
    from apps.speech.noise import SHORTEST_SECONDS
    from apps.speech.sources import read_noise
    from apps.speech.stream import open_scorer
    from seqcore.export import write_metadata

    for name, low, high in (("hours", 0.01, 100), ("snr", -30, 60), ("rate", 0, 1000)):
        value = getattr(arguments, name)
        if not low <= value <= high:
            raise UserError(f"--{name} {value:g}: must be in [{low}, {high}]")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: must not be negative")
    scorer = open_scorer(arguments.model, arguments.verify)
    words = set(scorer.labels) - set(scorer.rule.ignore)
    clips = clips_of(
        arguments.keywords,
        arguments.split,
        arguments.distractors,
        words,
        scorer.metadata,
    )
    noise = read_noise(arguments.background, "--background", SHORTEST_SECONDS)
    first = first_half(clips, words)
    halves = []
    for part, cut in ((first, 0), ([not mine for mine in first], 1)):
        rng = np.random.default_rng([arguments.seed, cut])
        chosen = [clip for clip, mine in zip(clips, part, strict=True) if mine]
        sounds = backgrounds(noise.values(), _STRETCHES[cut])
        half = composed(
            chosen,
            words,
            sounds,
            hours=arguments.hours,
            snr_db=arguments.snr,
            rng=rng,
        )
        print(
            f"{_HALVES[cut]}: {half.hours:.2f} h with {len(half.events)} clips",
            file=sys.stderr,
        )
        halves.append((half, field.scores_of(scorer, half)))
    curves = [
        field.sweep(half, scorer.rule, scorer.labels, scores, _THRESHOLDS)
        for half, scores in halves
    ]
    threshold = field.choose(curves[0], arguments.rate).threshold
    reported = next(o for o in curves[1] if o.threshold == threshold)
    rule = dataclasses.replace(scorer.rule, threshold=threshold)
    # Of the half composed last, which is the reported one: its keywords alone.
    chosen = [clip for clip in chosen if clip.word in words]
    said = [clip.word for clip in chosen]
    spoken = Audio.read(chosen)[np.arange(len(chosen))]
    table = [_at(snr, spoken, said, sounds, scorer, rule) for snr in SNRS_DB]
    found = {
        "model": arguments.model,
        "keywords": arguments.keywords,
        "verify": arguments.verify,
        "background": [_heard(path, samples) for path, samples in noise.items()],
        "snr_db": arguments.snr,
        "wanted_false_accepts_per_hour": arguments.rate,
        "threshold": threshold,
        "on_other_speakers": whole_people(clips, first),
        "reported": _row(reported),
        "chosen_on": _row(next(o for o in curves[0] if o.threshold == threshold)),
        "curve": [_row(o) for o in curves[1]],
        "curve_of_choosing": [_row(o) for o in curves[0]],
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
        written = scorer.metadata | {scorer.rule_key: rule.to_json()}
        write_metadata(scorer.path, written)
    print(json.dumps(found) if arguments.json else _text(found))


def _at(
    snr: float,
    spoken: "np.ndarray",
    said: list[str],
    noise: list["np.ndarray"],
    scorer: "Scorer",
    rule: Any,
) -> dict[str, float]:
    """Accuracy and misses of keywords, [n, samples], at one SNR."""
    import numpy as np

    from apps.speech import field
    from apps.speech.audio import SAMPLE_RATE

    recording = field.compose(
        spoken,
        said,
        noise,
        seconds=3 * len(said),
        snr_db=snr,
        rng=np.random.default_rng(7),
    )
    sound = np.concatenate(list(recording.pieces()))
    right = 0
    for event in recording.events:
        clip = sound[event.start : event.start + SAMPLE_RATE]
        right += scorer.labels[int(np.argmax(scorer.classify(clip)))] == event.word
    result = field.outcome(
        recording, rule, scorer.labels, field.scores_of(scorer, recording)
    )
    return {
        "snr_db": snr,
        "word_accuracy": right / len(said),
        "miss_rate": result.miss_rate,
        "n": len(said),
    }


def _heard(path: str, samples: "np.ndarray") -> dict[str, Any]:
    """Which seconds of a background each of the two recordings hears."""
    from apps.speech.audio import SAMPLE_RATE
    from apps.speech.noise import bounds

    found: dict[str, Any] = {"file": path}
    for name, split in zip(_HALVES, _STRETCHES, strict=True):
        found[name] = [round(x / SAMPLE_RATE, 2) for x in bounds(len(samples), split)]
    return found


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
    who = "speakers" if found["on_other_speakers"] else "clips (of the same people?)"
    lines = [
        f"threshold {found['threshold']:g}, chosen for at most "
        f"{found['wanted_false_accepts_per_hour']:g} false accepts an hour",
        f"on other {who}, at {found['snr_db']:g} dB SNR, in "
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
