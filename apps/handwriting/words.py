"""Text for the synthetic writer when the user gives none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TEXT = """
    a able about above across act add after again against age ago agree air all
    almost alone along already also although always am among an and angle animal
    another answer any anything appear apple are area arm army around arrive art as
    ask at away axe baby back bad bag ball bank base basket be bear beat beautiful
    became because become bed before began begin behind being believe below best
    better between beyond big bird bit black block blood blow blue board boat body
    bone book born both bottom box boy branch bread break bridge bright bring broken
    brother brought brown build burn business busy but buy by cake call came camp can
    cannot captain car care carry case cat catch cattle caught cause cell centre
    century certain chair chance change character charge check chief child children
    choose church circle city class clean clear climb clock close cloth clothes cloud
    coast cold collect colour column come common company complete condition consider
    contain continue control cook cool copy corn corner correct cost could council
    count country couple course court cover cow create cross crowd cry current cut
    dance danger dark daughter day dead deal dear death decide deep degree desire
    desk detail did die differ difficult dinner direct distance divide do doctor does
    dog dollar done door double down draw dream dress drink drive drop dry duke during
    each ear early earth ease east easy eat edge effect egg eight either electric
    else empty end enemy engine enjoy enough enter equal escape especially even
    evening event ever every exact example except excite exercise expect experience
    explain express eye face fact fair fall family famous far farm fast father favour
    fear feed feel feet fell felt few field fifteen fifty fight figure fill final find
    fine finger finish fire first fish fit five fix flat floor flow flower fly follow
    food foot for force foreign forest forget form fort forty forward found four fox
    frame free fresh friend from front fruit full fun game garden gas gather gave
    general gentle get girl give glad glass go goat gold gone good govern grand grass
    grave gray great green grew ground group grow guard guess guide gun had hair half
    hand happen happy hard has hat have he head hear heard heart heat heavy held help
    her here high hill him his history hit hold hole home honour hope horse hot hour
    house how however huge human hundred hunt hurry husband ice idea if imagine in
    inch include indeed industry insect instant instead instrument interest into iron
    is island it jacket jar job join journey joy judge jump june jury just keen keep
    kept key kick kill kind king kitchen knew knife know lady lake land language large
    last late laugh law lay lazy lead learn least leather leave led left leg length
    less lesson let letter level lie life lift light like line liquid list listen
    little live long look lost lot loud love low luck lunch machine made magnet main
    major make man many map march mark market master match matter may me mean measure
    meat meet member men mention metal method middle might mile milk million mind
    mine minute miss mix modern moment money monkey month moon more morning most
    mother motion mount mountain mouth move much multiply music must my name nation
    natural nature near neck need neighbour neither nerve never new next nice night
    nine no noise none nor north nose not note nothing notice noun now number object
    observe ocean of off offer office often oh oil old on once one only open operate
    opposite or orange order ordinary other our out oval over own oxygen page paid
    pain paint pair paper parent part party pass past path pay peace pen people per
    perhaps period person phrase picture piece pigeon pilot place plain plan plane
    planet plant play please plenty plough point poor port position possible post
    pound power practice prepare present press pretty price prince print private
    probable problem process produce promise proper protect prove provide public pull
    purple push put puzzle quality quantity quarter queen question quick quiet quite
    quote race radio rail rain raise ran range rather reach read ready real reason
    receive record red regard region remember repeat reply report require rest result
    return rich ride right ring rise river road rock roll roof room root rope rose
    rough round row rub rule run safe said sail salt same sand sat save saw say scale
    school science score sea season seat second secret section see seed seem seldom
    select sell send sense sentence separate serve settle seven several shade shall
    shape share sharp she sheep shell shine ship shirt shoe shop shore short should
    shoulder shout show side sight sign silent silver similar simple since sing single
    sister sit six size skill skin sky sleep slip slow small smell smile smoke snow so
    soap soft soil soldier solution some son song soon sort sound south space speak
    special speech speed spell spend spoke spot spread spring square stable stand star
    start state station stay steam steel step stick still stone stood stop store storm
    story straight strange stream street stretch string strong student study subject
    substance success such sudden suffix sugar suggest suit summer sun supply support
    sure surface surprise swim syllable symbol system table tail take talk tall taste
    teach team teeth tell temper ten term test than thank that the their them then
    there these they thick thin thing think third this those though thought thousand
    three through throw thus tie time tiny tire to together told tomorrow tone too
    took tool top total touch toward town track trade train travel tree triangle trip
    trouble truck true try tube turn twelve twenty two type under unit until up upon us
    use usual valley value vary vast verb very view village visit voice vowel voyage
    wagon wait walk wall want war warm was wash watch water wave way we wealth wear
    weather week weigh well went were west what wheat wheel when where whether which
    while white who whole whose why wide wife wild will win wind window wing winter
    wire wish with within without woman wonder wood word work world worth would wound
    write wrong wrote xylophone yard year yellow yes yesterday yet you young your zebra
    zero zigzag zone zoo
"""
WORDS = tuple(_TEXT.split())
"""Common English words, lower case."""
ENDINGS = ("s", "ed", "ing", "er", "ly", "ment", "tion", "ance", "ness", "ish", "ous")
"""What such words end in, apart from themselves."""


def split_words(words: list[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Nine tenths of the words for training, and the rest, which it never sees.

    Fewer than ten words are used for both: there are too few to hold any back.
    """
    kept = sorted(set(words))
    if len(kept) < 10:
        return kept, kept
    order = np.random.default_rng([seed, 77]).permutation(len(kept))
    held = max(1, len(kept) // 10)
    return [kept[i] for i in order[held:]], [kept[i] for i in order[:held]]


class Practice:
    """Something to write: mostly a word, short ones more often, as in any text;
    sometimes a word with another ending, one that does not exist, a number, or
    letters at random.

    Without those the network learns which letters follow which in a few hundred
    words, and reads what it expects, not what is written.

    Args:
        words: At least one; what does not exist is made of their characters, and of
            what follows two of them in a row.
        endings: Put behind some of the words.
    """

    def __init__(self, words: Sequence[str], endings: Sequence[str] = ()):
        self.words = list(words)
        self.endings = list(endings)
        self.characters = sorted({c for word in words for c in word})
        self.digits = [c for c in self.characters if c.isdigit()]
        self._next: dict[str, list[str]] = {}
        for word in words:
            if not word.isdigit():
                for i, character in enumerate(word + _END):
                    before = word[max(0, i - 2) : i]
                    self._next.setdefault(before, []).append(character)

    def draw(self, rng: np.random.Generator) -> str:
        """A text of at least one character."""
        kind = rng.random()
        if kind < 0.53:
            return self._choose(rng, kind < 0.4)
        if kind < 0.7 and self._next:
            return self._invent(rng)
        pool = self.digits if self.digits and kind < 0.87 else self.characters
        return "".join(rng.choice(pool, rng.integers(1, 8)))

    def _choose(self, rng: np.random.Generator, plain: bool) -> str:
        one, other = rng.integers(len(self.words), size=2)
        word = self.words[one]
        if not plain and self.endings and word.isalpha():
            return word + str(rng.choice(self.endings))
        return min(word, self.words[other], key=len) if rng.random() < 0.5 else word

    def _invent(self, rng: np.random.Generator) -> str:
        text = ""
        while len(text) < _LONGEST:
            follows = self._next[text[-2:]]
            character = follows[int(rng.integers(len(follows)))]
            if character == _END:
                break
            text += character
        return text


_END = "\n"
_LONGEST = 14
