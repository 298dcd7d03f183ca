import base64
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from keras_simsiam.commands import report
from keras_simsiam.commands import report_page as page
from keras_simsiam.commands.report_order import NAMES
from keras_simsiam.core.errors import UserError

VOID = {"meta", "link", "img", "br", "hr"}
BROWSERS = (
    *(os.environ.get("CHROME_PATH", ""), "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable", "chrome"),
)


class Page(html.parser.HTMLParser):
    """What a reader sees of a page: its text, tables, ids, references; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.references, self.tables, self.text = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        assert tag in VOID

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def _png(path, width=60):
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (40, width, 3)).astype(np.uint8))


@pytest.fixture
def workdir(tmp_path):
    """A folder as experiments, a run and evaluate.py leave it."""
    work = tmp_path / "work"
    (work / "runs" / "one" / "evaluation").mkdir(parents=True)
    versions = {"keras_simsiam": "0.1.0", "tensorflow": "2.15.1"}
    for name in ("weight_decay", "table1", "of_mine"):
        raw = {
            "command": f"python -m experiments.{name} --seeds=0",
            "data": {"folder": "data/<things>", "sha256": "ab" * 32},
            "versions": versions,
            "measured": {"one": {"0": {"identity": {"encoder": "cd" * 32}}}},
        }
        (work / f"{name}.json").write_text(json.dumps(raw))
        (work / f"{name}.md").write_text(
            f"# The title of {name}\n\n| run | kNN |\n| --- | --- |\n| `one` | 75.0 [59.8, 85.8] |\n\n"
            f"![picture]({name}.png)\n\n## Not measured\n\n- `two` failed: <b>no</b> [way](http://example.com)\n\n"
            "```\npython train.py --seed=0\n```\n"
        )
        _png(work / f"{name}.png", 1500)
    run = work / "runs" / "one"
    (run / "flags.txt").write_text("--seed=0\n--epochs=2\n")
    lines = [{"epoch": 1, "loss": -0.5, "knn": 0.25}, {"epoch": 2, "loss": -0.75, "std_projection": 0.9}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"epoch": 3, "lo')
    results = {
        "knn": {
            "title": "kNN (k=20)",
            "protocol": "of neighbours",
            "files": ["confusion_knn.png", "knn.npz"],
            "accuracy": {"trained encoder": {"top1": 0.5, "interval": [0.4, 0.6]}, "chance": {"top1": 0.1}},
        },
        "pose": {"protocol": "of angles", "files": [], "table": [["encoder", "degrees"], ["trained", "12.5"]]},
        "settings": {"knn_k": 20},
        "encoder": {"source": "runs/one", "sha256": "ef" * 32},
        "data": {"path": "data", "sha256": "01" * 32},
        "versions": versions,
    }
    (run / "evaluation" / "results.json").write_text(json.dumps(results))
    _png(run / "evaluation" / "confusion_knn.png")
    return work


def _write(workdir):
    report.write(str(workdir), str(workdir / "report.html"))
    return Page((workdir / "report.html").read_text())


def test_a_page_of_everything_that_is_there(workdir):
    found = _write(workdir)
    assert [one for one in found.ids if one in ("table1", "weight_decay", "of_mine", "runs")] == [
        *("table1", "weight_decay", "of_mine"),  # in the order of NAMES, then what it does not know
        "runs",
    ]
    assert found.tables.count([["run", "kNN"], ["one", "75.0 [59.8, 85.8]"]]) == 3
    assert found.tables[3][1:] == [["one", "2", "-0.750", "0.90", "25.0", "not yet"]]
    assert found.tables[4][1:] == [["trained encoder", "50.0", "40.0 to 60.0"], ["chance", "10.0", "–"]]
    assert found.tables[5] == [["encoder", "degrees"], ["trained", "12.5"]]
    text = "".join(found.text)
    for expected in ("python -m experiments.table1 --seeds=0", "ab" * 32, "cd" * 32, "tensorflow 2.15.1", "--epochs=2"):
        assert expected in text
    assert "data/<things>" in text and "of angles" in text and "--knn_k=20" in text


def test_it_needs_no_other_file_no_network_and_no_script(workdir):
    found = _write(workdir)
    assert "script" not in found.tags and "b" not in found.tags and "<b>no</b>" in "".join(found.text)
    inside = [reference for reference in found.references if reference.startswith("#")]
    assert {reference[1:] for reference in inside} <= set(found.ids) and len(found.ids) == len(set(found.ids))
    assert all(one.startswith("data:") for one in found.references if one not in inside)
    pictures = [base64.b64decode(one.partition(",")[2]) for one in found.references if one.startswith("data:image")]
    shown = [*("table1.png", "weight_decay.png", "of_mine.png"), "runs/one/evaluation/confusion_knn.png"]
    assert pictures == [(workdir / path).read_bytes() for path in shown]


def test_a_run_alone_and_experiments_alone(workdir):
    report.write(str(workdir / "runs" / "one"), str(workdir / "report.html"))
    found = Page((workdir / "report.html").read_text())
    assert len(found.tables) == 3 and "evaluate.py: " in "".join(found.text)
    shutil.rmtree(workdir / "runs")
    assert len(_write(workdir).tables) == 3


def test_refusals_leave_the_page_that_was_there(workdir, tmp_path):
    _write(workdir)
    before = (workdir / "report.html").read_bytes()
    (workdir / "table1.png").unlink()
    with pytest.raises(UserError, match=r"table1.png cannot be read .*: run what made it again"):
        _write(workdir)
    (workdir / "table1.json").write_text('{"command": ')
    with pytest.raises(UserError, match=r"table1.json is damaged .*: run what made it again"):
        _write(workdir)
    (workdir / "table1.json").write_text('{"command": "python"}')
    with pytest.raises(UserError, match=r"table1.json has no 'data', an earlier version wrote it"):
        _write(workdir)
    with pytest.raises(UserError, match="no such folder"):
        report.write(str(tmp_path / "nowhere"), str(workdir / "report.html"))
    (tmp_path / "folder" / "a_run").mkdir(parents=True)
    (tmp_path / "folder" / "a_run" / "flags.txt").write_text("--modality=rgb\n")
    report.write(str(tmp_path / "folder"), str(tmp_path / "folder.html"))
    assert "a_run" in (tmp_path / "folder.html").read_text()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no experiment and no run"):
        report.write(str(tmp_path / "empty"), str(workdir / "report.html"))
    assert (workdir / "report.html").read_bytes() == before
    (workdir / "table1.json").unlink()
    with pytest.raises(UserError, match=r"--output=.*cannot be written"):
        report.write(str(workdir), str(tmp_path / "nowhere" / "report.html"))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "runs/one/metrics.jsonl",
            b'{"epoch": 1}\n{"epoch": 2, "lo\n',
            r"is damaged in line 2 \(.*\): delete that line",
        ),
        ("runs/one/metrics.jsonl", b"[1]\n", "is damaged in line 1 "),
        ("runs/one/metrics.jsonl", b"\xff\xfe\n", r"is damaged \(.*\): run what made it again"),
        ("runs/one/flags.txt", b"--seed=\xff\n", "is damaged "),
        ("runs/one/evaluation/results.json", b"[]", "is damaged "),
        ("runs/one/evaluation/results.json", b'{"settings": 3}', "is damaged "),
        ("table1.json", b"[]", "is damaged "),
        ("table1.md", b"\xff", "is damaged "),
    ],
)
def test_a_damaged_file_is_named(workdir, file, content, message):
    (workdir / file).write_bytes(content)
    with pytest.raises(UserError, match=f"^{workdir / file} {message}") as error:
        _write(workdir)
    assert "\n" not in str(error.value)


def test_markdown_as_it_is_written(tmp_path):
    text = (
        "# A\n\na_b_c 5 < 6 & 7 <script>x</script> https://example.com <https://example.com> ![x](y.gif) `|`\n\n## B\n"
    )
    found = Page(page.from_markdown(text, str(tmp_path), "name"))
    assert found.ids == ["name-a", "name-b"] and found.tags[:1] == ["h2"] and "h3" in found.tags
    assert "a_b_c 5 < 6 & 7 <script>x</script> https://example.com <https://example.com>" in "".join(found.text)


def test_the_order_names_every_experiment():
    folder = pathlib.Path(__file__).parents[2] / "experiments"
    commands = re.compile(r"^ +(common|depth_table)\.command\(|^ +command\(main\)", re.MULTILINE)
    assert {path.stem for path in folder.glob("*.py") if commands.search(path.read_text())} == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1300])
def test_a_browser_shows_it_without_scrolling_the_page_sideways(workdir, tmp_path, width):
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if not browser:
        pytest.skip("no Chromium on this machine")
    _write(workdir)
    probe = (
        "<script>addEventListener('load', () => document.title = [document.documentElement.scrollWidth, innerWidth,"
        "[...document.images].filter(one => one.naturalWidth > 0).length, document.images.length].join(' '))</script>"
    )
    copy = tmp_path / "page.html"
    copy.write_text((workdir / "report.html").read_text().replace("</body>", probe + "</body>"))
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
        "--virtual-time-budget=5000",
    )
    shown = subprocess.run(
        [browser, *options, f"--window-size={width},900", "--dump-dom", copy.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    title = shown.stdout.partition("<title>")[2].partition("</title>")[0]
    content, window, loaded, pictures = map(int, title.split())
    assert content <= window and abs(window - width) < 20 and loaded == pictures == 4
