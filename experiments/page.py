"""The report's HTML: one page that needs nothing else, no script, no other file, no network."""

import base64
import os
import re
from html import escape

import markdown
from markdown.extensions.toc import TocExtension, slugify

from keras_simsiam.core.errors import UserError

# What Markdown would take from a text as it stands; the texts quote logs, and are shown, not followed.
_LITERAL = ("html", "link", "reference", "short_reference", "autolink", "automail")
_STYLE = """
:root { color-scheme: light; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
main { max-width: 70rem; margin: 0 auto; padding: 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .5rem; }
h3 { font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
p, li, dd { max-width: 46rem; overflow-wrap: anywhere; }
p { margin: .6rem 0; }
nav ul { columns: 18rem; padding-left: 1.2rem; margin: .6rem 0; }
section { border-top: 3px solid #c8ced6; padding: 1.2rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; white-space: nowrap; }
td { border-top: 1px solid #d5d9de; }
thead th { border-bottom: 2px solid #8d97a3; vertical-align: bottom; white-space: normal; min-width: 5rem; }
td { font-variant-numeric: tabular-nums; }
pre { margin: 0; padding: .7rem; background: #f3f5f7; font-size: .8rem; line-height: 1.45; width: max-content; min-width: 100%;
  box-sizing: border-box; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
img { display: block; max-width: 100%; height: auto; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: #0b4f9c; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; font-size: .9rem; }
dd { margin: 0; }
a { color: #0b4f9c; }
@media (max-width: 40rem) {
  main { padding: .8rem; }
  dl { grid-template-columns: minmax(0, 1fr); }
  dt { font-weight: 600; }
  img { max-width: 44rem; }
}
@media print { section { break-before: page; } .scroll { overflow: visible; } }
"""


def page(title, about, sections):
    """The whole page.

    Args:
        title: of the page.
        about: a sentence below it.
        sections: list of (anchor, title, HTML), the HTML as the functions of this module make it.
    """
    entries = "\n".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name, _ in sections)
    body = "\n".join(f'<section id="{anchor}">\n{html}\n</section>' for anchor, _, html in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p>{escape(about)}</p>
<nav aria-label="Contents"><ul>
{entries}
</ul></nav>
{body}
</main>
</body>
</html>
"""


def from_markdown(text, folder, anchor):
    """A Markdown page of an experiment as HTML: its headings one level lower, its pictures embedded.

    Args:
        text: Markdown. HTML and links in it are shown as they are written.
        folder: of its pictures, PNG files.
        anchor: what the ids of its headings begin with.

    Raises:
        UserError: a picture is missing.
    """
    headings = TocExtension(baselevel=2, slugify=lambda name, separator: f"{anchor}-{slugify(name, separator)}")
    converter = markdown.Markdown(extensions=["tables", "fenced_code", "sane_lists", headings])
    converter.preprocessors.deregister("html_block")
    for pattern in _LITERAL:
        converter.inlinePatterns.deregister(pattern)
    html = re.sub(
        r'<p><img alt="([^"]*)" src="([^"]*)" /></p>',
        lambda found: picture(os.path.join(folder, os.path.basename(found[2])), found[1]),
        converter.convert(text),
    )
    for tag in ("table", "pre"):
        html = html.replace(f"<{tag}>", f"{_SCROLL}<{tag}>").replace(f"</{tag}>", f"</{tag}></div>")
    return html


# by the keyboard too
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="scrolls sideways">'


def picture(path, alt):
    """A PNG file inside the page.

    Args:
        path: of the file.
        alt: HTML, what it shows.

    Raises:
        UserError: it is missing.
    """
    try:
        with open(path, "rb") as file:
            data = base64.b64encode(file.read()).decode()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): run what made it again") from error
    return f'{_SCROLL}<img src="data:image/png;base64,{data}" alt="{alt}"></div>'


def table(header, rows):
    """A table of texts.

    Args:
        header: a list of strings.
        rows: lists of as many strings.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{_SCROLL}<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"


def facts(summary, pairs):
    """Names and their texts, folded under a line that opens them.

    Args:
        summary: the line.
        pairs: dict from a name to a text; texts of several lines are kept as they are.
    """
    entries = "\n".join(f"<dt>{escape(name)}</dt>\n<dd>{_shown(text)}</dd>" for name, text in pairs.items())
    return f"<details>\n<summary>{escape(summary)}</summary>\n<dl>\n{entries}\n</dl>\n</details>"


def _shown(text):
    return f"{_SCROLL}<pre>{escape(text)}</pre></div>" if "\n" in text else f"<code>{escape(text)}</code>"
