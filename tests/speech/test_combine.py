"""Several models in one file: the mean of their answers, in every form."""

import keras
import numpy as np
import pytest
import soundfile

from apps.core.cli import main
from apps.core.config import to_json
from apps.core.errors import UserError
from apps.core.recogniser import load
from apps.core.training import save_model
from apps.speech import APP, models
from apps.speech.adapt import adopt
from apps.speech.config import SpeechConfig

LABELS = ["no", "yes"]


def save(folder, seed, labels=LABELS, **settings):
    """An untrained model of the same words as the others."""
    keras.utils.set_random_seed(seed)
    config = SpeechConfig(**{"filters": 4, "units": 8, **settings})
    folder.mkdir()
    metadata = {
        "app": "speech",
        "labels": labels,
        "settings": to_json(config),
        "training_data": {"name": folder.name},
    }
    save_model(models.build(config, len(labels)), folder / "model.keras", metadata)
    return folder


@pytest.fixture
def folders(tmp_path):
    other = {"model": "attention", "bands": 32, "range_db": 50.0, "hop_ms": 10}
    return [save(tmp_path / "a", 1), save(tmp_path / "b", 2, **other)]


def test_the_mean_of_what_each_says(folders, tmp_path, capsys):
    out = tmp_path / "both"
    asked = [str(folders[0]), str(folders[1] / "model.keras")]
    assert main(APP, ["combine", *asked, "--quantize", "none", "--out", str(out)]) == 0
    assert "the mean of 2 models" in capsys.readouterr().out
    clips = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype("float32")
    each = [load(str(f / "model.keras"), APP).runner for f in folders]
    answers = [runner.predict_on_batch(clips) for runner in each]
    assert np.abs(answers[0] - answers[1]).max() > 0.01
    for name in ("model.keras", "model.tflite", "saved_model"):
        found = load(str(out / name), APP)
        assert found.labels == tuple(LABELS)
        kinds = [member["model"] for member in found.metadata["combined"]]
        assert kinds == ["crnn", "attention"]
        data = [member["training_data"] for member in found.metadata["combined"]]
        assert data == [{"name": "a"}, {"name": "b"}]
        np.testing.assert_allclose(
            found.runner.predict_on_batch(clips), np.mean(answers, 0), atol=1e-5
        )


def test_what_cannot_be_combined(folders, fails, tmp_path):
    first, out = folders[0], tmp_path / "out"
    assert "one model alone" in fails("combine", first, "--out", out)
    more = save(tmp_path / "c", 3, labels=["no", "stop", "yes"])
    line = fails("combine", first, more, "--out", out)
    assert "has the labels no, stop, yes" in line and "in the same order" in line
    live = save(tmp_path / "d", 4, model="stream_crnn", units=14)
    assert "is a streaming model" in fails("combine", first, live, "--out", out)
    assert "no such model" in fails("combine", first, tmp_path / "x", "--out", out)
    assert not out.exists()


def test_no_model_is_written_over(folders, fails):
    """Neither one of those that are read, nor what a training has made."""
    first, second = folders
    before = (first / "model.keras").read_bytes()
    assert "name another folder" in fails("combine", *folders, "--out", first)
    (second / "config.json").write_text("{}")
    line = fails("combine", first, first / "model.keras", "--out", second)
    assert "holds a training run" in line
    assert (first / "model.keras").read_bytes() == before


def test_what_is_done_with_one_network_alone(folders, fails, tmp_path, capsys):
    """Words can be selected of a combined model; it is not looked into or adapted."""
    out = tmp_path / "both"
    assert main(APP, ["combine", *map(str, folders), "--out", str(out)]) == 0
    part = tmp_path / "yes"
    asked = ["select", str(out / "model.keras"), "--words", "yes", "--out", str(part)]
    assert main(APP, asked) == 0
    assert load(str(part / "model.keras"), APP).labels == ("yes", "unknown")
    capsys.readouterr()
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.zeros(16_000), 16_000)
    wanted = ("inspect", out / "model.keras", sound, "--out", tmp_path / "look")
    assert "inspect one of them" in fails(*wanted)
    with pytest.raises(UserError, match="adapt one of them"):
        adopt(models.build(SpeechConfig(filters=4, units=8), 2), LABELS, str(out))


def test_bands_of_another_range_are_not_adapted(folders):
    settings = {"model": "attention", "filters": 4, "units": 8, "bands": 32}
    for other in ({"highest_hertz": 3800.0, "range_db": 50.0}, {"range_db": 30.0}, {}):
        fresh = models.build(SpeechConfig(**settings, hop_ms=10, **other), 2)
        with pytest.raises(UserError, match=r"highest_hertz=7600\.0, range_db=50\.0"):
            adopt(fresh, LABELS, str(folders[1]))


def test_frames_of_another_length_are_not_adapted(folders):
    """No weight has another shape, yet time would pass at another speed."""
    settings = {"model": "attention", "filters": 4, "units": 8, "bands": 32}
    fresh = models.build(SpeechConfig(**settings, range_db=50.0), 2)
    with pytest.raises(UserError, match="hop_ms=10"):
        adopt(fresh, LABELS, str(folders[1]))
