"""An installed package can build the page as a checkout can."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_every_file_of_the_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["apps.web"]
    page = ROOT / "apps" / "web"
    packed = {path for glob in globs for path in page.glob(glob) if path.is_file()}
    there = {
        path
        for path in page.rglob("*")
        if path.is_file()
        and "node_modules" not in path.parts
        and path.suffix not in (".py", ".pyc")
        and path.name != ".gitignore"
    }
    assert len(there) > 20
    assert packed == there
