"""The application end to end on made-up sounds, through its command line."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

import seqcore
from apps.core.cli import main
from apps.speech import APP
from apps.speech.clips import SILENCE, UNKNOWN
from apps.speech.config import SpeechConfig
from apps.speech.task import SpeechTask
from tests.speech.conftest import RATE, tone

SETTINGS = ["epochs=6", "batch_size=8", "units=16", "filters=4", "learning_rate=0.01",
            "warmup_epochs=0.5", "speed=0.02", "band_warp=0.02"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two tones to recognise, two others, each by three "speakers"."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for word, hertz in {"high": 2500, "low": 300, "mid": 900, "top": 5000}.items():
        (folder / word).mkdir()
        for speaker in "abcd":
            for take in range(4):
                clip = tone(hertz * rng.uniform(0.97, 1.03))
                clip += rng.normal(0, 0.003, len(clip))
                path = folder / word / f"{speaker}_{take}.wav"
                soundfile.write(path, clip, RATE, "PCM_16")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech") / "run"
    arguments = ["train", "--workdir", str(folder), "--data", str(data)]
    arguments += ["--words", "high, low"]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    assert main(APP, arguments) == 0
    return folder


def evaluate(capsys, model, data, *more):
    capsys.readouterr()
    arguments = ["evaluate", str(model), "--data", str(data), "--json", *more]
    assert main(APP, arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_the_run_is_complete_and_learned(run):
    for name in ("model.keras", "saved_model", "model.tflite", "report.md"):
        assert (run / name).exists()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert len(rows) == 6
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert max(row["accuracy"] for row in rows) > 0.7


def test_every_form_gives_the_same_accuracy(run, data, capsys, tmp_path):
    arguments = ["export", str(run / "model.keras"), "--out", str(tmp_path)]
    assert main(APP, [*arguments, "--quantize", "none"]) == 0
    forms = (run / "model.keras", run / "saved_model", tmp_path / "model.tflite")
    found = [evaluate(capsys, form, data) for form in forms]
    # Four clips of one speaker for each keyword, one of unknown, one of silence.
    assert {f["n"] for f in found} == {10}
    assert len({f["accuracy"] for f in found}) == 1


def test_all_unknown_scores_more(run, data, capsys):
    found = evaluate(capsys, run / "model.tflite", data, "--all-unknown")
    assert found["n"] == 17 and found["per_class"][UNKNOWN]["n"] == 8


def test_whole_scores_every_split(run, data, capsys):
    """Sixteen clips a keyword, and of unknown and silence a tenth of those 32."""
    assert evaluate(capsys, run / "model.tflite", data, "--whole")["n"] == 32 + 3 + 3


def test_predict_on_any_recording(run, capsys, tmp_path):
    stereo = np.stack([tone(2500, 2.5, 44_100), np.zeros(110_250)], 1)
    paths = [tmp_path / name for name in ("a.wav", "b.flac", "c.ogg", "d.wav")]
    for path in paths[:3]:
        soundfile.write(path, stereo, 44_100)
    soundfile.write(paths[3], tone(2500, 0.4, 8000), 8000, "PCM_U8")
    arguments = ["predict", str(run / "model.tflite"), *map(str, paths)]
    capsys.readouterr()
    assert main(APP, [*arguments, "--json", "--top", "4"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert len(answers) == 4
    for path, answer in zip(paths, answers, strict=True):
        assert answer["file"].startswith(str(path))
        assert {c["label"] for c in answer["candidates"]} == {
            "high", "low", UNKNOWN, SILENCE
        }  # fmt: skip
        assert abs(sum(c["score"] for c in answer["candidates"]) - 1) < 0.01
    # The loudest second lies in the middle of two and a half.
    assert "(from 0.7" in answers[0]["file"]


@pytest.mark.parametrize(
    ("samples", "rate", "part"),
    [
        (np.zeros(600 * 8000, "int16"), 8000, "at most 30 s"),
        (np.full(100, np.nan), RATE, "must be a finite number"),
        (np.zeros(0), RATE, "holds no samples"),
    ],
)
def test_predict_refuses(run, fails, tmp_path, samples, rate, part):
    path = tmp_path / "a.wav"
    kind = "FLOAT" if samples.dtype == float else "PCM_16"
    soundfile.write(path, samples, rate, kind)
    assert part in fails("predict", run / "model.tflite", path)


def test_words_the_model_does_not_know(run, data, fails, tmp_path):
    """Unknown words are `unknown` to this model; but some word must be known."""
    for word in ("one", "two"):
        (tmp_path / word).mkdir()
        for index in range(8):
            path = tmp_path / word / f"{index}.wav"
            soundfile.write(path, tone(440), RATE)
    line = fails("evaluate", run / "model.tflite", "--data", tmp_path)
    assert "no word of it (one, two) is a label of the model" in line


def test_a_word_unknown_to_a_model_without_that_class(run, data, fails, tmp_path):
    from seqcore.export import write_metadata

    metadata = seqcore.read_metadata(run / "model.keras")
    assert metadata["labels"] == ["high", "low", UNKNOWN, SILENCE]
    path = tmp_path / "model.keras"
    shutil.copy(run / "model.keras", path)
    write_metadata(path, metadata | {"labels": ["high", "low", "top", SILENCE]})
    line = fails("evaluate", path, "--data", data)
    assert "the model has no label 'mid', and no class for unknown words" in line


def test_a_split_without_a_keyword(run, fails, tmp_path):
    """The word is known, but not in the split asked for."""
    clip = tone(440)
    rows = {"train": "high", "val": "other"}
    for split, word in rows.items():
        soundfile.write(tmp_path / f"{word}.wav", clip, RATE)
        (tmp_path / f"{split}.csv").write_text(f"file,class\n{word}.wav,{word}\n")
    line = fails("evaluate", run / "model.tflite", "--data", tmp_path)
    assert "the val split has no clip of a keyword (high, low)" in line


def test_training_data(data):
    task = SpeechTask(SpeechConfig(words="high,low"))
    loaded = task.load(str(data), ("train", "val"))
    assert loaded.labels == ("high", "low", UNKNOWN, SILENCE)
    train = loaded.splits["train"]
    assert train.classes.names == ("high", "low", SILENCE, "mid", "top")
    # Twelve clips a word, and silence for a tenth of the keywords' 24.
    assert len(train) == 48 + 2 and list(train.targets).count(2) == 24
    batches = task.training_batches(train)
    assert len(batches) == 1 and batches[0][1].shape == (50, 5)
    # The other words together weigh a tenth of the keywords.
    model = task.build_model(loaded)
    assert model.get_layer("labels").weights_of == pytest.approx(
        [1.0, 1.0, 1.0, 0.1, 0.1]
    )


def test_training_by_the_plain_protocol(data):
    task = SpeechTask(SpeechConfig(words="high,low", other_words=False))
    loaded = task.load(str(data), ("train",))
    batches = task.training_batches(loaded.splits["train"])
    assert batches.count == 24 + 2 + 2
    counts = np.bincount(
        np.asarray(loaded.splits["train"].targets)[batches.order()], minlength=4
    )
    assert counts.tolist() == [12, 12, 2, 2]
    assert task.build_model(loaded).output_shape == (None, 4)


def test_synthetic_voices_beside_recordings(data):
    """In training alone: the keywords, and other words to refuse."""
    config = SpeechConfig(words="high,low", synthetic_takes=4)
    loaded = SpeechTask(config).load(str(data), ("train", "val"))
    train, val = loaded.splits["train"], loaded.splits["val"]
    spoken = [s for s in train.sources if "take" in s]
    assert sum(s.startswith(("high by", "low by")) for s in spoken) == 8
    assert sum(w not in ("high", "low", "mid", "top") for w in train.words) > 30
    assert loaded.description["synthetic clips"] == len(spoken)
    assert not any("take" in source for source in val.sources)


def test_synthetic_voices_give_way_to_recordings(data):
    """Their part of an epoch goes from the one setting to the other."""
    settings = {"synthetic_takes": 8, "synthetic_first": 0.75, "synthetic_last": 0.25}
    task = SpeechTask(SpeechConfig(words="high,low", epochs=3, **settings))
    split = task.load(str(data), ("train",)).splits["train"]
    batches = task.training_batches(split)
    synthetic = np.array(["take" in source for source in split.sources])
    silent = np.array([word == "silence" for word in split.words])
    orders = []
    for batches.epoch in range(3):
        orders.append(batches.order())
        assert len(orders[-1]) == len(split)
        assert silent[orders[-1]].sum() == silent.sum()
    part = [synthetic[order].sum() / np.sum(~silent) for order in orders]
    np.testing.assert_allclose(part, [0.75, 0.5, 0.25], atol=0.01)
    # What unknown weighs is counted in the last epoch, not in all clips.
    words, chosen = np.array(split.words), orders[2]
    known = np.isin(words[chosen], ["high", "low"]).sum()
    others = (~np.isin(words[chosen], ["high", "low", "silence"])).sum()
    merge = task.build_model(task.load(str(data), ("train",))).get_layer("labels")
    assert min(merge.weights_of) == pytest.approx(0.1 * known / others, rel=0.1)
    # Every recording as often as the others, or once more.
    counts = np.bincount(orders[2], minlength=len(split))[~synthetic & ~silent]
    assert counts.max() - counts.min() <= 1


def test_a_teacher_of_the_same_words(run, data, fails, tmp_path):
    from apps.speech.teacher import teacher

    labels = ("silence", "high")
    clips = np.stack([tone(2500), tone(300)]).astype("float32")
    found = teacher(str(run), labels)(clips)
    model = keras.saving.load_model(run / "model.keras", compile=False)
    expected = model.predict_on_batch(clips)[:, [3, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    folder = tmp_path / "run"
    other = run / "model.tflite"
    wanted = ("train", "--data", data, "--set", f"teacher={other}", "--workdir", folder)
    assert f"teacher={other}: must be a .keras file" in fails(*wanted)
    wanted = ("train", "--data", data, "--set", f"teacher={run}", "--workdir", folder)
    assert "does not know 'mid', which this training tells apart" in fails(*wanted)
    assert not folder.exists()


def test_noise_for_training_alone(data, tmp_path):
    """The first seven tenths of it, in no other split."""
    noise = tmp_path / "noise"
    noise.mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(noise / "a.wav", rng.uniform(0.1, 0.2, 10 * RATE), RATE)
    soundfile.write(tmp_path / "b.flac", rng.uniform(0.1, 0.2, 8 * RATE), RATE)
    config = SpeechConfig(noise=f"{noise}, {tmp_path / 'b.flac'}")
    splits = SpeechTask(config).load(str(data), ("train", "val")).splits
    train, val = (splits[name].background for name in ("train", "val"))
    assert [len(x) for x in train.recordings] == [7 * RATE, int(5.6 * RATE)]
    assert val.recordings == []
    # Positive samples come from nowhere else: made-up noise has no offset.
    drawn = train.draw(100, RATE, rng)
    assert 30 < (drawn > 0).all(axis=1).sum() < 70


def test_noise_that_cannot_be_used(data, fails, tmp_path):
    (tmp_path / "empty").mkdir()
    soundfile.write(tmp_path / "short.wav", tone(400, 3), RATE)
    common = ("train", "--data", data, "--workdir", tmp_path / "run", "--noise")
    for name, part in (
        ("none", "--noise {}: there is no such file or folder"),
        ("empty", "--noise {}: holds no recording"),
        ("short.wav", "--noise {}: is shorter than 7 s"),
    ):
        assert part.format(tmp_path / name) in fails(*common, tmp_path / name)
    assert not (tmp_path / "run").exists()


def test_settings_of_the_app_are_declared_cheaply():
    code = (
        "import sys, apps.speech\n"
        "assert not {'keras', 'tensorflow', 'numpy', 'soundfile'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
