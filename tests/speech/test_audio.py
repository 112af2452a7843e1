"""Every kind of recording reads alike; every bad one gives one clear line."""

import numpy as np
import pytest
import soundfile

from apps.core.errors import UserError
from apps.speech import audio, sound
from tests.speech.conftest import RATE, tone


def error_of(path, **options) -> str:
    with pytest.raises(UserError) as error:
        audio.read_audio(path, **options)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 0.01),
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-4),
        ("a.wav", "FLOAT", 1e-6),
        ("a.flac", "PCM_16", 1e-4),
        ("a.ogg", "VORBIS", 0.05),
    ],
)
def test_kinds_of_file(tmp_path, name, subtype, tolerance):
    path = tmp_path / name
    soundfile.write(path, tone(440), RATE, subtype)
    found = audio.read_audio(path)
    assert found.dtype == np.float32 and found.shape == (RATE,)
    np.testing.assert_allclose(found, tone(440), atol=tolerance)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_becomes_16_khz(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440, 0.5, rate), rate, "FLOAT")
    found = audio.read_audio(path)
    assert abs(len(found) - RATE // 2) <= 1
    expected = tone(440, 0.5)
    middle = slice(400, 7600)
    np.testing.assert_allclose(found[middle], expected[middle], atol=2e-3)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(440), np.zeros(RATE)], 1), RATE, "FLOAT")
    np.testing.assert_allclose(audio.read_audio(path), tone(440) / 2, atol=1e-6)


def test_missing_file(tmp_path):
    assert "there is no such file" in error_of(tmp_path / "no.wav")
    assert "there is no such file" in error_of(tmp_path / ("x" * 300 + ".wav"))


def test_folder(tmp_path):
    assert "is a folder" in error_of(tmp_path)


def test_empty_file(tmp_path):
    path = tmp_path / "a.wav"
    path.touch()
    assert "the file is empty" in error_of(path)


def test_no_samples(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), RATE)
    assert "holds no samples" in error_of(path)


@pytest.mark.parametrize("content", [b"RIFF____WAVE", b"not a recording", b"\0" * 99])
def test_corrupt_file(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert "damaged or of another kind" in error_of(path)


def test_cut_flac(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    path.write_bytes(path.read_bytes()[:3000])
    assert "damaged" in error_of(path) or "holds no samples" in error_of(path)


def test_flac_of_a_length_left_open(tmp_path):
    """As an encoder writes it into a pipe; libsndfile cannot read its end."""
    path = tmp_path / "open.flac"
    soundfile.write(path, tone(440), RATE)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert "leaves the length open" in error_of(path)
    with pytest.raises(UserError, match="leaves the length open"):
        list(sound.file_pieces(str(path)))


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF - 36])
def test_wav_of_a_length_left_open(tmp_path, size):
    """As a recorder writes it that cannot go back to the header."""
    path = tmp_path / "open.wav"
    soundfile.write(path, tone(440), RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert len(audio.read_audio(path)) == len(tone(440))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_cut_wav(tmp_path, subtype):
    path = tmp_path / "cut.wav"
    soundfile.write(path, np.sin(np.arange(9500) / 9), 16_000, subtype=subtype)
    path.write_bytes(path.read_bytes()[:9001])
    with pytest.raises(UserError, match=r"cut\.wav: is cut short"):
        audio.read_audio(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_sample_that_is_no_number(tmp_path, bad):
    samples = tone(440)
    samples[123] = bad
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, "FLOAT")
    assert f"sample 123 is {bad}" in error_of(path)


def test_ten_minutes(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(600 * 8000, "int16"), 8000)
    assert "lasts 600.0 s; at most 30 s" in error_of(path)


def test_absurd_rate(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100, "int16"), 10)
    assert "its sample rate is 10 Hz" in error_of(path)


def test_loudest_stretch_finds_the_word():
    samples = np.zeros(3 * RATE, "float32")
    samples[20_000:30_000] = 1
    start, found = audio.loudest_stretch(samples, RATE)
    assert len(found) == RATE and found.sum() == 10_000
    np.testing.assert_array_equal(found, samples[start : start + RATE])


def test_short_clip_is_centred():
    start, found = audio.loudest_stretch(np.ones(1000, "float32"), 4000)
    assert start == -1500 and found[1500:2500].all()
    assert not found[:1500].any() and not found[2500:].any()


def test_pcm16_round_trip():
    pcm = np.arange(-32768, 32768).astype("int16")
    np.testing.assert_array_equal(audio.to_pcm16(audio.from_pcm16(pcm)), pcm)
    assert audio.to_pcm16(np.array([2.0, -2.0])).tolist() == [32767, -32768]
