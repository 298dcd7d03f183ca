"""HTML pages that need nothing else: no script, no other file, no network. What is put into them is escaped."""

import base64

import jinja2

# Blocks `title`, `head`, `style` (after what all pages share) and `main`.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{% block head %}{% endblock %}
<title>{% block title %}{{ title }}{% endblock %}</title>
<style>
:root { color-scheme: light; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
main { margin: 0 auto; padding: 1.2rem; }
h1 { line-height: 1.2; margin: 0 0 .4rem; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; }
img { display: block; max-width: 100%; height: auto; }
a { color: #0b4f9c; }
.scroll { overflow-x: auto; }
@media (max-width: 40rem) { main { padding: .8rem; } }
{% block style %}{% endblock %}
</style>
</head>
<body>
<main>
{% block main %}{% endblock %}
</main>
</body>
</html>
"""

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.DictLoader({"page": _PAGE}),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def template(source: str) -> jinja2.Template:
    """A template of Jinja2: a page where it begins with {% extends "page" %} (its blocks: `_PAGE`), or a part of one."""
    return _ENVIRONMENT.from_string(source)


def png(content: bytes) -> str:
    """The `src` of a picture inside the page, from a PNG file's bytes."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
