"""What an export holds, and how it is written."""

import hashlib
import json
from pathlib import Path

import jsonschema
import mpmath
import numpy as np
import pytest

from reference import agreement, export
from reference.cases import OPERATIONS
from reference.checking.trials import NotTried
from reference.exchange import reading
from reference.exchange.manifest import Sheet
from reference.exchange.reading import Export
from tests.exchange.reader import arrays_of, manifest_of

SMALL = ["relu6", "dropout", "max_pool1d"]


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def case_of(manifest, label):
    (case,) = (case for case in manifest["cases"] if case["label"] == label)
    return case


def test_a_rerun_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("one", 0), ("other", 0), ("seed", 1)):
        export(tmp_path / name, SMALL, seed=seed)
    one, other, seed = (contents(tmp_path / name) for name in ("one", "other", "seed"))
    assert one == other
    assert one.keys() == seed.keys()
    assert not any(one[name] == seed[name] for name in one if name.endswith(".safetensors"))


@pytest.fixture
def valid(exported):
    """Complains of a document that is not of this kind."""
    schema = json.loads((exported / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return {
        kind: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]}).validate
        for kind in ("index", "manifest", "argument", "constant")
    } | {"either": jsonschema.Draft202012Validator(schema).validate}


def test_every_document_has_the_schema(exported, valid):
    index = json.loads((exported / "index.json").read_text(encoding="utf-8"))
    valid["index"](index)
    valid["either"](index)
    for operation in Export(exported).operations:
        valid["manifest"](manifest_of(exported, operation))


def test_every_argument_and_constant_of_the_catalogue_can_be_written_down_or_is_a_function(valid):
    for operation in OPERATIONS.values():
        for case in operation.cases:
            sheet = Sheet(0)
            for i, argument in enumerate(case.build(operation.name, "float32")):
                valid["argument"](sheet.noted(f"arguments/{i}", argument))
            for name, value in case.constants.items():
                if name == "distance_function" and value is not None:
                    with pytest.raises(NotTried, match="distance_function is a function, which no file can hold"):
                        sheet.noted(f"constants/{name}", value)
                else:
                    valid["constant"](sheet.noted(f"constants/{name}", value))


def test_the_schema_says_what_is_needed(exported, valid):
    manifest = manifest_of(exported, "dropout")
    valid["either"](manifest)
    for change in ({"version": 2}, {"unit_roundoff": 0}, {"more": 1}, {"dtype": "int8"}):
        with pytest.raises(jsonschema.ValidationError):
            valid["manifest"](manifest | change)
    del manifest["cases"][0]["gradients"]
    with pytest.raises(jsonschema.ValidationError, match="'gradients' is a required property"):
        valid["manifest"](manifest)


def test_the_index_names_every_file_and_its_checksum(exported):
    index = json.loads((exported / "index.json").read_text(encoding="utf-8"))
    others = {name: hashlib.sha256(data).hexdigest() for name, data in contents(exported).items() if name != "index.json"}
    assert index["files"] == others
    lines = (exported / "index.json").read_bytes().splitlines(keepends=True)
    assert json.loads(b"{" + lines[1].rstrip(b",\n") + b"}") == {"sha256": index["sha256"]}
    assert hashlib.sha256(lines[0] + b"".join(lines[2:])).hexdigest() == index["sha256"]


def test_every_array_belongs_to_something(exported):
    def named(part):
        if isinstance(part, dict):
            names = [part[key] for key in ("tensor", "scale") if isinstance(part.get(key), str)]
            return names + [name for value in part.values() for name in named(value)]
        return [name for value in part for name in named(value)] if isinstance(part, list) else []

    for operation in Export(exported).operations:
        names = named(manifest_of(exported, operation)["cases"])
        assert len(names) == len(set(names))
        assert set(names) == arrays_of(exported, operation).keys()


def test_truth_and_scale(exported):
    """silu at a point where both terms of its slope count, in 60 digits."""
    manifest, arrays = manifest_of(exported, "silu"), arrays_of(exported, "silu")
    assert manifest["unit_roundoff"] == 2.0**-24
    with mpmath.workdps(60):
        for case in manifest["cases"]:
            number = case["case"]
            x, g = arrays[f"{number}/arguments/0"], arrays[f"{number}/cotangents/output"]
            for at in np.ndindex(x.shape):
                if not abs(x[at]) < 80:
                    continue
                z = mpmath.mpf(float(x[at]))
                s = 1 / (1 + mpmath.exp(-z))
                terms = s, z * s * (1 - s)
                assert arrays[f"{number}/output"][at] == pytest.approx(float(z * s), rel=2**-52)
                assert arrays[f"{number}/grad_0"][at] == pytest.approx(float(sum(terms) * float(g[at])), rel=2**-52, abs=1e-300)
                size = sum(map(abs, terms)) * abs(float(g[at]))
                assert arrays[f"{number}/scales/grad_0"][at] == pytest.approx(max(float(size), 2.0**-126), rel=2**-52)


@pytest.mark.parametrize("which", ["linear", "dropout", "max_pool2d", "cross_entropy"])
def test_what_torch_achieves_stands_in_the_manifest(exported, which):
    for case in manifest_of(exported, which)["cases"]:
        if case["kind"] == "case":
            measured = agreement.measure(OPERATIONS[which], OPERATIONS[which].cases[case["case"]], "float32")
            torchs = {quantity.name: quantity.torch_ratio for quantity in measured.quantities}
            for result in (*case["outputs"], *case["gradients"]):
                assert result["torch_r"] is None if result["scale"] is None else float(result["torch_r"]) == torchs[result["name"]]


def test_constants_and_arguments(exported):
    index = manifest_of(exported, "tensor.index")
    constants = [case["constants"]["index"] for case in index["cases"]]
    assert {"slice": [1, 3, None]} in constants
    assert any({"ellipsis": True} in each for each in constants if isinstance(each, list))
    assert any(None in each for each in constants if isinstance(each, list))
    assert any("tensor" in each for each in constants if isinstance(each, dict))

    dropout = manifest_of(exported, "dropout")
    masks = [case["constants"]["mask"] for case in dropout["cases"] if case["constants"].get("mask")]
    assert arrays_of(exported, "dropout")[masks[0]["tensor"]].dtype == bool

    case = manifest_of(exported, "lstm_cell")["cases"][0]
    number = case["case"]
    x, states, weights = case["arguments"]
    assert x == {"tensor": f"{number}/arguments/0"}
    assert states == [{"tensor": f"{number}/arguments/1.{i}"} for i in range(2)]
    assert weights[-1] == {"tensor": f"{number}/arguments/2.{len(weights) - 1}"}
    assert [output["name"] for output in case["outputs"]] == ["output.0", "output.1"]
    assert [grad["name"] for grad in case["gradients"]] == ["grad_0", "grad_1.0", "grad_1.1", *(f"grad_2.{i}" for i in range(4))]

    options = [case["constants"].get("options") for case in manifest_of(exported, "linear_cross_entropy")["cases"]]
    assert {"options": {"batch_chunk_size": 3, "chunking_method": "auto"}} in options
    assert None in options

    (pooled,) = {
        (output["scale"], output["torch_r"], output["cotangent"])
        for case in manifest_of(exported, "max_pool2d")["cases"]
        for output in case["outputs"]
        if output["name"] == "output.1"
    }
    assert pooled == (None, None, None)


def test_what_is_not_finite_is_a_string(exported):
    text = (exported / "embedding.json").read_text(encoding="utf-8")
    manifest = json.loads(text, parse_constant=pytest.fail)
    assert case_of(manifest, "max_norm, never reached")["constants"] == {"max_norm": "inf"}


def test_a_case_that_no_file_can_hold_is_left_out_with_its_reason(exported):
    name = "triplet_margin_with_distance_loss"
    manifest = manifest_of(exported, name)
    left_out = {case["label"]: case["reason"] for case in manifest["left_out"]}
    functions = [case.label for case in OPERATIONS[name].cases if callable(case.constants.get("distance_function"))]
    assert list(left_out) == functions
    assert set(left_out.values()) == {"distance_function is a function, which no file can hold"}
    assert Export(exported).operations[name] == {"cases": len(manifest["cases"]), "left_out": len(functions)}
    assert len(manifest["cases"]) + len(functions) == len(OPERATIONS[name].cases)


@pytest.mark.parametrize(("kind", "stored", "digits"), [("float16", "F16", 11), ("bfloat16", "BF16", 8), ("float64", "F64", 53)])
def test_other_dtypes(tmp_path, kind, stored, digits):
    directory = tmp_path / "export"
    export(directory, ["relu6"], kind)
    assert f'"0/arguments/0":{{"dtype":"{stored}"'.encode() in (directory / "relu6.safetensors").read_bytes()
    assert manifest_of(directory, "relu6")["unit_roundoff"] == 2.0**-digits


def test_the_page_is_the_one_of_the_package(exported):
    page = Path(reading.__file__).with_name("format.md")
    assert (exported / "README.md").read_bytes() == page.read_bytes()


def test_an_export_and_an_empty_directory_are_replaced(tmp_path):
    directory = tmp_path / "export"
    directory.mkdir()
    export(directory, ["dropout"])
    (directory / "dropout.json").write_text("damaged", encoding="utf-8")
    export(directory, ["max_pool1d"])
    assert contents(directory).keys() == {"README.md", "index.json", "schema.json", "max_pool1d.json", "max_pool1d.safetensors"}
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_nothing_else_is_replaced(tmp_path, monkeypatch):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("words", encoding="utf-8")
    (tmp_path / "file").write_text("words", encoding="utf-8")
    older = tmp_path / "older"
    export(older, ["dropout"])
    (older / "notes.txt").write_text("words", encoding="utf-8")
    before = contents(older)
    for directory, message in (
        (thesis, "thesis is neither empty nor an export"),
        (tmp_path / "file", "file is a file"),
        (older, "holds notes.txt, which is no part of the export"),
    ):
        with pytest.raises(FileExistsError, match=message):
            export(directory, ["dropout"])
    monkeypatch.chdir(older)
    (older / "notes.txt").unlink()
    with pytest.raises(ValueError, match="cannot be replaced by those who stand in it"):
        export(".", ["dropout"])
    assert contents(thesis) == {"chapter.tex": b"words"}
    assert contents(older) == {name: data for name, data in before.items() if name != "notes.txt"}


def test_until_all_is_written_nothing_changes(tmp_path):
    def interrupt(name):
        raise KeyboardInterrupt

    directory = tmp_path / "export"
    export(directory, ["dropout"])
    before = contents(directory)
    for path in (directory, tmp_path / "other"):
        with pytest.raises(KeyboardInterrupt):
            export(path, ["max_pool1d"], done=interrupt)
    assert contents(directory) == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["slu"], ValueError, "there is no operation, module or chapter 'slu': did you mean "),
        (["silu", "Linear"], ValueError, "'Linear' is no operation: modules are not exported"),
        ("silu", TypeError, "names must be a list of names, got 'silu'"),
    ],
)
def test_names_are_refused(tmp_path, names, error, message):
    with pytest.raises(error, match=message):
        export(tmp_path / "export", names)
    with pytest.raises(ValueError, match="dtype must be one of"):
        export(tmp_path / "export", ["silu"], "int64")
    assert not list(tmp_path.iterdir())
