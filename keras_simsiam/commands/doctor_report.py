"""The doctor's findings as one HTML page."""

from keras_simsiam.commands.doctor_checks import LOOK, OK, WRONG, Finding
from keras_simsiam.core import html_page

_ORDER = (WRONG, LOOK, OK)
_VERDICTS = {
    WRONG: "Something is wrong: fix it before you train.",
    LOOK: "Nothing is surely wrong; look at what is marked.",
    OK: "Nothing stands out.",
}
_PAGE = html_page.template("""\
{% extends "page" %}
{% macro tag(finding) %}<span class="tag {{ finding.severity }}">{{ finding.severity }}</span>{% endmacro %}
{% macro anchor(finding) %}{{ finding.check.lower().replace(" ", "-") }}{% endmacro %}
{% block title %}{{ title }}: doctor's report{% endblock %}
{% block style %}
main { max-width: 58rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.2rem; margin: 0; }
table { width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { padding: .3rem .6rem .3rem 0; border-top: 1px solid #ccc; }
th { font-weight: 600; white-space: nowrap; }
section { border-top: 3px solid #ccc; padding: .9rem 0; }
section.wrong { border-color: #b3261e; } section.look { border-color: #8a5a00; } section.ok { border-color: #1f6f3a; }
.tag { display: inline-block; min-width: 3.2rem; padding: 0 .4rem; border-radius: .2rem; color: #fff; text-align: center; }
.tag.wrong { background: #b3261e; } .tag.look { background: #8a5a00; } .tag.ok { background: #1f6f3a; }
p { margin: .4rem 0; }
img { margin-top: .5rem; }
@media (max-width: 40rem) {
  table { font-size: .9rem; }
  th { white-space: normal; overflow-wrap: normal; }
}
{% endblock %}
{% block main %}
<h1>{{ title }}</h1>
<p><strong>{{ verdict }}</strong> {{ about }}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Summary">
<table>
<caption>Findings</caption>
<thead><tr><th scope="col">Severity</th><th scope="col">Check</th><th scope="col">Measured</th></tr></thead>
<tbody>
{% for finding in findings %}
<tr><td>{{ tag(finding) }}</td><th scope="row"><a href="#{{ anchor(finding) }}">{{ finding.check }}</a></th>\
<td>{{ finding.number }}</td></tr>
{% endfor %}
</tbody>
</table>
</div>
{% for finding in findings %}
<section class="{{ finding.severity }}" id="{{ anchor(finding) }}" aria-labelledby="{{ anchor(finding) }}-title">
<h2 id="{{ anchor(finding) }}-title">{{ tag(finding) }} {{ finding.check }}</h2>
<p>{{ finding.number }}</p>
<p>{{ finding.meaning }}</p>
{% if finding.remedy %}
<p><strong>What to do:</strong> {{ finding.remedy }}</p>
{% endif %}
{% if finding.picture %}
<img src="{{ png(finding.picture) }}" alt="{{ finding.alt }}">
{% endif %}
</section>
{% endfor %}
{% endblock %}
""")


def worst(findings: list[Finding]) -> str:
    """The gravest severity among the findings; ok where there is none."""
    return min((finding.severity for finding in findings), key=_ORDER.index, default=OK)


def ordered(findings: list[Finding]) -> list[Finding]:
    """The findings, the gravest first."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def html(findings: list[Finding], title: str, about: str) -> str:
    """The report as one HTML page.

    Args:
        findings: in any order; the gravest are put first.
        title: the data set's name.
        about: one sentence on what was looked at.
    """
    verdict = _VERDICTS[worst(findings)]
    return _PAGE.render(findings=ordered(findings), title=title, about=about, verdict=verdict, png=html_page.png)
