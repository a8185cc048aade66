"""A reader of exports that knows nothing but what their page says."""

import json

import numpy as np
from safetensors.numpy import load_file, save_file

import manual
from manual import tensor
from reference import structure

OPERATIONS = (
    "silu",  # sweeps
    "linear",
    "lstm_cell",  # nested arguments and outputs
    "max_pool2d",  # integer outputs
    "embedding",  # integer arguments
    "tensor.index",  # slices, Ellipsis, new axes, arrays of integers and truth values among the constants
    "triplet_margin_with_distance_loss",  # a function, which is left out
    "cross_entropy",
    "linear_cross_entropy",  # a record of settings
    "dropout",  # a mask among the constants
)
FUNCTIONS = {name: getattr(tensor, name.removeprefix("tensor.")) if "." in name else getattr(manual, name) for name in OPERATIONS}


def manifest_of(directory, operation):
    return json.loads((directory / f"{operation}.json").read_text(encoding="utf-8"))


def arrays_of(directory, operation):
    return load_file(directory / f"{operation}.safetensors")


def value(noted, arrays, sequence=tuple):
    """What stands in a manifest for an argument or a constant; a list within an index is an array."""
    match noted:
        case {"tensor": name}:
            return arrays[name]
        case {"slice": bounds}:
            return slice(*bounds)
        case {"ellipsis": True}:
            return ...
        case {"options": fields}:
            return manual.LinearCrossEntropyOptions(**fields)
        case [*parts]:
            return sequence(value(part, arrays, list) for part in parts)
        case "inf" | "-inf" | "nan":
            return float(noted)
    return noted


def cotangent(case, arrays):
    """That of the output, or a tuple for several."""
    of = [value(output["cotangent"], arrays) for output in case["outputs"]]
    return of[0] if case["outputs"][0]["name"] == "output" else tuple(of)


def results_of(function, directory, operation):
    """What a function of `manual`'s contract gives on every case, under the names that the export expects."""
    arrays, results = arrays_of(directory, operation), {}
    for case in manifest_of(directory, operation)["cases"]:
        arguments = [value(argument, arrays) for argument in case["arguments"]]
        constants = {name: value(constant, arrays) for name, constant in case["constants"].items()}
        with np.errstate(all="ignore"):  # sweeps go to infinity
            output, backward = function(*arguments, **constants)
            found = structure.named(output, "output") | structure.named_gradients(backward(cotangent(case, arrays)))
        results |= {f"{case['case']}/{name}": np.asarray(array) for name, array in found.items() if array is not None}
    return results


def write_results(directory, operation, results):
    directory.mkdir(exist_ok=True)
    save_file({name: np.asarray(array, order="C") for name, array in results.items()}, directory / f"{operation}.safetensors")


def ratio(result, got, manifest, arrays):
    """The r of an array, as the page has it."""
    truth = arrays[result["tensor"]]
    if result["scale"] is None:
        return 0.0 if (got == truth).all() else np.inf
    with np.errstate(all="ignore"):
        r = np.abs(got.astype(np.float64) - truth) / arrays[result["scale"]] / manifest["unit_roundoff"]
    same = (got == truth) | (np.isnan(got) & np.isnan(truth))
    return np.where(np.isfinite(got) & np.isfinite(truth), r, np.where(same, 0, np.inf)).max(initial=0)
