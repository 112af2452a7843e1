"""Augmentation of features: for training only, and no more than was asked for."""

import keras
import numpy as np
import pytest

from apps.speech import models
from apps.speech.config import SpeechConfig
from apps.speech.features import QUIETEST, LogMelSpectrogram
from apps.speech.spectral import (
    BandWarp,
    EachClip,
    Equaliser,
    SpecAugment,
    Tempo,
)


def trained(layer, features):
    return keras.ops.convert_to_numpy(layer(features, training=True))


@pytest.mark.parametrize(
    "layer",
    [SpecAugment(seed=1), BandWarp(seed=1), Tempo(seed=1), Equaliser(seed=1)],
)
def test_augmentation_is_for_training_only(layer):
    features = np.random.default_rng(0).normal(size=(8, 49, 40)).astype("float32")
    same = keras.ops.convert_to_numpy(layer(features, training=False))
    np.testing.assert_array_equal(same, features)
    changed = trained(layer, features)
    assert changed.shape == features.shape
    assert (changed != features).any(axis=(1, 2)).sum() >= 7


def test_spec_augment_blanks_no_more_than_asked():
    features = np.ones((64, 49, 40), "float32")
    layer = SpecAugment(time_masks=1, time_width=10, band_masks=1, band_width=5, seed=3)
    kept = trained(layer, features) > 0
    blank_frames = (~kept.any(axis=2)).sum(axis=1)
    blank_bands = (~kept.any(axis=1)).sum(axis=1)
    assert blank_frames.max() <= 10 and blank_bands.max() <= 5
    assert len(set(blank_frames)) > 5  # the widths vary from clip to clip
    for frames in ~kept.any(axis=2):  # one stretch each
        assert np.abs(np.diff(frames.astype(int))).sum() <= 2


def test_band_warp_moves_a_peak_in_proportion():
    features = np.zeros((200, 1, 40), "float32")
    features[:, :, 20] = 1
    warped = trained(BandWarp(0.1, seed=0), features)
    centres = (warped[:, 0] * np.arange(40)).sum(1) / warped[:, 0].sum(1)
    assert 17.5 < centres.min() < 19 and 21 < centres.max() < 23


def test_tempo_moves_a_peak_in_proportion_from_the_middle():
    features = np.zeros((200, 49, 2), "float32")
    features[:, 34] = 1  # ten frames after the middle
    changed = trained(Tempo(0.3, seed=0), features)[:, :, 0]
    places = changed.argmax(axis=1) - 24
    # Factors from 0.7 (slower, the peak later) to 1.3.
    assert places.min() in (7, 8, 9) and places.max() in (13, 14)


def test_the_equaliser_changes_bands_alike_in_every_frame():
    features = np.zeros((100, 9, 40), "float32")
    found = trained(Equaliser(6.0, seed=0), features)
    np.testing.assert_allclose(found, np.repeat(found[:, :1], 9, axis=1), atol=1e-6)
    most = 3 * 6.0 * np.log(10) / 10  # three cosines at their peak
    assert 0.4 * most < np.abs(found).max() <= most + 1e-5
    assert np.abs(np.diff(found, axis=2)).max() < 0.3 * most  # smooth


def test_the_equaliser_takes_upper_bands_from_some():
    features = np.zeros((400, 3, 40), "float32")
    found = trained(Equaliser(0.0, 0.25, first=30, seed=0), features)
    lost = (found == np.float32(QUIETEST)).all(axis=1)
    assert not lost[:, :30].any()
    some = lost.any(axis=1)
    assert 0.15 < some.mean() < 0.35
    assert lost[some, -1].all() and len(set(lost[some].sum(axis=1))) > 5


@pytest.mark.parametrize(
    "bands, highest, first",
    [(40, 7600, 31), (24, 7600, 18), (64, 7600, 50), (32, 3800, 32)],
)
def test_telephones_end_at_the_same_frequency(bands, highest, first):
    layer = LogMelSpectrogram(bands, highest_hertz=highest)
    assert layer.first_band_beyond(4000) == first
    config = SpeechConfig(bands=bands, highest_hertz=highest, filters=4, units=4)
    assert models.build(config, 2).get_layer("equaliser").first == first


def test_each_clip_by_itself():
    features = np.ones((2, 4 * 25, 40), "float32")
    layer = EachClip(SpecAugment(band_masks=0, time_masks=1, time_width=20, seed=0), 25)
    blank = (trained(layer, features) == 0).all(axis=2).reshape(8, 25).sum(axis=1)
    assert len(set(blank)) > 3 and blank.max() <= 20


@pytest.mark.parametrize(
    "layer",
    [
        SpecAugment(),
        BandWarp(0.2),
        Tempo(0.1),
        Equaliser(3.0, 0.1, first=20),
    ],
)
def test_layers_survive_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
