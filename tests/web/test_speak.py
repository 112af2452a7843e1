"""Chromium's fake microphone plays a recording: the page hears what Python hears."""

import csv
import json
import wave

import numpy as np
import pytest

from apps.core import recogniser
from apps.core.cli import main
from apps.speech import APP
from apps.speech.audio import SAMPLE_RATE, loudest_stretch, read_audio, to_pcm16
from tests.web.conftest import SAVED

STREAM = SAVED / "arabic_speech_commands_stream" / "model.tflite"
CLIPS = SAVED / "arabic_speech_commands_12"
WORDS = ("right", "open", "left", "down", "stop", "up")
LEAD_SECONDS = 2.5  # The page misses the beginning: its own start takes a moment.
GAP_SECONDS = 0.9
JITTER_SECONDS = 0.15
ATTEMPTS = 4  # A busy machine drops pieces of live sound.
CHUNKS_SECONDS = 0.05  # A threshold may be crossed a chunk or two earlier or later.
TOLERANCE = 1e-3
STREAM_TOLERANCE = 5e-3
"""Sums and exponentials differ in the last bit; 8-bit states carry that along."""


def recording(clips, path) -> float:
    """Writes the clips, quiet noise between them, as WAV; returns its seconds."""
    rng = np.random.default_rng(3)

    def quiet(seconds):
        return rng.normal(0, 1e-4, round(seconds * SAMPLE_RATE)).astype("float32")

    parts = [quiet(LEAD_SECONDS)]
    for clip in clips:
        parts += [clip, quiet(GAP_SECONDS)]
    samples = np.concatenate(parts)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(to_pcm16(samples).tobytes())
    return len(samples) / SAMPLE_RATE


def real_clips(folder) -> list[np.ndarray]:
    """A clip of each of `WORDS`, of speakers who are in no training split."""
    with open(folder / "val.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = []
    for at, word in enumerate(WORDS):
        own = [row["file"] for row in rows if row["class"] == word]
        clips.append(read_audio(folder / own[at * len(own) // len(WORDS)]))
    return clips


def heard_by_python(path, capsys) -> list[dict]:
    capsys.readouterr()
    assert main(APP, ["listen", str(STREAM), "--source", str(path), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def live_trouble(heard, expected) -> str:
    """What is wrong with what came through the microphone, which starts late, at
    another rate, and at any moment; nothing in most attempts."""
    ours = [row["label"] for row in heard]
    theirs = [row["label"] for row in expected]
    if ours != theirs:
        return f"heard {ours}, expected {theirs}"
    late = [b["seconds"] - a["seconds"] for a, b in zip(heard, expected, strict=True)]
    if max(late) - min(late) < JITTER_SECONDS and max(map(abs, late)) < LEAD_SECONDS:
        return ""
    return f"heard after {late} seconds"


def check_page(browse, clips, path, capsys, record_property) -> None:
    seconds = recording(clips, path)
    expected = heard_by_python(path, capsys)
    assert len(expected) >= len(clips) / 2, expected
    wanted = [row["label"] for row in expected]
    for _ in range(ATTEMPTS):
        found = browse(
            "speak",
            seconds=seconds,
            wav=str(path),
            count=len(expected),
            flags=[
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={path}%noloop",
            ],
        )
        assert not found["problems"]
        result = found["result"]
        if not (trouble := live_trouble(result["heard"], expected)):
            break
    # The file itself has the very samples that Python read.
    assert [row["label"] for row in result["fromFile"]] == wanted
    for ours, theirs in zip(result["fromFile"], expected, strict=True):
        assert ours["seconds"] == pytest.approx(theirs["seconds"], abs=CHUNKS_SECONDS)
        if ours["seconds"] == pytest.approx(theirs["seconds"]):
            assert ours["score"] == pytest.approx(theirs["score"], abs=STREAM_TOLERANCE)
    assert not trouble
    record_property(
        "measured",
        f"{STREAM.parent.name}: {result['milliseconds']:.2f} ms a chunk of 20 ms in "
        f"the page; heard {' '.join(wanted)}",
    )


def test_microphone_hears_what_python_hears(browse, tmp_path, capsys, record_property):
    stop = read_audio(CLIPS / "stop.flac")
    check_page(
        browse,
        [stop, 0.5 * stop, stop],
        tmp_path / "stops.wav",
        capsys,
        record_property,
    )


@pytest.mark.data
def test_real_words_are_heard_as_in_python(
    browse, real_data, tmp_path, capsys, record_property
):
    folder = real_data / "speech" / "arabic_speech_commands"
    if not folder.exists():
        pytest.skip(f"no Arabic Speech Commands in {real_data}")
    check_page(
        browse, real_clips(folder), tmp_path / "words.wav", capsys, record_property
    )


def test_module_reads_clips_as_python_does(browse):
    rng = np.random.default_rng(5)
    stop = read_audio(CLIPS / "stop.flac")
    clips = [
        stop,
        np.pad(stop, (9000, 12345)),
        stop[3000:9000],
        0.1 * rng.random(40000),
    ]
    found = browse(
        "module",
        file="models/arabic_speech_commands_12/dynamic.tflite",
        inputs=[np.asarray(clip, "float64").tolist() for clip in clips],
    )["result"]
    model = recogniser.load(str(CLIPS / "model.tflite"), APP)
    for clip, answer in zip(clips, found["answers"], strict=True):
        _, one = loudest_stretch(np.asarray(clip, "float32"), SAMPLE_RATE)
        expected = model.runner.predict_on_batch(one[None])[0]
        np.testing.assert_allclose(answer["scores"], expected, atol=TOLERANCE)
