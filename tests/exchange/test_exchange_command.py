"""The commands `python -m reference export` and `judge`: what they print, and their exit status."""

import sys

import numpy as np
import pytest

from reference import __main__ as command
from reference.exchange import export as exporting
from tests.exchange.reader import FUNCTIONS, results_of, write_results


def test_an_export_says_what_it_wrote_and_what_it_left_out(tmp_path, capsys):
    directory = tmp_path / "export"
    assert command.main(["export", str(directory), "dropout", "tensor.flip", "--dtype", "float64", "--seed", "3"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("2 operations, ")
    assert f" cases in float64 written to {directory}, 0 cases left out (" in line


def test_reasons_are_printed(tmp_path, capsys, monkeypatch, exported):
    monkeypatch.setattr("reference.exchange.command.export", lambda *_: exporting.Export(exported))
    assert command.main(["export", str(tmp_path / "export"), "dropout"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    operations = exporting.Export(exported).operations
    name = "triplet_margin_with_distance_loss"
    reason = f"{operations[name]['left_out']} cases left out: distance_function is a function, which no file can hold"
    assert f"{name}: {reason}" in lines
    assert f", {sum(counts['left_out'] for counts in operations.values())} cases left out (" in last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export"], "the following arguments are required: DIRECTORY"),
        (["export", "{}/new", "slu"], "there is no operation, module or chapter 'slu': did you mean"),
        (["export", "{}/new", "Linear"], "'Linear' is no operation"),
        (["export", "{}/new", "--dtype", "int8"], "invalid choice: 'int8'"),
        (["export", "{}", "dropout"], "is neither empty nor an export"),
        (["export", "{}/no/such", "dropout"], "No such file or directory"),
        (["judge", "{}"], "the following arguments are required: RESULTS"),
        (["judge", "{}", "{}"], "index.json cannot be read in"),
    ],
)
def test_wrong_usage_is_exit_status_2(tmp_path, capsys, arguments, message):
    (tmp_path / "mine").touch()
    with pytest.raises(SystemExit) as stop:
        command.main([argument.format(tmp_path) for argument in arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("arguments", "module"), [(["export", "x"], "safetensors"), (["judge", "x", "x"], "safetensors")])
def test_a_missing_package_is_named(capsys, monkeypatch, arguments, module):
    for name in [name for name in sys.modules if name.startswith("reference.exchange")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("reference.exchange", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    assert command.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"python -m reference {arguments[0]}: {module}")
    assert "[oracle]" in said


def test_results_that_agree_are_exit_status_0(exported, tmp_path, capsys):
    write_results(tmp_path, "linear", results_of(FUNCTIONS["linear"], exported, "linear"))
    assert command.main(["judge", str(exported), str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if line.startswith("linear  "))
    assert "grad_0" in row
    assert "✓ linear in float32: 19 of 19 cases and sweeps tried, all right" in lines
    assert lines[-1].startswith("✓ 1 of 10 operations tried: all agree; ")
    assert "no file for " in lines[-1]
    assert "silu" in lines[-1].partition("no file for ")[2]


def test_one_wrong_gradient_is_exit_status_1(exported, tmp_path, capsys):
    results = results_of(FUNCTIONS["linear"], exported, "linear")
    write_results(tmp_path, "linear", results | {"0/grad_1": np.negative(results["0/grad_1"])})
    assert command.main(["judge", str(exported), str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "✗ linear, batch of 5: grad_1: r = " in out
    assert out.splitlines()[-1].startswith("✗ 1 of 10 operations tried: linear disagrees; ")


def test_nothing_tried_is_exit_status_1(exported, tmp_path, capsys):
    assert command.main(["judge", str(exported), str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("✗ nothing was tried; ")


def test_a_damaged_export_is_exit_status_2(exported, tmp_path, capsys):
    (tmp_path / "index.json").write_bytes((exported / "index.json").read_bytes()[:-2])
    with pytest.raises(SystemExit) as stop:
        command.main(["judge", str(tmp_path), str(exported)])
    assert stop.value.code == 2
    assert "index.json is damaged" in capsys.readouterr().err
