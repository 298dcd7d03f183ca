"""Draws the folders and who imports whom: python docs/draw_architecture.py writes docs/images/architecture.svg.

An arrow leads from a folder to one that it imports. An arrow that follows from others is left out: where a imports b and b
imports c, there is none from a to c.
"""

import ast
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIBRARY = (
    *("core", "depth", "models", "optimization", "views", "probes", "dense", "methods", "training", "evaluation"),
    "commands",
)
OUTSIDE = ("tfrecords", "export", "experiments", "tools")
COMMANDS = ("train.py", "evaluate.py")
WORDS = {
    "train.py": "keras-simsiam train",
    "evaluate.py": "keras-simsiam evaluate",
    "commands": "flags → what is printed",
    "experiments": "tables and figures of the papers",
    "export": "SavedModel, PyTorch, ONNX",
    "tools": "doctor, depth2hha",
    "tfrecords": "shards, Dataset, sources",
    "evaluation": "encoders, tasks, reports",
    "training": "configuration, run, monitors",
    "methods": "SimSiam and its relatives",
    "dense": "depth from feature maps",
    "probes": "kNN, linear, scores",
    "views": "HHA, random views, batches",
    "models": "encoder, heads",
    "optimization": "optimizers, schedules",
    "depth": "camera, gravity, HHA",
    "core": "errors, files, settings",
}
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 208, 54, 26, 46, 24  # of a box, between boxes, around the picture, in pixels


def imports():
    """The folders and commands that each one imports: a dict from a name to a set of names."""
    graph = {}
    for name in (*COMMANDS, *OUTSIDE, *LIBRARY):
        folder = ROOT / "keras_simsiam" / name if name in LIBRARY else ROOT / name
        files = [folder] if name in COMMANDS else folder.rglob("*.py")
        graph[name] = {_box(module) for path in files for module in _modules(path)} & {*OUTSIDE, *LIBRARY} - {name}
    return graph


def _modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _box(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "keras_simsiam" and len(parts) > 1 else parts[0]


def reduced(graph):
    """The arrows that do not follow from others."""

    def reached(name):
        return {name}.union(*(reached(below) for below in graph[name]))

    return {
        name: {one for one in below if not any(one in reached(other) for other in below - {one})}
        for name, below in graph.items()
    }


def levels(graph):
    """How far above the ground each one is: one more than the highest that it imports."""

    def level(name):
        return 1 + max((level(below) for below in graph[name]), default=-1)

    return {name: level(name) for name in graph}


def draw(graph):
    """The picture as SVG, rows from the commands down to the ground."""
    level, arrows = levels(graph), reduced(graph)
    rows = [[name for name in graph if level[name] == row] for row in range(max(level.values()), -1, -1)]
    width = 2 * MARGIN + max(len(row) for row in rows) * (WIDTH + GAP_X) - GAP_X
    place = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP_X) + GAP_X) / 2
        # below the middle of what it comes from, so that few arrows cross
        above = {name: [place[one][0] for one in graph if name in arrows[one] and one in place] for name in row}
        row.sort(key=lambda name: sum(above[name]) / len(above[name]) if above[name] else width)
        for column, name in enumerate(row):
            place[name] = left + column * (WIDTH + GAP_X), MARGIN + number * (HEIGHT + GAP_Y)
    height = 2 * MARGIN + len(rows) * (HEIGHT + GAP_Y) - GAP_Y
    lines = [_arrow(place[name], place[below]) for name in graph for below in sorted(arrows[name])]
    boxes = [_drawn_box(name, *place[name]) for name in graph]
    return "\n".join([_HEAD.format(width=width, height=height), *lines, *boxes, "</svg>\n"])


_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
font-family="sans-serif">
<title>Folders of the project and their imports</title>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0,0 L8,4 L0,8 z" fill="#7a8794"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>"""


def _arrow(start, end):
    (x1, y1), (x2, y2) = (start[0] + WIDTH / 2, start[1] + HEIGHT), (end[0] + WIDTH / 2, end[1] - 2)
    bend = (y2 - y1) / 2
    curve = f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{curve}" fill="none" stroke="#7a8794" stroke-width="1.3" marker-end="url(#head)"/>'


def _drawn_box(name, x, y):
    fill = "#e8f0fa" if name in LIBRARY else "#fdf3e1" if name in OUTSIDE else "#e9f5e6"
    title = f"keras_simsiam/{name}" if name in LIBRARY else name if name in COMMANDS else f"{name}/"
    middle = x + WIDTH / 2
    return (
        f'<rect x="{x:.0f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="{fill}" stroke="#52606d"/>'
        f'<text x="{middle:.0f}" y="{y + 23}" text-anchor="middle" font-size="14" fill="#1f2933">{title}</text>'
        f'<text x="{middle:.0f}" y="{y + 42}" text-anchor="middle" font-size="11.5" fill="#52606d">{escape(WORDS[name])}</text>'
    )


if __name__ == "__main__":
    (ROOT / "docs" / "images" / "architecture.svg").write_text(draw(imports()))
