"""Augmentation does what its settings say, and a batch is a function of its place."""

import numpy as np
import pytest

from apps.speech.augment import SpeechBatches, speech_bounds, trim, warp
from apps.speech.clips import CLIP_SAMPLES, Audio
from apps.speech.config import SpeechConfig
from apps.speech.noise import Background
from tests.speech.conftest import tone

PLAIN = SpeechConfig(
    batch_size=8, shift_ms=0.0, speed=0.0, gain_db=0.0, noise_probability=0.0
)


def batches(draw=None, count=32, teacher=None, **settings):
    config = SpeechConfig(**{**vars(PLAIN), **settings})
    pcm = np.stack([(8000 * tone(200 + 10 * i)).astype("int16") for i in range(count)])
    targets = np.arange(count) % 3
    everything = np.arange(count)
    return SpeechBatches(
        Audio(pcm), targets, 4, 3, Background([], "train"), config,
        draw or (lambda rng, epoch: everything), teacher,
    )  # fmt: skip


def level(clips):
    return 20 * np.log10(np.sqrt(np.mean(np.square(clips), axis=1)))


def test_without_augmentation_the_clips_pass():
    made = batches()
    clips, targets = made[0]
    chosen = made.order()[:8]
    np.testing.assert_allclose(clips, made.clips[chosen], atol=1e-6)
    np.testing.assert_array_equal(targets.argmax(1), made.targets[chosen])


def test_warp_shifts():
    clip = tone(440)[None].astype("float32")
    late = warp(clip, [1.0], [160])
    np.testing.assert_allclose(late[0, 160:], clip[0, :-160], atol=1e-6)
    assert not late[0, :159].any()


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_warp_changes_speed_and_pitch(speed):
    clip = tone(1000)[None].astype("float32")
    spectrum = np.abs(np.fft.rfft(warp(clip, [speed], [0])[0]))
    assert abs(spectrum.argmax() - 1000 * speed) <= 2


def test_trimming_leaves_the_loud_part_alone():
    """Weak sound before a word goes, or stays, by the threshold drawn: 15 to 40 dB."""
    clip = np.zeros(CLIP_SAMPLES, "float32")
    wave = np.sin(np.arange(5600) * 0.3)
    clip[4000:6400] = 0.01 * wave[:2400]
    clip[6400:9600] = 0.5 * wave[2400:]
    starts = []
    for seed in range(40):
        cut = clip.copy()
        trim(cut, np.random.default_rng(seed))
        assert not cut[9600:].any()
        starts.append(int(np.flatnonzero(cut)[0]) // 160 * 160)
        np.testing.assert_array_equal(cut[6400:9600], clip[6400:9600])
    assert set(starts) == {4000, 6400}  # 34 dB apart
    assert 0.5 < np.mean(np.array(starts) == 6400) < 0.95


def test_only_the_share_is_trimmed():
    quiet = batches(trim_share=0.5)
    quiet.clips.pcm[:, :4000] //= 100
    clips, _ = quiet[0]
    trimmed = ~clips[:, :3900].any(axis=1)
    assert 0 < trimmed.sum() < len(clips)


def test_noise_has_the_wanted_ratio():
    made = batches(noise_probability=1.0, snr_low_db=10.0, snr_high_db=10.0)
    clips, _ = made[0]
    clean = made.clips[made.order()[:8]]
    np.testing.assert_allclose(level(clean) - level(clips - clean), 10, atol=0.01)


def test_gain_stays_in_its_range():
    made = batches(gain_db=6.0, batch_size=32)
    clips, _ = made[0]
    change = level(clips) - level(made.clips[made.order()])
    assert -6.01 < change.min() < -3 and 3 < change.max() < 6.01


def test_silence_is_background_cut_anew_each_epoch():
    made = batches(count=8)
    made.targets[:] = 3
    first, targets = made[0]
    assert (targets.argmax(1) == 3).all()
    assert (level(first) > -61).all() and (level(first) < -19).all()
    made.epoch = 1
    assert not np.array_equal(np.sort(made[0][0]), np.sort(first))


def test_a_batch_depends_on_seed_epoch_and_index_alone():
    settings = {"noise_probability": 0.5, "gain_db": 6.0, "speed": 0.1}
    made, again = batches(**settings), batches(**settings)
    again[3]  # another order of asking
    np.testing.assert_array_equal(made[1][0], again[1][0])
    again.epoch = 1
    assert not np.array_equal(made[1][0], again[1][0])
    assert not np.array_equal(made[1][0], batches(seed=1, **settings)[1][0])


def test_other_words_are_drawn_anew_each_epoch():
    def draw(rng, epoch):
        return np.concatenate([np.arange(24), 24 + rng.choice(8, 2, replace=False)])

    made = batches(draw, batch_size=13)
    assert len(made) == 2
    seen = set()
    for epoch in range(20):
        made.epoch = epoch
        order = made.order()
        assert set(range(24)) < set(order) and len(order) == 26
        seen |= set(order[order >= 24])
    assert seen == set(range(24, 32))


def test_clips_stay_in_range_and_keep_their_shape():
    clips, targets = batches(gain_db=40.0, batch_size=32)[0]
    assert clips.shape == (32, CLIP_SAMPLES) and clips.dtype == np.float32
    assert np.abs(clips).max() <= 1 and targets.shape == (32, 4)


def test_a_shift_keeps_the_word_in_its_clip():
    made = batches(shift_ms=300.0, speed=0.2, batch_size=32)
    said = np.zeros(CLIP_SAMPLES)
    said[4000:13_000] = 1
    made.clips.pcm[:] = (made.clips.pcm * said).astype("int16")
    made.bounds = speech_bounds(made.clips)
    assert made.bounds[:, 0].tolist() == [4000] * 32
    assert made.bounds[:, 1].tolist() == [13_120] * 32  # whole hundredths
    found = speech_bounds(Audio((made[0][0] * 32767).astype("int16")))
    length = found[:, 1] - found[:, 0]
    # 9,000 samples at speeds from 0.8 to 1.2, none cut.
    assert length.min() > 7300 and length.max() > 10_500
    assert found[:, 0].min() < 600 and found[:, 1].max() > 15_400


def test_a_teacher_is_part_of_the_target_but_for_silence():
    def uniform(clips):
        return np.full((len(clips), 4), 0.25, "float32")

    made = batches(teacher=uniform, teacher_share=0.6, batch_size=32)
    made.targets[:8] = 3
    _, targets = made[0]
    chosen = made.targets[made.order()]
    expected = np.where(np.eye(4)[chosen] > 0, 0.55, 0.15)
    expected[chosen == 3] = np.eye(4)[3]
    np.testing.assert_allclose(targets, expected, atol=1e-6)
