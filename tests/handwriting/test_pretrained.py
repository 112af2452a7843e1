"""Training begins with the weights of another model, where they mean the same."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from apps.core.config import to_json
from apps.core.errors import UserError
from apps.handwriting import models
from apps.handwriting.config import CONFIGS
from apps.handwriting.pretrained import adopt
from apps.handwriting.task import make_task
from seqcore.export import write_metadata

SMALL = {"units": 6, "filters": 8, "layers": 2}


def small(name, **settings):
    return dataclasses.replace(CONFIGS[name], **SMALL, **settings)


def saved(model, config, labels, path):
    model.save(path)
    about = {"app": "handwriting", "labels": labels, "settings": to_json(config)}
    write_metadata(path, about)
    return str(path)


def test_training_can_begin_with_a_trained_model(tmp_path):
    keras.utils.set_random_seed(0)
    config = small("words")
    old = models.transcriber(config, 3)
    path = saved(old, config, list("abc"), tmp_path / "old.keras")
    config = small("words", begin_with=path)
    new = models.transcriber(config, 4)
    fresh = new.get_layer("logits").get_weights()[0][:, 1].copy()
    adopt(new, list("bxca"), config)
    np.testing.assert_array_equal(new.get_weights()[0], old.get_weights()[0])
    before, after = (m.get_layer("logits").get_weights()[0] for m in (old, new))
    np.testing.assert_array_equal(after[:, [3, 0, 2, 4]], before)  # a, b, c, blank
    np.testing.assert_array_equal(after[:, 1], fresh)  # x: nothing known of it
    larger = dataclasses.replace(config, units=7)
    with pytest.raises(UserError, match="another architecture"):
        adopt(models.transcriber(larger, 3), list("abc"), larger)
    for setting, value in (("resample", 0.7), ("stride", 2)):
        other = dataclasses.replace(config, **{setting: value})
        words = rf"was trained with {setting}=.*{setting}={value} would"
        with pytest.raises(UserError, match=words):
            adopt(models.transcriber(other, 3), list("abc"), other)


def test_a_classifier_can_begin_with_a_trained_one(tmp_path):
    keras.utils.set_random_seed(0)
    config = small("digits")
    old = models.classifier(config, 3)
    path = saved(old, config, list("012"), tmp_path / "old.keras")
    ink = np.random.default_rng(0).uniform(0, 9, (1, 12, 4)).astype("float32")
    ink[..., 3] = 0

    def logits(labels):
        task = make_task(small("digits", begin_with=path))
        data = type("Data", (), {"labels": labels})
        new = task.build_model(data)
        return ops.convert_to_numpy(ops.log(new(ink, training=False)))[0]

    want = ops.convert_to_numpy(ops.log(old(ink, training=False)))[0]
    np.testing.assert_allclose(logits("210"), want[::-1], atol=1e-5)
    found = logits("2x0")
    np.testing.assert_allclose(found[0] - found[2], want[2] - want[0], atol=1e-5)
    assert logits("xy").shape == (2,)  # what is known of no label goes on as well
