"""Published collections of ink: who made them, and what may be done with them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Collection:
    name: str
    licence: str
    citation: str
    homepage: str
    limits: str = ""


PENDIGITS = Collection(
    name="Pen-Based Recognition of Handwritten Digits (UCI)",
    licence="CC BY 4.0",
    citation="E. Alpaydin and F. Alimoglu, Pen-Based Recognition of Handwritten "
    "Digits, UCI Machine Learning Repository, 1996, doi:10.24432/C5MG6K",
    homepage="https://archive.ics.uci.edu/dataset/81",
    limits="digits written on one tablet in the 1990s; nothing else was seen",
)
GW_ONLINE = Collection(
    name="Online-Handwritten George Washington Dataset",
    licence="non-commercial research and education only",
    citation="C. Wieprecht, L. Rothacker and G. A. Fink, Word Spotting in Historical "
    "Document Collections with Online-Handwritten Queries, DAS 2016",
    homepage="",
    limits="connected words of one writer",
)
IAM_ONDB = Collection(
    name="IAM On-Line Handwriting Database",
    licence="non-commercial research only, after registration",
    citation="M. Liwicki and H. Bunke, IAM-OnDB - an on-line English sentence "
    "database acquired from handwritten text on a whiteboard, ICDAR 2005",
    homepage="https://fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database",
    limits="English lines on a whiteboard",
)
OMNIGLOT = Collection(
    name="Omniglot",
    licence="MIT",
    citation="B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum, Human-level concept "
    "learning through probabilistic program induction, Science 350, 2015",
    homepage="https://github.com/brendenlake/omniglot",
)
_BY_PATH = {
    "pendigits": PENDIGITS,
    "gw_online": GW_ONLINE,
    "gw-online": GW_ONLINE,
    "iam_ondb": IAM_ONDB,
    "iam-ondb": IAM_ONDB,
    "iamondb": IAM_ONDB,
    "omniglot": OMNIGLOT,
}


def by_path(path: str) -> Collection | None:
    """The collection that a path names ("data/pendigits-orig.tra"), if any."""
    for word, collection in _BY_PATH.items():
        if word in path.lower():
            return collection
    return None
