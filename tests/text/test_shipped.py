"""The shipped model answers straight after a clone."""

import json
import re
from pathlib import Path

import pytest

from apps.core.cli import main
from apps.text import APP

MODEL = Path(__file__).parents[2] / "saved_models" / "banking77" / "model.tflite"


def test_predicts(tmp_path, capsys):
    path = tmp_path / "queries.txt"
    path.write_text(
        "My card has not arrived yet\n"
        "I FORGOT MY PIN... how do i unlock it?\n"
        "what is the exchange rate for euros\n"
    )
    assert main(APP, ["predict", str(MODEL), str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    best = [row["candidates"][0]["label"] for row in rows]
    assert best == ["card_arrival", "pin_blocked", "exchange_rate"]


def test_is_small_and_holds_builtin_operators_only():
    from ai_edge_litert.interpreter import Interpreter

    assert MODEL.stat().st_size <= 1_500_000
    interpreter = Interpreter(str(MODEL))
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not [n for n in names if n.startswith("Flex") or n == "CUSTOM"]


@pytest.mark.data
def test_accuracy_on_the_part_not_trained_on(real_data, capsys):
    """The same split that the card's number was measured on."""
    data = str(real_data / "text" / "banking77")
    assert main(APP, ["evaluate", str(MODEL), "--data", data, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    card = (MODEL.parent / "README.md").read_text()
    measured = re.search(r"\*\*(0\.\d{4})\*\* on the 1,004", card)
    assert measured and row["n"] == 1004
    # Another processor may round one message to the other side.
    assert abs(row["accuracy"] - float(measured[1])) < 1.5 / 1004
