"""The example in C compiles without a warning, is right, and with a mistake is found out, by itself and by `judge`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reference import judge

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "examples" / "silu.c"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler, neither cc nor gcc nor clang")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The example and its wrong variant."""
    directory = tmp_path_factory.mktemp("compiled")
    for name, options in (("right", []), ("wrong", ["-DMISTAKE"])):
        command = [COMPILER, *STRICT, *options, str(SOURCE), "-lm", "-o", str(directory / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return directory


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def judged(exported, results):
    (report,) = (report for report in judge(exported, results) if report.operation == "silu")
    assert not report.untried
    return report


def test_it_is_right(exported, compiled, tmp_path):
    status, out, err = run(compiled / "right", exported / "silu.safetensors", tmp_path / "silu.safetensors")
    assert (status, err) == (0, "")
    report = judged(exported, tmp_path)
    assert report.agrees
    *lines, last = out.splitlines()
    assert len(lines) == len(report.agreements)
    for line, agreement in zip(lines, report.agreements, strict=True):
        of_output, of_grad = (float(line.split(f"r of {name}")[1].split()[0]) for name in ("output", "grad_0"))
        assert {"output": of_output, "grad_0": of_grad} == {
            quantity.name: pytest.approx(quantity.ratio, rel=1e-2, abs=1e-9) for quantity in agreement.quantities
        }
    worst = max(quantity.ratio for agreement in report.agreements for quantity in agreement.quantities)
    assert last == f"the worst r of {len(lines)} cases is {worst:.3g}, allowed 30"
    assert worst < 2


def test_its_mistake_is_found(exported, compiled, tmp_path):
    status, out, _ = run(compiled / "wrong", exported / "silu.safetensors", tmp_path / "silu.safetensors")
    assert status == 1
    assert float(out.splitlines()[-1].split(" is ")[1].split(",")[0]) > 1e6
    report = judged(exported, tmp_path)
    assert not report.agrees
    assert {complaint.split(": ")[1] for complaint in report.complaints} == {"grad_0"}


def test_what_it_cannot_read_is_exit_status_2(exported, compiled, tmp_path):
    (tmp_path / "short").write_bytes(b"\xff" * 20)
    for arguments, message in (
        ([], "usage: expected EXPORT/silu.safetensors"),
        ([tmp_path / "none"], "cannot be opened"),
        ([tmp_path / "short"], "is no file of .safetensors"),
        ([exported / "embedding.safetensors"], "is neither float nor double"),
        ([exported / "linear.safetensors"], "is of another size"),
        ([exported / "silu.safetensors", tmp_path / "no" / "folder"], "cannot be opened"),
    ):
        status, _, err = run(compiled / "right", *arguments)
        assert status == 2
        assert message in err


@pytest.mark.skipif(shutil.which("cc") is None, reason="README calls the compiler cc")
def test_what_readme_shows_is_so(tmp_path):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### In another language")[2]
    (commands,) = re.findall(r"```sh\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    surroundings = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-e", "-c", commands], cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("✓ 1 of 1 operation tried: all agree")
