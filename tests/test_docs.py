"""Pages: a link leads to a file and a heading that are there, and every picture is shown on a page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def links(page):
    """The targets of a page's links and pictures within the repository, without what is shown as code."""
    text = re.sub(r"^(    |\t).*$", "", page.read_text(), flags=re.M)
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))
    return [target for target in targets if "://" not in target]


def anchors(page):
    """What the headings of a page are called in links: small letters, spaces as hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(there), f"{target}: {there.name} has no such heading"


def test_every_page_and_picture_is_linked():
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in PAGES for target in links(page)}
    files = {*PAGES[1:], *(ROOT / "docs" / "images").iterdir()}
    assert files <= linked, f"nothing leads to {', '.join(path.name for path in files - linked)}"


def test_every_file_that_the_architecture_names_exists():
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "architecture.md").read_text(), flags=re.M)
    assert len(rows) > 40
    for row in rows:
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):
            folder = name[: name.rindex("/") + 1] if "/" in name else folder
            assert list(ROOT.glob(name)) or list(ROOT.glob(folder + name)), f"{row}: there is no {name}"
