"""Drawings are valid files of their kind, whatever the title says."""

import numpy as np
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import UserError
from apps.handwriting import drawing
from apps.handwriting.ink import Ink

INK = Ink((np.array([[0.0, 0], [10, 5], [20, 0]]), np.array([[5.0, 9]])))
FLAT = Ink((np.array([[0.0, 0], [1000, 0]]),))


@given(st.text(max_size=20))
def test_svg_is_well_formed_for_any_title(title):
    root = ElementTree.fromstring(drawing.svg([INK, FLAT], [title, ""]))
    tags = [e.tag.rpartition("}")[2] for e in root.iter()]
    assert tags.count("polyline") == 2
    assert tags.count("circle") == 3


def test_svg_stays_inside_its_page():
    root = ElementTree.fromstring(drawing.svg([INK, FLAT], ["a", "b"]))
    width, height = float(root.get("width")), float(root.get("height"))
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        for pair in line.get("points").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_png_and_unknown_suffix(tmp_path):
    drawing.draw([INK, FLAT], ["$ink$", "\x00"], str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"\.svg or \.png, not \.pdf"):
        drawing.draw([INK], ["a"], str(tmp_path / "a.pdf"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
