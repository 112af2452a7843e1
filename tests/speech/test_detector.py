"""The rule of detection, by hand and against itself, and the metadata it lives in."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import UserError
from apps.speech.detector import Detector, Rule, detect

LABELS = ("yes", "no", "unknown", "silence")
# Two chunks of smoothing, three of refractory time.
RULE = Rule(chunk=320, smoothing_ms=40, threshold=0.5, refractory_ms=60)


def run(rule, scores):
    detector = Detector(rule, LABELS)
    return [d for row in scores if (d := detector.step(np.array(row))) is not None]


def test_smoothing_threshold_and_time():
    scores = [[0.9, 0, 0, 0], [0.2, 0, 0, 0], [0, 0.4, 0, 0], [0, 0.6, 0, 0]]
    # Smoothed: 0.45 (the chunk before the first counts as 0), 0.55, 0.2, 0.5.
    found = run(RULE, scores)
    assert [(d.label, round(d.score, 6)) for d in found] == [("yes", 0.55)]
    assert found[0].seconds == pytest.approx(0.04)
    found = run(dataclasses.replace(RULE, refractory_ms=40), scores)
    assert [(d.label, round(d.seconds, 3)) for d in found] == [
        ("yes", 0.04),
        ("no", 0.08),
    ]


def test_a_word_is_reported_again_only_after_its_score_has_fallen():
    # Smoothed: 0.5 at once (exactly 0.5 is enough), then 1: one word that lasts.
    found = run(RULE, [[0, 1, 0, 0]] * 8)
    assert [round(d.seconds, 2) for d in found] == [0.02]
    # Down to 0.3 is not below half the threshold; down to 0.2 is.
    lingers = [[0, 1, 0, 0]] * 3 + [[0, 0.3, 0, 0]] * 2 + [[0, 1, 0, 0]] * 2
    assert [round(d.seconds, 2) for d in run(RULE, lingers)] == [0.02]
    falls = [[0, 1, 0, 0]] * 3 + [[0, 0.2, 0, 0]] * 2 + [[0, 1, 0, 0]] * 2
    assert [round(d.seconds, 2) for d in run(RULE, falls)] == [0.02, 0.12]


def test_nothing_is_reported_in_the_refractory_time():
    # "no" is the best from 0.06 s on, but "yes" was heard at 0.02 s.
    rule = dataclasses.replace(RULE, refractory_ms=80)
    found = run(rule, [[1, 0, 0, 0]] * 2 + [[0, 1, 0, 0]] * 4)
    assert [(d.label, round(d.seconds, 2)) for d in found] == [
        ("yes", 0.02),
        ("no", 0.1),
    ]


def test_ignored_labels_are_never_reported_and_hide_nothing():
    assert run(RULE, [[0.1, 0, 0.9, 0]] * 5) == []
    rule = dataclasses.replace(RULE, ignore=("no",))
    assert {d.label for d in run(rule, [[0.1, 0.9, 0.6, 0]] * 5)} == {"unknown"}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 60),
    st.sampled_from([0, 20, 60, 100]),
    st.sampled_from([0, 20, 100, 400]),
)
def test_all_at_once_is_the_same(seed, chunks, smoothing, refractory):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([0.3] * 4, chunks).astype("float32")
    rule = Rule(320, smoothing, 0.45, refractory)
    assert detect(rule, LABELS, scores) == run(rule, scores)


def test_the_rule_survives_the_metadata():
    assert Rule.from_metadata({"detector": RULE.to_json()}, "m.tflite") == RULE


@pytest.mark.parametrize(
    ("metadata", "part"),
    [
        ({}, "does not stream"),
        ({"detector": {"chunk": 320}}, "expected chunk, ignore"),
        ({"detector": RULE.to_json() | {"threshold": 1.5}}, "threshold 1.5"),
        ({"detector": RULE.to_json() | {"smoothing_ms": -1}}, "smoothing_ms -1"),
    ],
)
def test_metadata_that_holds_no_rule(metadata, part):
    with pytest.raises(UserError, match=part):
        Rule.from_metadata(metadata, "m.tflite")
