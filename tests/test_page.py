"""The page as a browser lays it out."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from reference import page, report
from reference.catalogue import DTYPES, catalogue
from reference.record import Agreement, Element, Quantity

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--no-first-run"]
WIDTHS = [390, 1280]

# Each window is a frame of its own, for Chromium's is never narrower than 500 pixels.
MEASURE = """<script>
function isCut(element, width) {
  const {left, right} = element.getBoundingClientRect()
  return left < 0 || right > width || element.clientWidth && element.scrollWidth > element.clientWidth
}
onload = () => {
  const cut = {}
  for (const frame of document.querySelectorAll("iframe")) {
    const root = frame.contentDocument.documentElement, elements = [...root.querySelectorAll("*")]
    const found = elements.filter(element => isCut(element, root.clientWidth))
    cut[frame.contentWindow.innerWidth] = [elements.length, found.map(element => element.outerHTML.slice(0, 200))]
  }
  document.body.textContent = JSON.stringify(cut)
}
</script>
"""


def rows_of_everything():
    """A row for each operation and module, with the longest numbers; some disagree, and modules' gradients are not measured."""
    smallest = -float(np.finfo(np.float64).smallest_normal)
    lost = Element(f"x = {smallest!r}", smallest, f"{smallest:.9e}", smallest, 1e-300)
    outputs = Quantity("output", 1e-300, 29.9, 1e151, lost), Quantity("grad_0 at ±∞", 1e-300, 1e-300, 1e151, lost)
    gradients = Quantity("grad_input", 1e-300, 1e-300, 1e151, lost)

    def measured(entry, runs):
        quantities = outputs if entry.is_module else (*outputs, gradients)
        complaints = ("grad_input: r = 1e+300, allowed 30",) if entry.name.startswith("linear") else ()
        reason = "1 / (1 + |x|) − |x| / (1 + |x|)² cancels for large |x|"
        return tuple(Agreement(entry.name, label, dtype, quantities, complaints, reason) for label, _ in runs for dtype in DTYPES)

    return [report.Row(entry, measured(entry, entry.cases[:1]), measured(entry, entry.sweeps)) for entry in catalogue()]


def what_is_cut(source, widths, folder):
    """Of a window of each width, the number of elements and those that it does not show whole."""
    frames = "".join(f'<iframe style="width: {width}px; border: 0" srcdoc="{html.escape(source)}"></iframe>' for width in widths)
    path = folder / "windows.html"
    path.write_text(f'<!DOCTYPE html><meta charset="utf-8">{MEASURE}<body>{frames}</body>', encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    found = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert found, done.stderr
    return json.loads(html.unescape(found[1]))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium, which lays out the page, is not installed")
def test_no_element_is_wider_than_the_window(tmp_path):
    cut = what_is_cut(page.as_html(rows_of_everything()), WIDTHS, tmp_path)
    assert list(cut) == [str(width) for width in WIDTHS]
    for width, (elements, found) in cut.items():
        assert elements > 1000
        assert not found, f"{width} pixels: {found[:5]}"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium, which lays out the page, is not installed")
def test_what_is_cut_is_found(tmp_path):
    wide = '<div style="width: 500px">a</div>'
    hidden = '<div style="overflow-x: auto"><p style="width: 2000px">b</p></div>'
    cut = what_is_cut(f"<!DOCTYPE html><body>{wide}{hidden}", WIDTHS, tmp_path)
    assert [len(found) for _, found in cut.values()] == [4, 2]  # a window's html and body too
