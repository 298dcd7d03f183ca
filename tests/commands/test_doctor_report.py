import base64
import html.parser
import re

import pytest

from keras_simsiam.commands import doctor_report
from keras_simsiam.commands.doctor_checks import Finding

PICTURE = b"\x89PNG not really"
FINDINGS = [
    Finding("Units", "ok", "median 1 m", "As it should be.", ""),
    Finding("Depth levels", "look", "<5 & 6> levels", "Some.", "Fetch it.", PICTURE, 'A "picture"'),
    Finding("Gravity", "wrong", "up", "Points up.", "Turn it.", PICTURE, "Angles"),
]


class _Page(html.parser.HTMLParser):
    """Tags in order, with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page():
    return _Page(doctor_report.html(FINDINGS, "my <data>", "Looked at 3 of 7 frames."))


def test_it_is_one_well_formed_page_that_needs_nothing_else(page):
    assert not page.open and not page.all("script") and not page.all("link")
    assert [image["src"] for image in page.all("img")] == [
        "data:image/png;base64," + base64.b64encode(PICTURE).decode() for _ in range(2)
    ]
    assert not re.search(r"https?:|@import|url\(", doctor_report.html(FINDINGS, "a", "b"))


def test_it_can_be_read_without_seeing_it(page):
    assert page.all("html") == [{"lang": "en"}]
    assert [image["alt"] for image in page.all("img")] == ["Angles", 'A "picture"']
    assert {cell["scope"] for cell in page.all("th")} == {"col", "row"}
    assert len(page.all("h1")) == len(page.all("caption")) == len(page.all("main")) == 1 and len(page.all("h2")) == 3


def test_the_gravest_comes_first_and_all_that_was_found_is_said(page):
    assert [section["class"] for section in page.all("section")] == ["wrong", "look", "ok"]
    anchors = [link["href"][1:] for link in page.all("a")]
    assert anchors == [section["id"] for section in page.all("section")] == ["gravity", "depth-levels", "units"]
    for said in ("my <data>", "Looked at 3 of 7 frames.", "<5 & 6> levels", "Turn it.", "Something is wrong"):
        assert said in page.text


@pytest.mark.parametrize(("severities", "worst"), [((), "ok"), (("ok", "ok"), "ok"), (("ok", "look"), "look")])
def test_worst(severities, worst):
    assert doctor_report.worst([Finding("a", severity, "", "", "") for severity in severities]) == worst
    assert doctor_report.worst(FINDINGS) == "wrong"
