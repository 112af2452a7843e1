"""The twelve-class protocol: which clips are scored, as what, and how many."""

import numpy as np
import pytest

from apps.core.errors import UserError
from apps.speech import protocol
from apps.speech.clips import CLIP_SAMPLES, SILENCE, UNKNOWN, Clip
from apps.speech.config import CONFIGS, SpeechConfig
from apps.speech.noise import Background, coloured, noisy_place

CONFIG = SpeechConfig()
LABELS = ("yes", "no", UNKNOWN, SILENCE)


def clips(words=("yes", "no", "cat", "dog"), each=50):
    return [Clip(word, f"{word}{i}") for word in words for i in range(each)]


def words_of(drawn):
    return [clip.word for clip in drawn]


def test_a_tenth_of_unknown_and_of_silence():
    drawn, silences = protocol.draw_for_evaluation(clips(), LABELS, CONFIG, "val")
    assert words_of(drawn).count("yes") == words_of(drawn).count("no") == 50
    assert sum(word in ("cat", "dog") for word in words_of(drawn)) == 10
    assert silences == 10


def test_the_draw_is_fixed_and_differs_by_split():
    def draw(split, config=CONFIG):
        return protocol.draw_for_evaluation(clips(), LABELS, config, split)[0]

    assert draw("val") == draw("val")
    # Another run's seed changes nothing: models are compared on the same clips.
    assert draw("val") == draw("val", SpeechConfig(seed=5))
    assert draw("val") != draw("test")


def test_all_unknown():
    config = SpeechConfig(all_unknown=True)
    drawn, _ = protocol.draw_for_evaluation(clips(), LABELS, config, "val")
    assert len(drawn) == 200


def test_a_model_without_unknown_scores_its_own_words():
    drawn, silences = protocol.draw_for_evaluation(
        clips(), ("yes", "no"), CONFIG, "val"
    )
    assert set(words_of(drawn)) == {"yes", "no"} and silences == 0


def test_silence_clips_of_the_data_are_used_first():
    many = clips(("yes", "no", SILENCE))
    drawn, silences = protocol.draw_for_evaluation(many, LABELS, CONFIG, "val")
    assert words_of(drawn).count(SILENCE) == 10 and silences == 0
    few = [c for c in many if c.word != SILENCE] + [Clip(SILENCE, "one")]
    drawn, silences = protocol.draw_for_evaluation(few, LABELS, CONFIG, "val")
    assert words_of(drawn).count(SILENCE) == 1 and silences == 9


@pytest.mark.parametrize(
    ("words", "keywords", "special", "expected"),
    [
        (["a", "b"], "", set(), ("a", "b", SILENCE)),
        (["a", "b"], "b", set(), ("b", UNKNOWN, SILENCE)),
        (["a", "b"], "b, a", set(), ("b", "a", SILENCE)),
        (["a", "b"], "", {UNKNOWN}, ("a", "b", UNKNOWN, SILENCE)),
    ],
)
def test_labels(words, keywords, special, expected):
    config = SpeechConfig(words=keywords)
    assert protocol.choose_labels(words, (), config, special, "data") == expected


def test_classes_of_training():
    classes = protocol.Classes(LABELS, ("cat", "dog"))
    assert classes.names == ("yes", "no", SILENCE, "cat", "dog")
    assert classes.groups == [0, 1, 3, 2, 2]
    assert protocol.Classes(LABELS).names == LABELS


def test_words_the_model_does_not_know():
    with pytest.raises(UserError, match=r"no label 'cat', and no class for unknown"):
        protocol.check_known(["cat", "yes"], ("yes", "no", SILENCE), "data")
    with pytest.raises(UserError, match=r"no word of it \(cat, dog\) is a label"):
        protocol.check_known(["cat", "dog"], LABELS, "data")
    protocol.check_known(["cat", "yes"], LABELS, "data")


def test_silence_has_many_levels_and_is_fixed():
    background = Background([], "val")
    found = protocol.silence_clips(40, background, "val")
    again = protocol.silence_clips(40, Background([], "val"), "val")
    np.testing.assert_array_equal(found, again)
    level = 20 * np.log10([np.sqrt(np.mean((c / 32768.0) ** 2)) for c in found])
    assert found[0].shape == (CLIP_SAMPLES,) and found[0].dtype == np.int16
    assert -61 < level.min() < -50 and -30 < level.max() < -19


def test_splits_hear_different_noise():
    ramp = np.arange(100 * CLIP_SAMPLES, dtype="float32")
    parts = {s: Background([ramp], s).recordings[0] for s in ("train", "val", "test")}
    assert parts["train"].max() < parts["val"].min()
    assert parts["val"].max() < parts["test"].min()
    train, val = Background([], "train"), Background([], "val")
    assert abs(np.corrcoef(train.colours[0], val.colours[0])[0, 1]) < 0.05


def test_short_noise_begins_again():
    """A sequence of joined clips may be longer than any recording of noise."""
    tone = np.sin(np.arange(3 * CLIP_SAMPLES) * 2 * np.pi / 100).astype("float32")
    background = Background([], "val", seconds=1.0, own=[tone])
    found = background.draw(20, 7 * CLIP_SAMPLES, np.random.default_rng(0))
    assert np.isfinite(found).all()
    recorded = np.abs(found[:, 100:] - found[:, :-100]).max(axis=1) < 1e-3
    assert 4 < recorded.sum() < 16


@pytest.mark.parametrize(("exponent", "slope"), [(0.0, 0.0), (1.0, -10), (2.0, -20)])
def test_colours_of_noise(exponent, slope):
    """Power falls by 10 dB a decade for each unit of the exponent."""
    noise = coloured(exponent, 1 << 17, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / 16000)

    def around(hertz):
        near = (frequency > 0.8 * hertz) & (frequency < 1.25 * hertz)
        return 10 * np.log10(power[near].mean())

    assert abs(around(4000) - around(400) - slope) < 1
    np.testing.assert_allclose(np.sqrt(np.mean(noise**2)), 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"model": "cnn"}, "model=cnn: must be one of crnn, attention, "),
        ({"unknown_share": 1.5}, r"must be in \[0, 1\]"),
        ({"speed": 0.9}, r"must be in \[0, 0.5\]"),
        ({"units": 0}, "must be at least 1"),
        ({"shift_ms": -1.0}, r"must be in \[0, 500\]"),
        ({"snr_low_db": 40.0}, "must not exceed"),
        ({"highest_hertz": 800.0}, "must be 1000 to 8000"),
        ({"voices": "espeak,festival"}, "voices=espeak,festival: must be espeak, or"),
        ({"voices": "flite"}, "must be espeak, or espeak and others"),
        ({"model": "stream_crnn", "range_db": 30.0}, "range_db: needs the whole clip"),
        ({"model": "stream_crnn", "hop_ms": 10}, "a streaming model has 20"),
        ({"hop_ms": 15}, "hop_ms=15: must be 5, 10 or 20"),
        ({"synthetic_first": 0.5}, "need clips beside the recordings"),
    ],
)
def test_settings_out_of_range(settings, part):
    with pytest.raises(UserError, match=part):
        SpeechConfig(**settings).validated()


def test_voices_taken_apart():
    assert SpeechConfig(voices="espeak, kokoro,flite").engines() == ("kokoro", "flite")
    assert SpeechConfig().engines() == ()


def test_presets_are_valid():
    assert {"crnn", "attention", "stream_crnn", "dense", "adapt"} <= set(CONFIGS)
    for config in CONFIGS.values():
        config.validated()


def test_places_differ_and_only_training_hears_them():
    rng = np.random.default_rng(0)
    places = [noisy_place(32_000, rng) for _ in range(12)]
    for place in places:
        assert place.dtype == np.float32 and len(place) == 32_000
        assert np.sqrt(np.mean(place**2)) == pytest.approx(1, abs=1e-3)
    # Steady hiss has a crest of about 4; some of these knock or call.
    crests = [np.abs(place).max() for place in places]
    assert min(crests) < 6 and max(crests) > 8
    tilt = [np.abs(np.fft.rfft(p))[:4000].mean() for p in places]
    assert max(tilt) > 1.5 * min(tilt)
    val = Background([], "val").draw(20, 16_000, np.random.default_rng(1))
    assert np.abs(val).max() < 6
