"""Results that a program in any language wrote, held against an export."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from manual.contract import Array
from reference.catalogue import hint
from reference.checking.report import Report, Untried
from reference.exact import exactly
from reference.exchange.reading import Export, RefusedError
from reference.exchange.tensors import unpacked
from reference.formats import format_of
from reference.record import Agreement, Record
from reference.structure import is_floating

SUFFIX = ".safetensors"


class Stated:
    """The truth of one array as an export states it; r is by the formula on the export's page."""

    theirs = torch_ratios = None  # an export has of torch its worst r alone

    def __init__(self, truth: Array, scale: Array, unit_roundoff: float) -> None:
        self.truth = exactly(truth)
        self._truth, self._scale, self._u = truth, scale, unit_roundoff

    def ratios(self, got: Array) -> Any:
        """The ratio r of each element."""
        with np.errstate(invalid="ignore", over="ignore"):
            ratios = self._distance(got) / self._scale / self._u
        got = got.astype(float)
        as_expected = (got == self._truth) | (np.isnan(got) & np.isnan(self._truth))
        return np.where(np.isfinite(got) & np.isfinite(self._truth), ratios, np.where(as_expected, 0, np.inf))

    def error(self, got: Array) -> float:
        """Max |got − truth| / max |truth| over what is finite in the truth; 0 where that is below all normal numbers."""
        finite = np.isfinite(self._truth)
        largest = abs(self._truth[finite]).max(initial=0)
        if not largest >= np.finfo(np.float64).smallest_normal:
            return 0.0
        with np.errstate(invalid="ignore", over="ignore"):
            return float(self._distance(got)[finite].max() / largest)

    def _distance(self, got: Array) -> Any:
        return abs(got.astype(float) - self._truth)


def judge(directory: str | os.PathLike[str], results: str | os.PathLike[str]) -> list[Report]:
    """Hold results against an export, which says everything that is needed: a report for each of its operations.

    `results` is a directory of files called as those of the export, `silu.safetensors`, in which results have the names that the
    truth has there: `0/output`, `0/grad_0`. They are in the dtype of the export, or in a longer one, from which they are rounded.
    What is missing, or was left out of the export, is untried; what has no counterpart in the export is wrong.
    """
    export, folder = Export(directory), Path(results)
    if not folder.is_dir():
        raise RefusedError(f"{folder} is no directory; results are expected as files in one, such as silu{SUFFIX}")
    found = {file.name.removesuffix(SUFFIX): file for file in sorted(folder.iterdir()) if file.name.endswith(SUFFIX)}
    reports = []
    for name in export.operations:
        manifest = export.manifest(name)
        if name not in found:
            untried = [Untried(case["label"], f"there is no {name}{SUFFIX}") for case in manifest["cases"]]
            reports.append(Report(name, export.dtype, (), (*untried, *_left_out(manifest))))
            continue
        try:
            got = unpacked(found[name].read_bytes())
        except (OSError, ValueError) as problem:
            raise RefusedError(f"{found[name]}: {problem}") from None
        reports.append(_report(manifest, export.arrays(name), got))
    for name in sorted(found.keys() - export.operations.keys()):
        complaint = f"the export has no operation {name!r}: {hint(name, export.operations)}"
        reports.append(Report(name, export.dtype, (_wrong(name, export.dtype, f"{name}{SUFFIX}", [complaint]),)))
    return reports


def _left_out(manifest: Mapping[str, Any]) -> list[Untried]:
    """The cases that nobody can try who has nothing but the export."""
    return [Untried(case["label"], f"left out of the export, as {case['reason']}") for case in manifest["left_out"]]


def _wrong(operation: str, dtype: str, where: str, complaints: list[str]) -> Agreement:
    return Agreement(operation, where, dtype, complaints=tuple(complaints))


def _report(manifest: Mapping[str, Any], expected: Mapping[str, Array], got: Mapping[str, Array]) -> Report:
    """How the results of an operation agree."""
    operation, dtype = manifest["operation"], manifest["dtype"]
    agreements, untried = [], []
    for case in manifest["cases"]:
        results = [*case["outputs"], *case["gradients"]]
        present = [result for result in results if result["tensor"] in got]
        missing = [result["tensor"] for result in results if result["tensor"] not in got]
        if missing:
            untried.append(Untried(case["label"], f"{', '.join(missing)} missing"))
        if present:
            agreements.append(_agreement(manifest, case, present, expected, got))
    surplus = sorted(got.keys() - expected.keys())
    if surplus or not agreements:
        complaints = [f"{name} is no result of the export" for name in surplus] or ["it holds no result of the export"]
        agreements.append(_wrong(operation, dtype, f"{operation}{SUFFIX}", complaints))
    return Report(operation, dtype, tuple(agreements), (*untried, *_left_out(manifest)))


def _agreement(
    manifest: Mapping[str, Any],
    case: Mapping[str, Any],
    results: list[Mapping[str, Any]],
    expected: Mapping[str, Array],
    got: Mapping[str, Array],
) -> Agreement:
    record = Record(manifest["operation"], case["label"], format_of(manifest["dtype"]), case["torch_loses"])
    record.limit, record.keeps_worst = case["limit"], True
    x = expected[case["arguments"][0]["tensor"]] if case["kind"] == "sweep" else None
    for result in results:
        true, ours = expected[result["tensor"]], got[result["tensor"]]
        dtype = true.dtype if result["scale"] is None else record.dtype
        if ours.shape != true.shape or not _fits(ours.dtype, dtype):
            expected_dtype = f"{dtype} or longer" if is_floating(dtype) else dtype
            came = f"{ours.dtype} of shape {ours.shape}"
            record.complain(f"{result['name']} must be {expected_dtype}, of shape {true.shape}, got {came}")
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            ours = ours.astype(dtype)
        if result["scale"] is None:
            record.compare(result["name"], ours, true)
        else:
            record.compare(result["name"], ours, Stated(true, expected[result["scale"]], manifest["unit_roundoff"]), x)
        torch_r = result["torch_r"]
        record.quantities[-1] = replace(record.quantities[-1], torch_ratio=None if torch_r is None else float(torch_r))
    return record.agreement()


def _fits(found: np.dtype[Any], expected: np.dtype[Any]) -> bool:
    """Whether results may be in this dtype: one of the same kind, no shorter; of integers any."""
    if is_floating(expected):
        return found == expected or (is_floating(found) and found.itemsize > expected.itemsize)
    return found == expected or (found.kind in "iu" and expected.kind in "iu")
