"""What Markdown asks of text."""


def cell(text: str) -> str:
    """`text` as a cell of a table holds it."""
    return " ".join(text.split()).replace("|", "\\|")
