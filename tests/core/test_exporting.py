"""Protects what is in an export's folder where the next one fails."""

import keras
import pytest

import seqcore
from apps.core import exporting
from apps.core.errors import UserError


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_model_that_does_not_convert_replaces_nothing(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), seqcore.RNN(2)])
    found = exporting.export_all(model, tmp_path, "none", {"run": 1})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.tflite", "saved_model"]
    assert {path.parent for path in found.values()} == {tmp_path}
    before = contents(tmp_path)
    with pytest.raises(UserError, match="quantize='int3'"):
        exporting.export_all(model, tmp_path, "int3", {"run": 2})
    assert contents(tmp_path) == before
    exporting.export_all(model, tmp_path, "none", {"run": 3})
    for path in found.values():
        assert seqcore.read_metadata(path)["run"] == 3
