"""Sound in pieces: nothing lost between them, and one line for what is wrong."""

import io
import sys

import numpy as np
import pytest
import soundfile

from apps.core.errors import UserError
from apps.speech import sound
from tests.speech.conftest import tone


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_pieces_of_any_size_join_to_the_same(tmp_path, rate):
    path = tmp_path / "long.wav"
    rng = np.random.default_rng(0)
    stereo = rng.normal(0, 0.1, (int(1.3 * rate), 2))
    soundfile.write(path, stereo, rate, "FLOAT")
    joined = [
        np.concatenate(list(sound.file_pieces(str(path), seconds)))
        for seconds in (0.013, 0.5, 9.0)
    ]
    assert abs(len(joined[0]) - 1.3 * 16_000) <= 1
    for other in joined[1:]:
        np.testing.assert_allclose(other, joined[0], atol=1e-6)
    if rate == 16_000:
        np.testing.assert_allclose(joined[0], stereo.mean(axis=1), atol=1e-6)


def test_a_file_cut_in_the_middle_of_a_frame(tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, np.stack([tone(400)] * 2, axis=1), 16_000, "PCM_16")
    path.write_bytes(path.read_bytes()[:-40_001])
    pieces = sound.file_pieces(str(path))
    heard = []
    with pytest.raises(UserError, match=r"cut short.*0\.37 s"):
        heard.extend(pieces)
    # All that is whole was heard first.
    assert sum(map(len, heard)) == (64_000 - 40_001) // 4


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "no such recording"), (b"", "0 bytes"), (b"RIFFrubbish", "damaged")],
)
def test_files_that_are_none(tmp_path, content, part):
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=part):
        list(sound.file_pieces(str(path)))


def test_a_name_too_long_for_a_file():
    with pytest.raises(UserError, match="there is no such recording"):
        list(sound.file_pieces("x" * 300 + ".wav"))


def test_a_sample_that_is_no_number(tmp_path):
    path = tmp_path / "nan.wav"
    samples = tone(300)
    samples[7000] = np.nan
    soundfile.write(path, samples, 16_000, "FLOAT")
    with pytest.raises(UserError, match="no finite number"):
        list(sound.file_pieces(str(path)))


def test_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "raw"
    path.write_bytes(np.array([1, -32768, 32767], "<i2").tobytes() + b"\0")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        pieces = sound.standard_input_pieces()
        np.testing.assert_array_equal(
            next(pieces), np.array([1, -32768, 32767], "float32") / 32768
        )
        with pytest.raises(UserError, match="middle of a 16-bit sample"):
            next(pieces)


def test_standard_input_without_sound(tmp_path, monkeypatch):
    path = tmp_path / "raw"
    path.touch()
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(UserError, match="standard input: is empty"):
            list(sound.standard_input_pieces())
    # What Python makes of `<&-`.
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="standard input: is closed"):
        list(sound.standard_input_pieces())


class FakeDevice:
    """sounddevice with a microphone that records at 48 kHz alone."""

    class PortAudioError(Exception):
        pass

    def __init__(self, device=True):
        self.device = device

    def query_devices(self, kind):
        if not self.device:
            raise self.PortAudioError("no default input device")
        return {"name": "fake", "default_samplerate": 48_000.0}

    def InputStream(self, rate, channels, dtype, callback):
        if rate != 48_000:
            raise self.PortAudioError("Invalid sample rate")
        for block in np.split(tone(500, 1, 48_000), 10):
            callback(block[:, None], len(block), None, None)
        return io.BytesIO()


def test_a_microphone_at_another_rate(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeDevice())
    pieces = sound.microphone_pieces()
    heard = np.concatenate([next(pieces) for _ in range(10)])
    assert "48000 Hz" in capsys.readouterr().err
    wanted = tone(500)[: len(heard)]
    assert len(heard) > 14_000
    np.testing.assert_allclose(heard[100:-100], wanted[100:-100], atol=0.01)


def test_no_microphone(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeDevice(device=False))
    with pytest.raises(UserError, match="there is no microphone"):
        next(sound.microphone_pieces())


def test_no_package_for_microphones(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match="pip install"):
        next(sound.microphone_pieces())


def test_no_library_for_microphones(monkeypatch):
    def imported(name, *_):
        raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr("builtins.__import__", _refusing(imported))
    with pytest.raises(UserError, match="libportaudio2"):
        next(sound.microphone_pieces())


def _refusing(refuse):
    own = __import__

    def run(name, *arguments):
        return refuse(name) if name == "sounddevice" else own(name, *arguments)

    return run
