"""The report's HTML: one page that needs nothing else (`core.html_page`)."""

import os
import re

import markdown
from markdown.extensions.toc import TocExtension, slugify
from markupsafe import Markup

from keras_simsiam.core import html_page
from keras_simsiam.core.errors import UserError

# What Markdown would take from a text as it stands; the texts quote logs, and are shown, not followed.
_LITERAL = ("html", "link", "reference", "short_reference", "autolink", "automail")
# by the keyboard too
_SCROLL = Markup('<div class="scroll" tabindex="0" role="region" aria-label="scrolls sideways">{}</div>')
_PAGE = html_page.template("""\
{% extends "page" %}
{% block head %}<link rel="icon" href="data:,">{% endblock %}
{% block style %}
main { max-width: 70rem; }
h1 { font-size: 1.7rem; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .5rem; }
h3 { font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
p, li, dd { max-width: 46rem; overflow-wrap: anywhere; }
p { margin: .6rem 0; }
nav ul { columns: 18rem; padding-left: 1.2rem; margin: .6rem 0; }
section { border-top: 3px solid #c8ced6; padding: 1.2rem 0; }
.scroll { margin: .8rem 0; }
table { font-size: .9rem; }
th, td { padding: .3rem .9rem .3rem 0; white-space: nowrap; }
td { border-top: 1px solid #d5d9de; }
thead th { border-bottom: 2px solid #8d97a3; vertical-align: bottom; white-space: normal; min-width: 5rem; }
td { font-variant-numeric: tabular-nums; }
pre { margin: 0; padding: .7rem; background: #f3f5f7; font-size: .8rem; line-height: 1.45; width: max-content; min-width: 100%;
  box-sizing: border-box; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: #0b4f9c; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1rem; font-size: .9rem; }
dd { margin: 0; }
@media (max-width: 40rem) {
  dl { grid-template-columns: minmax(0, 1fr); }
  dt { font-weight: 600; }
  img { max-width: 44rem; }
}
@media print { section { break-before: page; } .scroll { overflow: visible; } }
{% endblock %}
{% block main %}
<h1>{{ title }}</h1>
<p>{{ about }}</p>
<nav aria-label="Contents"><ul>
{% for anchor, name, _ in sections %}
<li><a href="#{{ anchor }}">{{ name }}</a></li>
{% endfor %}
</ul></nav>
{% for anchor, _, html in sections %}
<section id="{{ anchor }}">
{{ html }}
</section>
{% endfor %}
{% endblock %}
""")
_TABLE = html_page.template("""\
<table>
<thead><tr>{% for cell in header %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>""")
_FACTS = html_page.template("""\
<details>
<summary>{{ summary }}</summary>
<dl>
{% for name, shown in pairs.items() %}
<dt>{{ name }}</dt>
<dd>{{ shown }}</dd>
{% endfor %}
</dl>
</details>""")


def page(title, about, sections):
    """The whole page.

    Args:
        title: of the page.
        about: a sentence below it.
        sections: list of (anchor, title, Markup), the last as the functions of this module make it.
    """
    return _PAGE.render(title=title, about=about, sections=sections)


def from_markdown(text, folder, anchor):
    """A Markdown page of an experiment as Markup: its headings one level lower, its pictures embedded.

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
        lambda found: picture(os.path.join(folder, os.path.basename(found[2])), Markup(found[1])),
        converter.convert(text),
    )
    wide = re.compile(r"<(table|pre)>.*?</\1>", re.DOTALL)
    return Markup(wide.sub(lambda found: _SCROLL.format(Markup(found[0])), html))


def picture(path, alt):
    """A PNG file inside the page.

    Args:
        path: of the file.
        alt: what it shows.

    Raises:
        UserError: it is missing.
    """
    try:
        with open(path, "rb") as file:
            content = html_page.png(file.read())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): run what made it again") from error
    return _SCROLL.format(Markup('<img src="{}" alt="{}">').format(content, alt))


def table(header, rows):
    """A table of texts.

    Args:
        header: a list of strings.
        rows: lists of as many strings.
    """
    return _SCROLL.format(Markup(_TABLE.render(header=header, rows=rows)))


def facts(summary, pairs):
    """Names and their texts, folded under a line that opens them.

    Args:
        summary: the line.
        pairs: dict from a name to a text; texts of several lines are kept as they are.
    """
    return Markup(_FACTS.render(summary=summary, pairs={name: _shown(text) for name, text in pairs.items()}))


def _shown(text):
    if "\n" in text:
        return _SCROLL.format(Markup("<pre>{}</pre>").format(text))
    return Markup("<code>{}</code>").format(text)
