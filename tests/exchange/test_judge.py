"""Results are judged by what the export says, as `measure` would judge them."""

import numpy as np
import pytest

from reference import agreement, export, judge
from reference.cases import OPERATIONS as CATALOGUE
from reference.exchange.reading import RefusedError
from reference.exchange.tensors import unpacked
from tests.exchange.reader import FUNCTIONS, OPERATIONS, arrays_of, manifest_of, ratio, results_of, write_results


@pytest.fixture(scope="module")
def ours(exported):
    """What `manual` gives on every case."""
    return {name: results_of(FUNCTIONS[name], exported, name) for name in OPERATIONS}


def judged(exported, directory, **results):
    """The reports of the operations that have results."""
    for name, arrays in results.items():
        write_results(directory, name, arrays)
    return [report for report in judge(exported, directory) if report.operation in results]


def test_manual_agrees_with_an_r_that_is_the_same_as_measured(exported, ours, tmp_path):
    """So a reader finds in an export everything that it needs to run an operation, and nothing more is needed to judge it."""
    for report in judged(exported, tmp_path, **ours):
        operation = CATALOGUE[report.operation]
        manifest, arrays = manifest_of(exported, report.operation), arrays_of(exported, report.operation)
        assert report.agrees
        left_out = [(case["label"], f"left out of the export, as {case['reason']}") for case in manifest["left_out"]]
        assert [(one.case, one.reason) for one in report.untried] == left_out
        assert [agreement.case for agreement in report.agreements] == [case["label"] for case in manifest["cases"]]
        for case, of_case in zip(manifest["cases"], report.agreements, strict=True):
            results = {result["name"]: result for result in (*case["outputs"], *case["gradients"])}
            assert [quantity.name for quantity in of_case.quantities] == list(results)
            for quantity in of_case.quantities:
                got = ours[report.operation][f"{case['case']}/{quantity.name}"]
                assert quantity.ratio == ratio(results[quantity.name], got, manifest, arrays)
            if case["kind"] == "case":
                measured = agreement.measure(operation, operation.cases[case["case"]], "float32")
                for quantity, expected in zip(of_case.quantities, measured.quantities, strict=True):
                    assert quantity.name == expected.name
                    assert quantity.ratio == pytest.approx(expected.ratio, rel=1e-6, abs=1e-6)
                    assert quantity.error == pytest.approx(expected.error, rel=1e-6, abs=1e-12)
                    if results[quantity.name]["scale"]:
                        assert quantity.torch_ratio == expected.torch_ratio


def scaled(results):
    return results | {"0/grad_0": results["0/grad_0"] * np.float32(1.01)}


def swapped(results):
    return results | {"0/grad_1": results["0/grad_2"], "0/grad_2": results["0/grad_1"]}


def with_nan(results):
    grad = results["0/grad_0"].copy()
    grad[1, 0] = np.nan
    return results | {"0/grad_0": grad}


def with_infinity(results):
    return results | {"0/output": results["0/output"] / np.float32(0)}


def unknown(results):
    return results | {"0/grad_9": results["0/grad_0"], "x": results["0/grad_0"]}


@pytest.mark.parametrize(
    ("change", "complaints"),
    [
        (scaled, ["batch of 5: grad_0: r = "]),
        (swapped, [f"batch of 5: grad_{i} must be float32 or longer, of shape" for i in (1, 2)]),
        (with_nan, ["batch of 5: grad_0: r = inf, allowed 30: nan at [1, 0], in truth "]),
        (with_infinity, ["batch of 5: output: r = inf"]),
        (unknown, ["linear.safetensors: 0/grad_9 is no result of the export", "linear.safetensors: x is no result of the export"]),
    ],
)
def test_wrong_results_are_complaints(exported, ours, tmp_path, change, complaints):
    with np.errstate(all="ignore"):
        (report,) = judged(exported, tmp_path, linear=change(ours["linear"]))
    assert not report.agrees
    assert len(report.complaints) == len(complaints)
    for complaint, beginning in zip(report.complaints, complaints, strict=True):
        assert complaint.startswith(beginning)


def test_gradients_of_the_same_shape_that_are_swapped_are_noticed(exported, ours, tmp_path):
    name = "triplet_margin_with_distance_loss"
    (label, *_) = (case["label"] for case in manifest_of(exported, name)["cases"])
    results = ours[name]
    results = results | {"0/grad_1": results["0/grad_2"], "0/grad_2": results["0/grad_1"]}
    (report,) = judged(exported, tmp_path, **{name: results})
    assert [complaint.partition(": r = ")[0] for complaint in report.complaints] == [f"{label}: grad_1", f"{label}: grad_2"]


def test_indices_must_be_the_same_in_integers_of_any_size(exported, ours, tmp_path):
    results = ours["max_pool2d"]
    indices = [name for name in results if name.endswith("output.1")]
    (report,) = judged(exported, tmp_path, max_pool2d=results | {name: results[name].astype(np.uint8) for name in indices})
    assert report.agrees
    for wrong, message in ((results[indices[0]] + 1, ", in truth "), (results[indices[0]].astype(np.float32), "must be int64, ")):
        (report,) = judged(exported, tmp_path, max_pool2d=results | {indices[0]: wrong})
        (complaint,) = report.complaints
        assert "output.1" in complaint
        assert message in complaint


def test_a_longer_format_is_rounded(exported, ours, tmp_path):
    """So a program may compute in it, and infinity is what float32 makes of a number too large."""
    results = {name: array.astype(np.float64) if array.dtype == np.float32 else array for name, array in ours["silu"].items()}
    truth = arrays_of(exported, "silu")
    (name,) = {name for name in results if name.endswith("/output") and np.isinf(truth[name]).any()}
    results[name] = np.where(np.isinf(results[name]), np.sign(results[name]) * 1e40, results[name])
    (report,) = judged(exported, tmp_path, silu=results)
    assert report.agrees
    results["0/output"] = results["0/output"].astype(np.float16)
    (report,) = judged(exported, tmp_path, silu=results)
    (complaint,) = report.complaints
    assert "output must be float32 or longer, of shape (4, 5), got float16 of shape (4, 5)" in complaint


def test_half_precision_need_not_be_written(tmp_path):
    """Results in float32 are judged as bfloat16; the truth of a case is off by less than its unit."""
    export(tmp_path / "export", ["relu6"], "bfloat16")
    reports = judge(tmp_path / "export", tmp_path / "export")
    assert [report.agrees for report in reports] == [True]
    assert reports[0].dtype == "bfloat16"
    arrays = unpacked((tmp_path / "export" / "relu6.safetensors").read_bytes())
    wide = {name: array.astype(np.float32) for name, array in arrays.items() if name.split("/")[1] in ("output", "grad_0")}
    (report,) = judged(tmp_path / "export", tmp_path / "results", relu6=wide)
    assert report.agrees
    (report,) = judged(tmp_path / "export", tmp_path / "results", relu6=wide | {"0/output": wide["0/output"] * 1.5})
    assert not report.agrees


def test_what_is_missing_is_untried(exported, ours, tmp_path):
    results = {name: array for name, array in ours["linear"].items() if not name.startswith("1/") and name != "0/grad_1"}
    labels = [case["label"] for case in manifest_of(exported, "linear")["cases"]]
    (report,) = judged(exported, tmp_path, linear=results)
    assert report.agrees
    assert [(one.case, one.reason) for one in report.untried] == [
        (labels[0], "0/grad_1 missing"),
        (labels[1], "1/output, 1/grad_0, 1/grad_1 missing"),
    ]
    assert labels[1] not in [agreement.case for agreement in report.agreements]
    others = [report for report in judge(exported, tmp_path) if report.operation != "linear"]
    assert {report.operation for report in others} == {*OPERATIONS} - {"linear"}
    for other in others:
        assert not other.agrees
        manifest = manifest_of(exported, other.operation)
        reasons = [one.reason for one in other.untried]
        assert reasons.count(f"there is no {other.operation}.safetensors") == len(manifest["cases"])
        assert len(reasons) == len(manifest["cases"]) + len(manifest["left_out"])


def test_a_file_without_results_is_wrong(exported, tmp_path):
    (report,) = judged(exported, tmp_path, linear={})
    assert report.complaints == ["linear.safetensors: it holds no result of the export"]


def test_an_operation_that_the_export_does_not_have_is_wrong(exported, ours, tmp_path):
    (report,) = judged(exported, tmp_path, liner=ours["linear"])
    assert report.complaints == ["liner.safetensors: the export has no operation 'liner': did you mean linear?"]


def test_results_that_cannot_be_read_are_refused(exported, tmp_path):
    with pytest.raises(RefusedError, match="nowhere is no directory"):
        judge(exported, tmp_path / "nowhere")
    (tmp_path / "silu.safetensors").write_bytes((exported / "silu.safetensors").read_bytes()[:-1])
    with pytest.raises(RefusedError, match=r"silu.safetensors: no .safetensors file, or a damaged one"):
        judge(exported, tmp_path)


@pytest.mark.slow
def test_the_whole_catalogue_read_back_as_its_own_results_agrees(tmp_path):
    written = export(tmp_path / "export")
    reports = judge(tmp_path / "export", tmp_path / "export")
    assert {report.operation for report in reports} == CATALOGUE.keys() == written.operations.keys()
    assert all(report.agrees for report in reports)
    assert {report.operation for report in reports if report.untried} == {"triplet_margin_with_distance_loss"}
    assert all(quantity.ratio <= 1 for report in reports for each in report.agreements for quantity in each.quantities)
