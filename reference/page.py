"""The agreement of everything, as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby
from string import Template

from reference import report
from reference.record import LIMIT, rule
from reference.report import Row, Worst, short

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>handgrad: agreement</title>
<style>
:root {
  --paper: #fdfcf9; --ink: #1f2328; --soft: #6e7177; --line: #e4e1d9; --wash: #f4f2ec;
  --ours: #2f7d6b; --theirs: #a9a69d; --lost: #c0392b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --ink: #e4e2dc; --soft: #95979b; --line: #2c3035; --wash: #1d2024;
    --ours: #5fbfa6; --theirs: #6c6f74; --lost: #ff7b6b;
  }
}
body {
  max-width: 74rem; margin: 4rem auto; padding: 0 1.5rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif 4", Georgia, serif;
}
h1 { margin: 0; font-size: 2.4rem; font-weight: 500; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 3.5rem 0 .5rem; font-size: 1.45rem; font-weight: 500; }
p { max-width: 44rem; }
h3 { margin: 1.2rem 0 0; }
ul { margin: .3rem 0; padding-left: 1.2rem; }
.verdict { font-size: 1.2rem; }
.formula { white-space: nowrap; }
.yes { color: var(--ours); }
.no, .lost { color: var(--lost); font-weight: 600; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font: .8125rem/1.35 ui-sans-serif, system-ui, sans-serif; }
th { font-weight: 500; text-align: left; color: var(--soft); }
th, td { padding: .32rem .45rem; vertical-align: baseline; white-space: nowrap; }
thead { border-bottom: 1px solid var(--soft); }
thead th[colspan] { text-align: center; }
tbody + tbody::before { content: ""; display: block; height: .9rem; }
tbody tr { border-bottom: 1px solid var(--line); }
tbody tr:hover { background: var(--wash); }
tbody th[scope=rowgroup] { padding-top: .8rem; font: italic 1rem "Iowan Old Style", Palatino, Georgia, serif; color: var(--ink); }
tbody th[scope=row], code { font: .8125rem ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; color: var(--ink); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); }
.group { padding-left: 1.3rem; }
.bar {
  background: linear-gradient(var(--color), var(--color)) no-repeat .45rem calc(100% - 2px) /
    calc(var(--length) * (100% - .9rem)) 2px;
}
.bar.ours { --color: var(--ours); }
.bar.theirs { --color: var(--theirs); color: var(--soft); }
.bar.lost { --color: var(--lost); color: var(--lost); }
td.why { white-space: normal; min-width: 16rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.5rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; }
footer { margin-top: 4rem; border-top: 1px solid var(--line); padding-top: 1rem; }
</style>
<main>
<h1>Backpropagation by hand, held against the truth</h1>
<p class="verdict">$verdict</p>
<p>The ratio r is the largest error of an array, in units of what rounding alone would explain:
<span class="formula">r = max |got − truth| / (u · |J|ᵀ|g|)</span>, with u the unit roundoff and J the Jacobian.
The truth is the textbook formula in arithmetic of several hundred digits, so that torch is measured beside us, not believed.
An implementation as good as its dtype has an r of about 1 in float64 and float32 alike. $rule</p>
$complaints
<h2>Agreement</h2>
<div class="scroll"><table>
<thead>
<tr><th colspan="2"></th>$dtypes<th></th></tr>
<tr><th colspan="2"></th>$outputs_gradients<th></th></tr>
<tr><th scope="col">operation</th><th scope="col" class="number">cases</th>$columns<th></th></tr>
</thead>
$chapters
</table></div>
<p class="soft">The bars are logarithmic: half their cell stands for r from 0.1 to $limit, the other half for r from $limit
to 10¹⁶, where a float64 has no correct digit left. Modules are held against torch in float64, which there has no r of its own.</p>
$accuracy
$register
</main>
<footer><dl>$environment</dl></footer>
</html>
""")

ACCURACY = Template("""<h2>Pointwise functions over the whole range of their dtype</h2>
<p>From the smallest subnormal number to the largest, in both signs, at kinks and beside them, and in the limit. Here r is measured
against each value by itself, in units of its last digit; near a zero of a derivative, against the terms that cancel there.</p>
<div class="scroll"><table>
<thead>
<tr><th></th>$dtypes<th></th></tr>
<tr><th></th>$values_derivatives<th></th></tr>
<tr><th scope="col">function</th>$columns<th></th></tr>
</thead>
<tbody>$functions</tbody>
</table></div>
""")

REGISTER = Template("""<h2>Where torch loses digits</h2>
<p>The worst element of each output and gradient, measured in this run with torch $version; the last column says why.</p>
<div class="scroll"><table>
<thead><tr><th scope="col">operation</th><th scope="col">quantity</th><th scope="col">dtype</th><th scope="col">case</th>
<th scope="col">input</th><th scope="col" class="number">torch’s value</th><th scope="col" class="number">the truth</th>
<th scope="col" class="number">our value</th><th scope="col" class="number">torch’s r</th><th scope="col" class="number">our r</th>
<th scope="col">because</th></tr></thead>
$chapters
</table></div>
""")


def as_html(rows: Sequence[Row]) -> str:
    """The page."""
    environment = report.environment()
    dtypes = report.dtypes_of(rows)
    groups = [(dtype, gradients) for dtype in dtypes for gradients in (False, True)]
    agrees = all(row.agrees for row in rows)
    chapters = groupby(rows, lambda row: row.entry.chapter)
    return PAGE.substitute(
        verdict=f"{_mark(agrees)} {escape(report.summary(rows))}.",
        limit=f"{LIMIT:g}",
        rule=escape(rule()),
        complaints=_complaints(rows),
        dtypes="".join(f'<th colspan="6" scope="colgroup">{dtype}</th>' for dtype in dtypes),
        outputs_gradients="".join(f'<th colspan="3" scope="colgroup">{"gradients" if g else "outputs"}</th>' for _, g in groups),
        columns='<th scope="col" class="number group">error</th><th scope="col" class="number">r</th>'
        '<th scope="col" class="number">torch’s</th>' * len(groups),
        chapters="\n".join(_chapter(chapter, list(group), groups) for chapter, group in chapters),
        accuracy=_accuracy(rows, groups),
        register=_register(rows, environment["torch"]),
        environment="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in environment.items()),
    )


def _mark(agrees: bool) -> str:
    return '<span class="yes" title="agrees">✓</span>' if agrees else '<span class="no" title="disagrees">✗</span>'


def _complaints(rows: Sequence[Row]) -> str:
    items = []
    for row in rows:
        if not row.agrees:
            name = escape(row.entry.name)
            complaints = "".join(f"<li>{escape(where)}: {escape(complaint)}</li>" for where, complaint in row.complaints)
            again = f"<p>Run it alone: <code>python -m reference {name}</code></p>"
            items.append(f"<h3><code>{name}</code></h3><ul>{complaints}</ul>{again}")
    return f"<h2>What disagrees</h2>{''.join(items)}" if items else ""


def _chapter(chapter: str, rows: Sequence[Row], groups: Sequence[tuple[str, bool]]) -> str:
    lines = [f'<tr><th scope="rowgroup" colspan="{3 + 3 * len(groups)}">{escape(chapter)}</th></tr>']
    for row in rows:
        name = f'<th scope="row">{escape(row.entry.name)}</th><td class="number soft">{len(row.entry.cases)}</td>'
        numbers = "".join(_numbers(row.worst(*group)) for group in groups)
        lines.append(f"<tr>{name}{numbers}<td>{_mark(row.agrees)}</td></tr>")
    return f"<tbody>{''.join(lines)}</tbody>"


def _numbers(worst: Worst | None) -> str:
    if worst is None:
        return '<td class="number group soft" colspan="3">not measured</td>'
    return f'<td class="number group soft">{short(worst.error)}</td>{_ratios(worst)}'


def _ratios(worst: Worst) -> str:
    return _ratio(worst.ratio, "ours") + _ratio(worst.torch_ratio, "theirs")


def _ratio(ratio: float | None, whose: str) -> str:
    if ratio is None:
        return '<td class="number soft">—</td>'
    kind = "lost" if ratio > LIMIT else whose
    return f'<td class="number bar {kind}" style="--length: {_length(ratio):.2f}" title="{ratio:.6g}">{short(ratio)}</td>'


def _length(ratio: float) -> float:
    """How long a bar to draw: half its cell for the logarithm of what passes, the other half for that of what does not."""
    if ratio <= LIMIT:
        return max(math.log(ratio / 0.1) / math.log(LIMIT / 0.1), 0) / 2 if ratio else 0
    return 0.5 + min(math.log(ratio / LIMIT) / math.log(1e16 / LIMIT), 1) / 2


def _accuracy(rows: Sequence[Row], groups: Sequence[tuple[str, bool]]) -> str:
    lines = []
    for function, agreements in report.sweeps(rows).items():
        found = [report.worst(agreements, *group) for group in groups]
        numbers = "".join(_ratios(worst) if worst else '<td class="number soft" colspan="2">not measured</td>' for worst in found)
        verdict = _mark(not any(agreement.complaints for agreement in agreements))
        lines.append(f'<tr><th scope="row">{escape(function)}</th>{numbers}<td>{verdict}</td></tr>')
    if not lines:
        return ""
    return ACCURACY.substitute(
        dtypes="".join(f'<th colspan="4" scope="colgroup">{dtype}</th>' for dtype in report.dtypes_of(rows)),
        values_derivatives="".join(f'<th colspan="2" scope="colgroup">{"derivative" if g else "value"}</th>' for _, g in groups),
        columns='<th scope="col" class="number group">r</th><th scope="col" class="number">torch’s</th>' * len(groups),
        functions="".join(lines),
    )


def _register(rows: Sequence[Row], version: str) -> str:
    bodies = []
    for operation, losses in groupby(report.register(rows), lambda loss: loss.operation):
        lines = []
        for loss in losses:
            element = loss.element
            values = f"{element.torch:.10g}", element.truth, f"{element.ours:.10g}"
            numbers = "".join(f'<td class="number">{value}</td>' for value in values)
            lines.append(
                f'<tr><th scope="row">{escape(operation)}</th><td>{loss.quantity}</td><td>{loss.dtype}</td>'
                f"<td>{escape(loss.case)}</td><td>{escape(element.place)}</td>"
                f"{numbers}{_ratio(loss.torch_ratio, 'theirs')}{_ratio(element.ratio, 'ours')}"
                f'<td class="why soft">{escape(loss.reason)}</td></tr>'
            )
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    return REGISTER.substitute(version=escape(version), chapters="\n".join(bodies)) if bodies else ""
