"""The doctor's findings as one HTML page that needs nothing else: no script, no other file, no network."""

import base64
from html import escape

from tools.doctor_checks import LOOK, OK, WRONG, Finding

_ORDER = (WRONG, LOOK, OK)
_VERDICTS = {
    WRONG: "Something is wrong: mend it before you train.",
    LOOK: "Nothing is surely wrong; look at what is marked.",
    OK: "Nothing stands out.",
}
_STYLE = """
:root { color-scheme: light; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
main { max-width: 58rem; margin: 0 auto; padding: 1.2rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid #ccc; }
th { font-weight: 600; white-space: nowrap; }
section { border-top: 3px solid #ccc; padding: .9rem 0; }
section.wrong { border-color: #b3261e; } section.look { border-color: #8a5a00; } section.ok { border-color: #1f6f3a; }
.tag { display: inline-block; min-width: 3.2rem; padding: 0 .4rem; border-radius: .2rem; color: #fff; text-align: center; }
.tag.wrong { background: #b3261e; } .tag.look { background: #8a5a00; } .tag.ok { background: #1f6f3a; }
p { margin: .4rem 0; }
img { max-width: 100%; height: auto; display: block; margin-top: .5rem; }
a { color: #0b4f9c; }
@media (max-width: 40rem) {
  main { padding: .8rem; }
  table { font-size: .9rem; }
  th { white-space: normal; overflow-wrap: normal; }
}
"""


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
    findings = ordered(findings)
    rows = "\n".join(
        f'<tr><td>{_tag(finding)}</td><th scope="row"><a href="#{_anchor(finding)}">{escape(finding.check)}</a></th>'
        f"<td>{escape(finding.number)}</td></tr>"
        for finding in findings
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: doctor's report</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p><strong>{_VERDICTS[worst(findings)]}</strong> {escape(about)}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Summary">
<table>
<caption>Findings</caption>
<thead><tr><th scope="col">Severity</th><th scope="col">Check</th><th scope="col">Measured</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
{"".join(map(_section, findings))}
</main>
</body>
</html>
"""


def _section(finding):
    remedy = f"<p><strong>What to do:</strong> {escape(finding.remedy)}</p>" if finding.remedy else ""
    picture = base64.b64encode(finding.picture).decode()
    shown = f'<img src="data:image/png;base64,{picture}" alt="{escape(finding.alt)}">' if picture else ""
    return f"""<section class="{finding.severity}" id="{_anchor(finding)}" aria-labelledby="{_anchor(finding)}-title">
<h2 id="{_anchor(finding)}-title">{_tag(finding)} {escape(finding.check)}</h2>
<p>{escape(finding.number)}</p>
<p>{escape(finding.meaning)}</p>
{remedy}
{shown}
</section>
"""


def _tag(finding):
    return f'<span class="tag {finding.severity}">{finding.severity}</span>'


def _anchor(finding):
    return finding.check.lower().replace(" ", "-")
