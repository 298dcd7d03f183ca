"""What is asked of a data set before it is trusted: one check a module, each a pure function from samples to a Finding.

A sample here is the reader's (tfrecords.example.decode) as NumPy arrays, `frame` and `split` as text.
"""

from dataclasses import dataclass

OK, LOOK, WRONG = "ok", "look", "wrong"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: its name, a few words.
        severity: ok; look: may be as it should, a person has to decide; wrong: training on it would mean little.
        number: what was measured, a short text with units.
        meaning: what that says, in sentences.
        remedy: what to do; empty where nothing has to be done.
        picture: a PNG; empty where there is nothing to see.
        alt: what the picture shows, for those who do not see it.
    """

    check: str
    severity: str
    number: str
    meaning: str
    remedy: str
    picture: bytes = b""
    alt: str = ""


def listed(names, most=3) -> str:
    """The first few names in a row, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
