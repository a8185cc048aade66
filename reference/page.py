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
  overflow-wrap: break-word;
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
table { width: 100%; border-collapse: collapse; font: .8125rem/1.35 ui-sans-serif, system-ui, sans-serif; }
th { font-weight: 500; text-align: left; color: var(--soft); }
th, td { padding: .32rem .45rem; vertical-align: baseline; }
thead { position: sticky; top: 0; background: var(--paper); box-shadow: 0 1px var(--soft); }
thead th[colspan] { text-align: center; }
tbody + tbody::before { content: ""; display: block; height: .9rem; }
tbody tr { border-bottom: 1px solid var(--line); }
tbody tr:hover { background: var(--wash); }
tbody th[scope=rowgroup] { padding-top: .8rem; font: italic 1rem "Iowan Old Style", Palatino, Georgia, serif; color: var(--ink); }
tbody th[scope=row], code { font: .8125rem ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; color: var(--ink); }
tbody th[scope=row], .where { overflow-wrap: anywhere; }
tbody th code { margin-right: .6rem; font-style: normal; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.soft { color: var(--soft); }
.error { padding-left: 1.3rem; }
.narrow { display: none; }
.bar {
  background: linear-gradient(var(--color), var(--color)) no-repeat .45rem calc(100% - 2px) /
    calc(var(--length) * (100% - .9rem)) 2px;
}
.bar.ours { --color: var(--ours); }
.bar.theirs { --color: var(--theirs); color: var(--soft); }
.bar.lost { --color: var(--lost); color: var(--lost); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1.5rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; }
footer { margin-top: 4rem; border-top: 1px solid var(--line); padding-top: 1rem; }

/* On a narrow screen a row is a block: a name, and below it a line for each dtype, or for each value. */
@media (max-width: 70rem) {
  body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 2rem; }
  table, thead, tbody { display: block; font-size: min(.75rem, 3.1vw); }
  tr { display: grid; align-items: baseline; padding: .25rem 0; }
  th, td { padding: .05rem .1rem .25rem; }
  tbody th[scope=row] { font-size: .75rem; }
  tbody th[scope=rowgroup] { grid-column: 1 / -1; }
  .wide { display: none; }
  .bar { background-position-x: .3rem; background-size: calc(var(--length) * (100% - .4rem)) 2px; }

  .measured tr { grid-template-columns: 3.2rem repeat(var(--numbers), minmax(0, 1fr)) 1.1rem; }
  .measured th[scope=row] { grid-column: 1 / -2; }
  .measured th[scope=row]:has(+ .cases) { grid-column-end: -4; }
  .measured .cases { grid-area: 1 / -4 / auto / -2; }
  .measured .cases::before { content: "cases: "; }
  .measured .mark { grid-area: 1 / -2; }
  .measured .narrow { display: block; grid-column: 1; color: var(--soft); }
  .error { padding-left: 0; }
  .measured [colspan="2"] { grid-column-end: span 2; }
  .measured [colspan="3"] { grid-column-end: span 3; }

  .register tr { grid-template-columns: minmax(0, 1fr) 4.5rem; }
  .register .dtype { text-align: right; }
  .register .where { grid-column: 1 / -1; }
  .register .value { grid-column: 1; display: flex; justify-content: space-between; }
  .register .value::before { content: attr(data-whose); color: var(--soft); }
  .register .bar::before { content: "r "; }
}
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
<table class="measured" style="--numbers: 6">
$head
$chapters
</table>
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
<table class="measured" style="--numbers: 4">
$head
<tbody>$functions</tbody>
</table>
""")

REGISTER = Template("""<h2>Where torch loses digits</h2>
<p>The worst element of each output and gradient, measured in this run with torch $version; beside the operation, the reason.</p>
<table class="register">
<thead class="wide"><tr><th scope="col">quantity</th><th scope="col">dtype</th><th scope="col">where</th>
<th scope="col" class="number">torch’s value</th><th scope="col" class="number">torch’s r</th>
<th scope="col" class="number">the truth</th>
<th scope="col" class="number">our value</th><th scope="col" class="number">our r</th></tr></thead>
$operations
</table>
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
        head=_head(("operation", "cases"), groups, ("outputs", "gradients"), ("error", "r", "torch’s")),
        chapters="\n".join(_chapter(chapter, list(group), groups) for chapter, group in chapters),
        accuracy=_accuracy(rows, groups),
        register=_register(rows, environment["torch"]),
        environment="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in environment.items()),
    )


def _head(names: Sequence[str], groups: Sequence[tuple[str, bool]], kinds: tuple[str, str], columns: Sequence[str]) -> str:
    """The head of a table: its dtypes, what of each, and the columns of that.

    On a narrow screen, where dtypes stand below each other, it has the columns of the first one alone.
    """
    over_kinds: list[str] = []
    over_columns: list[str] = []
    for dtype, gradients in groups:
        size = "" if dtype == groups[0][0] else "wide"
        over_kinds.append(f'<th colspan="{len(columns)}" scope="colgroup" class="{size}">{kinds[gradients]}</th>')
        over_columns.extend(f'<th scope="col" class="number {size}">{column}</th>' for column in columns)
    over_dtypes = (f'<th colspan="{2 * len(columns)}" scope="colgroup">{dtype}</th>' for dtype in dict(groups))
    named = (f'<th scope="col" class="wide {"number" if name == "cases" else ""}">{name}</th>' for name in names)
    unnamed = f'<th colspan="{len(names)}" class="wide"></th>'
    of_dtype, of_mark = '<th class="narrow"></th>', '<th class="wide"></th>'
    return (
        f'<thead><tr class="wide">{unnamed}{"".join(over_dtypes)}{of_mark}</tr>\n'
        f"<tr>{unnamed}{of_dtype}{''.join(over_kinds)}{of_mark}</tr>\n"
        f"<tr>{''.join(named)}{of_dtype}{''.join(over_columns)}{of_mark}</tr></thead>"
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
    columns = 2 + 3 * len(groups) + 1
    lines = [f'<tr><th scope="rowgroup" colspan="{columns}">{escape(chapter)}</th></tr>']
    for row in rows:
        name = f'<th scope="row">{escape(row.entry.name)}</th><td class="number soft cases">{len(row.entry.cases)}</td>'
        numbers = "".join(_numbers(row.worst(*group), *group) for group in groups)
        lines.append(f'<tr>{name}{numbers}<td class="mark">{_mark(row.agrees)}</td></tr>')
    return f"<tbody>{''.join(lines)}</tbody>"


def _numbers(worst: Worst | None, dtype: str, gradients: bool, with_error: bool = True) -> str:
    """The cells of a dtype's outputs or gradients, the dtype before them on a narrow screen."""
    name = "" if gradients else f'<td class="narrow">{dtype}</td>'
    if worst is None:
        return f'{name}<td class="number soft" colspan="{2 + with_error}">not measured</td>'
    error = f'<td class="number error soft">{short(worst.error)}</td>' if with_error else ""
    return name + error + _ratio(worst.ratio, "ours") + _ratio(worst.torch_ratio, "theirs")


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
        numbers = "".join(_numbers(report.worst(agreements, *group), *group, with_error=False) for group in groups)
        verdict = _mark(not any(agreement.complaints for agreement in agreements))
        lines.append(f'<tr><th scope="row">{escape(function)}</th>{numbers}<td class="mark">{verdict}</td></tr>')
    if not lines:
        return ""
    head = _head(("function",), groups, ("value", "derivative"), ("r", "torch’s"))
    return ACCURACY.substitute(head=head, functions="".join(lines))


def _register(rows: Sequence[Row], version: str) -> str:
    bodies = []
    for (operation, reason), losses in groupby(report.register(rows), lambda loss: (loss.operation, loss.reason)):
        because = f'<span class="soft">{escape(reason)}</span>'
        lines = [f'<tr><th scope="rowgroup" colspan="8"><code>{escape(operation)}</code> {because}</th></tr>']
        for loss in losses:
            element = loss.element
            lines.append(
                f'<tr><th scope="row">{escape(loss.quantity)}</th><td class="dtype soft">{loss.dtype}</td>'
                f'<td class="where">{escape(loss.case)}, {escape(element.place)}</td>'
                f'<td class="number value" data-whose="torch">{element.torch:.10g}</td>{_ratio(loss.torch_ratio, "theirs")}'
                f'<td class="number value" data-whose="truth">{element.truth}</td>'
                f'<td class="number value" data-whose="ours">{element.ours:.10g}</td>{_ratio(element.ratio, "ours")}</tr>'
            )
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    return REGISTER.substitute(version=escape(version), operations="\n".join(bodies)) if bodies else ""
