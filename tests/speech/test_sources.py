"""What --data may name, how splits come about, and the line for each mistake."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apps.core import builders
from apps.core.errors import UserError
from apps.speech import sources
from apps.speech.audio import from_pcm16
from apps.speech.clips import SILENCE, UNKNOWN, Clip, held_out
from apps.speech.config import SpeechConfig
from apps.speech.task import SpeechTask
from tests.speech.conftest import RATE, tone

SPLITS = ("train", "val")


def counts(recordings, split):
    found: dict[str, int] = {}
    for clip in recordings.split(split, 0.25):
        found[clip.word] = found.get(clip.word, 0) + 1
    return found


def test_folder_of_words(word_folder):
    recordings = sources.find(str(word_folder), SPLITS)
    assert recordings.words == ["high", "low", "mid", "other"]
    assert len(recordings.clips) == 48
    (hum,) = recordings.backgrounds()
    assert len(hum) == 12 * RATE
    train, val = (recordings.split(name, 0.25) for name in SPLITS)
    assert len(train) == 36 and len(val) == 12  # one of four speakers
    assert {c.speaker for c in val}.isdisjoint({c.speaker for c in train})


def test_folder_with_speech_commands_lists(word_folder):
    (word_folder / "validation_list.txt").write_text("high/a_0.wav\nlow/a_0.wav\n")
    (word_folder / "testing_list.txt").write_text("high/b_0.wav\n")
    recordings = sources.find(str(word_folder), SPLITS)
    assert counts(recordings, "val") == {"high": 1, "low": 1}
    assert counts(recordings, "test") == {"high": 1}
    assert sum(counts(recordings, "train").values()) == 45


def test_speech_commands_lists_of_words_with_a_space(word_folder):
    """A line is one name: else what is held out would be trained on."""
    (word_folder / "high").rename(word_folder / "zoom in")
    for name, take in (("validation_list.txt", "a_0"), ("testing_list.txt", "b_0")):
        text = f"\ufeffzoom in/{take}.wav\r\n\r\n"  # as Windows writes it
        (word_folder / name).write_text(text, encoding="utf-8", newline="")
    recordings = sources.find(str(word_folder), SPLITS)
    assert counts(recordings, "val") == {"zoom in": 1}
    assert counts(recordings, "test") == {"zoom in": 1}


def test_speech_commands_lists_in_another_encoding(word_folder):
    (word_folder / "validation_list.txt").write_bytes("high/é.wav".encode("latin-1"))
    with pytest.raises(
        UserError, match=r"validation_list\.txt: byte 0xe9 is not UTF-8"
    ):
        sources.find(str(word_folder), SPLITS)


def table(folder, name, rows, header="file,class"):
    text = "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
    (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def test_tables(word_folder):
    table(
        word_folder, "train", [("high/a_0.wav", "high"), ("low/a_0.wav", "_unknown_")]
    )
    table(word_folder, "val", [("high/b_0.wav", "high"), ("low/b_0.wav", "_silence_")])
    recordings = sources.find(str(word_folder), SPLITS)
    assert counts(recordings, "train") == {"high": 1, UNKNOWN: 1}
    assert counts(recordings, "val") == {"high": 1, SILENCE: 1}
    with pytest.raises(UserError, match=r"has no test split \(it has train, val\)"):
        recordings.split("test", 0.25)


def test_train_table_alone_gives_a_validation_split(word_folder):
    rows = [(f"high/{s}_{t}.wav", "high") for s in "abcd" for t in range(3)]
    table(word_folder, "train", rows)
    recordings = sources.find(str(word_folder), SPLITS)
    assert counts(recordings, "train") == {"high": 9}
    assert counts(recordings, "val") == {"high": 3}


@pytest.mark.parametrize(
    ("header", "rows", "part"),
    [
        ("path,class", [("high/a_0.wav", "high")], "has no column 'file'"),
        ("file,class", [], "lists no clips"),
        ("file,class", [("high/a_0.wav", "high"), ("no.wav", "high")], "line 3"),
        ("file,class", [("high/a_0.wav", "")], "expected a file and a class"),
        ("file,class", [("x" * 300 + ".wav", "high")], "line 2: there is no file"),
    ],
)
def test_bad_tables(word_folder, header, rows, part):
    table(word_folder, "train", rows, header)
    with pytest.raises(UserError, match=part) as error:
        sources.find(str(word_folder), SPLITS)
    assert "train.csv" in str(error.value)


def test_table_that_is_not_text(word_folder):
    (word_folder / "train.csv").write_bytes(b"file,class\n\xff\xfe\x00,a\n")
    with pytest.raises(UserError, match="cannot be read as CSV in UTF-8"):
        sources.find(str(word_folder), SPLITS)


@pytest.mark.parametrize(
    ("stem", "word", "speaker"),
    [
        ("0a7c2a8d_nohash_0", "yes", "0a7c2a8d_nohash"),
        ("00000030_NO_01", "no", "00000030_NO"),
        ("00000030_NO_01", "yes", "00000030_NO"),
        ("7_jackson_32", "7", "jackson"),
        ("turn_on_anna_1", "turn_on", "anna"),
        ("Zoom_in_anna_b_1", "zoom in", "anna_b"),
        ("yes_3", "yes", ""),
        ("recording", "yes", ""),
        ("12", "yes", ""),
    ],
)
def test_speaker_from_the_file_name(stem, word, speaker):
    assert sources.speaker_of(stem, word) == speaker


def test_without_speakers_a_share_of_each_word_is_held_out():
    clips = [Clip(word, f"{word}{i}.wav") for word in ("a", "b") for i in range(20)]
    held = held_out(clips, 0.1)
    assert sum(held[:20]) == sum(held[20:]) == 2
    # Another order, the same files.
    again = held_out(clips[::-1], 0.1)
    assert again[::-1] == held


def test_a_clip_without_a_speaker_leaves_the_others_people_apart():
    clips = [
        Clip(word, f"{word}_{who}_{i}", speaker=who)
        for word in ("a", "b")
        for who in ("ann", "bob", "cid", "dan")
        for i in range(3)
    ]
    unnamed = [Clip("a", f"a{i}.wav") for i in range(8)]
    held = held_out([*clips, *unnamed], 0.25)
    sides = {(clip.speaker, side) for clip, side in zip(clips, held, strict=False)}
    assert len(sides) == 4 and sum(side for _, side in sides) == 1
    assert sum(held[len(clips) :]) == 2
    assert held[: len(clips)] == held_out(clips, 0.25)


def test_a_file_in_two_splits(word_folder):
    table(word_folder, "train", [("high/b_0.wav", "high"), ("low/b_0.wav", "low")])
    table(word_folder, "val", [("high/../low/b_0.wav", "low")])
    with pytest.raises(UserError, match=r"val\.csv: .*is listed in train\.csv too"):
        sources.find(str(word_folder), SPLITS)


def test_lists_are_read_with_any_slash_and_must_name_something(word_folder):
    listing = word_folder / "validation_list.txt"
    listing.write_text("high\\b_0.wav\n./low/b_0.wav\nlow/elsewhere.wav\n")
    found = sources.find(str(word_folder), SPLITS).clips
    assert [c.split for c in found].count("val") == 2
    listing.write_text("high_b_0.wav\n")
    with pytest.raises(UserError, match=r"names no recording.*'high_b_0\.wav'"):
        sources.find(str(word_folder), SPLITS)


@pytest.mark.parametrize(
    "clips", [[], [Clip("a", "1")], [Clip("a", "1"), Clip("b", "2")]]
)
def test_too_few_clips_to_hold_out(clips):
    with pytest.raises(UserError, match="no validation split can be made"):
        held_out(clips, 0.1)


# From here on through the command line: one line, status 2, nothing written.


def test_missing_folder(fails, tmp_path):
    run = tmp_path / "run"
    line = fails("train", "--workdir", run, "--data", tmp_path / "no")
    assert "there is no such folder" in line and not run.exists()


def test_names_too_long_for_a_file(fails, tmp_path):
    from apps.speech.trained import open_trained

    name = "x" * 300
    line = fails("train", "--workdir", tmp_path / "run", "--data", name)
    assert "there is no such folder" in line
    line = fails("predict", f"{name}.tflite", "a.wav")
    assert "there is no such model file" in line
    with pytest.raises(UserError, match="there is no such model file"):
        open_trained(name, "adapt")
    with pytest.raises(UserError, match="there is no such file or folder"):
        sources.read_noise([name], "--noise", 1.0)


def test_empty_folder(fails, tmp_path):
    (tmp_path / "data").mkdir()
    run = tmp_path / "run"
    line = fails("train", "--workdir", run, "--data", tmp_path / "data")
    assert "holds no recordings" in line and not run.exists()


def test_file_instead_of_a_folder(fails, tmp_path):
    (tmp_path / "a.wav").touch()
    line = fails("train", "--workdir", tmp_path / "run", "--data", tmp_path / "a.wav")
    assert "is not a folder" in line


def test_class_without_clips(fails, word_folder, tmp_path):
    (word_folder / "extra").mkdir()
    run = tmp_path / "run"
    line = fails("train", "--workdir", run, "--data", word_folder)
    assert "the class 'extra' has no clips" in line and not run.exists()


def test_class_without_training_clips(fails, word_folder, tmp_path):
    table(word_folder, "train", [("high/a_0.wav", "high")])
    table(word_folder, "val", [("low/a_0.wav", "low")])
    line = fails("train", "--workdir", tmp_path / "run", "--data", word_folder)
    assert "the class 'low' has no clips in the training split" in line


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"", "the file is empty"), (b"RIFF\0\0\0\0WAVEjunk", "damaged")],
)
def test_bad_clip_among_good_ones(fails, word_folder, tmp_path, content, part):
    (word_folder / "low" / "a_1.wav").write_bytes(content)
    run = tmp_path / "run"
    line = fails("train", "--workdir", run, "--data", word_folder)
    assert part in line and "low/a_1.wav" in line and not run.exists()


def test_nan_clip(fails, word_folder, tmp_path):
    path = word_folder / "low" / "a_1.wav"
    soundfile.write(path, np.full(100, np.nan), RATE, "FLOAT")
    line = fails("train", "--workdir", tmp_path / "run", "--data", word_folder)
    assert "must be a finite number" in line and str(path) in line


def test_ten_minute_clip(fails, word_folder, tmp_path):
    soundfile.write(word_folder / "low" / "a_1.wav", np.zeros(600 * 8000), 8000)
    line = fails("train", "--workdir", tmp_path / "run", "--data", word_folder)
    assert "lasts 600.0 s; at most 30 s can be taken" in line


def test_clips_of_other_rates_and_channels_are_taken(word_folder):
    from apps.speech.clips import Audio

    stereo = np.stack([tone(500, 1.0, 44_100)] * 2, 1)
    path = word_folder / "low" / "a_1.wav"
    soundfile.write(path, stereo, 44_100, "PCM_U8")
    clips = [c for c in sources.find(str(word_folder), SPLITS).clips if c.word == "low"]
    audio = Audio.read(clips)
    found = audio[[c.source for c in clips].index(str(path))]
    np.testing.assert_allclose(found[200:-200], tone(500)[200:-200], atol=0.02)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("hihg,low", "did you mean 'high'?"),
        ("high,,low", "holds an empty word"),
        ("high,high", "'high' is there twice"),
        ("high,High", "'high' is there twice"),
        ("high,silence", "cannot be a keyword"),
    ],
)
def test_bad_words(fails, word_folder, tmp_path, words, part):
    run = tmp_path / "run"
    line = fails("train", "--workdir", run, "--data", word_folder, "--words", words)
    assert part in line and not run.exists()


def test_unknown_dataset(fails, tmp_path):
    line = fails("train", "--workdir", tmp_path / "run", "--data", "tfds:no_such_words")
    assert "tfds:no_such_words" in line


def test_tfds_speech_commands(tmp_path, monkeypatch):
    """Clips, classes and splits of TFDS's own set, prepared here from made clips."""
    import tensorflow_datasets as tfds

    prepare_speech_commands(tfds, tmp_path)
    real = tfds.builder
    monkeypatch.setattr(
        tfds, "builder", lambda name: real(name, data_dir=str(tmp_path))
    )
    recordings = sources.find("tfds:speech_commands", SPLITS)
    assert recordings.words == ["down", "yes"]
    assert counts(recordings, "train") == {"yes": 4, "down": 4, UNKNOWN: 4, SILENCE: 4}
    assert counts(recordings, "val") == {"yes": 2, "down": 2, UNKNOWN: 2, SILENCE: 2}
    clip = next(c for c in recordings.split("train", 0.1) if c.word == "down")
    assert clip.pcm.dtype == np.int16 and clip.pcm.max() > 5000
    # Silence is no noise for all splits: each hears its own.
    assert recordings.backgrounds() == []
    split = SpeechTask(SpeechConfig()).load("tfds:speech_commands", ("val",)).splits
    (noise,) = split["val"].background.recordings
    silences = [c.pcm for c in recordings.split("val", 0.1) if c.word == SILENCE]
    np.testing.assert_array_equal(noise, from_pcm16(np.concatenate(silences)))


def prepare_speech_commands(tfds, folder):
    """Writes a tiny prepared copy of tfds's speech_commands below `folder`."""
    builder = tfds.builder("speech_commands", data_dir=str(folder))
    labels = ("yes", "down", "_unknown_", "_silence_")

    def examples(count):
        for label in labels:
            for index in range(count):
                clip = (20_000 * tone(300 + 50 * index)).astype("int16")
                yield f"{label}{index}", {"audio": clip, "label": label}

    writer = tfds.dataset_builders.store_as_tfds_dataset
    made = writer(
        name="speech_commands",
        version=str(builder.version),
        features=builder.info.features,
        split_datasets={
            name: list(examples(count))
            for name, count in (("train", 4), ("validation", 2), ("test", 1))
        },
        data_dir=str(folder),
        disable_shuffling=True,
    )
    assert made.info.splits["train"].num_examples == 16


def test_tfds_with_our_own_builder(fails, tmp_path, monkeypatch):
    dummy = Path(__file__).parents[2] / "datasets/arabic_speech_commands"
    manual = tmp_path / "downloads" / "manual" / "arabic_speech_commands"
    shutil.copytree(dummy / "dummy_data", manual)
    own = builders.find_builder
    monkeypatch.setattr(
        builders, "find_builder", lambda name: type(own(name))(data_dir=str(tmp_path))
    )
    recordings = sources.find("tfds:arabic_speech_commands", ("train", "val"))
    assert counts(recordings, "train") == {"yes": 1, "no": 1, "zoom in": 1}
    assert {c.speaker for c in recordings.split("val", 0.1)} == {"00000002_NO"}
