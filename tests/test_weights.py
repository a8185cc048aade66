"""Weights in files: there and back, from torch and to it, and every broken file refused with nothing changed."""

import io
import json
import re
import struct
import sys
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

import manual

NUMBERS = "float32, float64, integers or bool"
ENDINGS = pytest.mark.parametrize("ending", [".npz", ".safetensors"])


def network(library=manual, dtype=None):
    dtype = dtype or (np.float64 if library is manual else torch.float64)
    layers = [library.Conv1d(2, 3, 2, dtype=dtype), library.BatchNorm1d(3, dtype=dtype), library.Linear(4, 2, dtype=dtype)]
    return library.Sequential(*layers)


def state_of(net):
    return {name: np.array(array) for name, array in net.state_dict().items()}


def assert_same(state, other):
    assert list(state) == list(other)
    for name, array in state.items():
        assert array.dtype == other[name].dtype
        np.testing.assert_array_equal(array, other[name])


# -- There and back


@ENDINGS
def test_there_and_back(ending, tmp_path):
    net, other, path = network(), network(), tmp_path / f"net{ending}"
    net[1](np.random.default_rng(0).standard_normal((4, 3, 5)))  # so that the statistics are not those at the start
    net[0].weight.data = np.asfortranarray(net[0].weight.data)
    manual.save_weights(net, path)
    assert_same(dict(sorted(state_of(net).items())), dict(sorted(manual.read_weights(path).items())))
    assert manual.load_weights(other, str(path)) == ([], [])
    assert_same(state_of(net), state_of(other))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@ENDINGS
def test_any_names_and_shapes(ending, tmp_path):
    state = {"file": np.array(1.5), "a/b.ü": np.zeros((0, 3), np.float32), "x.npy": np.arange(3), "flag": np.array([True])}
    state["big endian"] = np.arange(4.0).astype(">f8")
    state["every other"] = np.arange(10.0)[::2]
    manual.save_weights(state, tmp_path / f"state{ending}")
    found = manual.read_weights(tmp_path / f"state{ending}")
    state["big endian"] = state["big endian"].astype(float)
    assert_same(dict(sorted(state.items())), dict(sorted(found.items())))


@ENDINGS
@pytest.mark.parametrize(("saved", "loaded"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_single_and_double_precision_are_converted(ending, saved, loaded, tmp_path):
    net, other, path = network(dtype=saved), network(dtype=loaded), tmp_path / f"net{ending}"
    manual.save_weights(net, path)
    manual.load_weights(other, path)
    assert_same({name: a.astype(loaded) if a.dtype.kind == "f" else a for name, a in state_of(net).items()}, state_of(other))


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_files_of_torch(precision, tmp_path):
    theirs, ours, path = network(torch.nn, precision), network(), tmp_path / "net.safetensors"
    safetensors.torch.save_file(theirs.state_dict(), path)
    manual.load_weights(ours, path)
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], tensor.numpy())
    ours[0].weight.data += 1
    manual.save_weights(ours, path)
    theirs.load_state_dict(safetensors.torch.load_file(path))
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].astype(tensor.numpy().dtype), tensor.numpy())


def test_files_of_numpy(tmp_path):
    net, other = network(), network()
    np.savez_compressed(tmp_path / "net.npz", **net.state_dict())
    manual.load_weights(other, tmp_path / "net.npz")
    assert_same(state_of(net), state_of(other))
    manual.save_weights(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as saved:
        assert_same(state_of(net), dict(saved))


def test_lazy_modules_take_the_shapes_of_the_file(tmp_path):
    manual.save_weights(manual.Linear(3, 2), tmp_path / "net.npz")
    lazy = manual.LazyLinear(2)
    manual.load_weights(lazy, tmp_path / "net.npz")
    assert lazy.weight.shape == (2, 3)


def test_without_the_package_npz_still_works(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    manual.save_weights(network(), tmp_path / "net.npz")
    manual.load_weights(network(), tmp_path / "net.npz")
    with pytest.raises(ModuleNotFoundError, match="python -m pip install safetensors"):
        manual.save_weights(network(), tmp_path / "net.safetensors")
    assert not (tmp_path / "net.safetensors").exists()


@ENDINGS
def test_a_save_that_fails_leaves_the_old_file(ending, tmp_path, monkeypatch):
    path = tmp_path / f"net{ending}"
    manual.save_weights(network(), path)
    before = path.read_bytes()

    def full(*arguments, **keywords):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        manual.save_weights(network(), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: manual.save_weights(network(), "net.pt"),
            "net.pt: the name of a file of weights must end in ",
        ),
        (lambda: manual.read_weights("net"), "net: the name of a file of weights must end in .safetensors or .npz"),
        (lambda: manual.save_weights([1], "net.npz"), "weights must be a Module or a mapping of names to arrays, got list"),
        (lambda: manual.save_weights({1: np.ones(1)}, "net.npz"), "a name must be a string, got 1"),
        (
            lambda: manual.save_weights({"a": np.ones(1, "f2")}, "net.npz"),
            f"a must be an array of {NUMBERS}",
        ),
        (
            lambda: manual.save_weights({"a": [1.0]}, "net.npz"),
            f"a must be an array of {NUMBERS}, got list",
        ),
        (
            lambda: manual.save_weights(manual.LazyLinear(2), "net.npz"),
            f"weight must be an array of {NUMBERS}",
        ),
        (lambda: manual.load_weights({}, "net.npz"), "load_weights: module must be a Module, got dict"),
    ],
)
def test_what_is_refused(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        manual.load_weights(network(), tmp_path / "net.npz")


# -- Broken files: each a name, what becomes of the bytes or the state, and what the error says


def npz(state):
    file = io.BytesIO()
    np.savez(file, **state)
    return file.getvalue()


def header(data, change):
    """A .safetensors file whose header is changed; the bytes of the arrays stay."""
    size = struct.unpack("<Q", data[:8])[0]
    text = change(json.loads(data[8 : 8 + size]))
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def entry(name, **values):
    return lambda header: {**header, name: {**header[name], **values}}


def flipped(place):
    return lambda data: data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def in_array(name, offset):
    """Flip a byte of an array in an .npz file."""

    def flip(data):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            info = archive.getinfo(f"{name}.npy")
        start = info.header_offset + 30 + int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
        return flipped(start + len(info.filename) + offset)(data)

    return flip


def with_member(name, content):
    def add(data):
        file = io.BytesIO(data)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, content)
        return file.getvalue()

    return add


def lengthened():
    file = io.BytesIO()
    np.save(file, np.ones(2))
    return file.getvalue() + b"more"


def again(data):
    with pytest.warns(UserWarning, match="Duplicate name"):
        return with_member(f"{BIAS}.npy", lengthened()[:-4])(data)


def pickled():
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([{}], dtype=object))
    return file.getvalue()


DAMAGED = "is damaged, or no .(npz|safetensors) file: ."
SHAPE = r"2.weight must have shape \(2, 4\), got \(4, 2\)"
WEIGHT, BIAS, COUNT = "2.weight", "2.bias", "1.num_batches_tracked"
CORRUPT = [
    *(
        (".npz", f"cut off at {part:.0%}", lambda d, part=part: d[: int(part * len(d))], DAMAGED)
        for part in (0, 0.01, 0.3, 0.6, 0.9)
    ),
    (".npz", "its last byte missing", lambda d: d[:-1], DAMAGED),
    (".npz", "its first kilobyte missing", lambda d: d[1024:], DAMAGED),
    (".npz", "a flipped byte at the start", flipped(0), DAMAGED),
    *((".npz", f"byte {k} of an array flipped", in_array(WEIGHT, k), DAMAGED) for k in (0, 6, 10, 40, 128, 140, 191)),
    *((".npz", f"byte {k} of a counter flipped", in_array(COUNT, k), DAMAGED) for k in (128, 135)),
    (".npz", "no zip at all", lambda d: b"weights" * 100, DAMAGED),
    (".npz", "a lone array", lambda d: npz({"a": np.ones(3)})[38:200], DAMAGED),
    (".npz", "a pickled object", with_member("evil.npy", pickled()), DAMAGED),
    (".npz", "another kind of member", with_member("readme.txt", "hello"), "readme.txt is no array"),
    (".npz", "more than an array", with_member("extra.npy", lengthened()), "extra.npy is longer than its array"),
    (".npz", "an array there twice", again, "2.bias.npy is there twice"),
    (".npz", "a member that is no array", with_member("extra.npy", "hello"), DAMAGED),
    (".npz", "a safetensors file", lambda d: struct.pack("<Q", 2) + b"{}", DAMAGED),
    *((".safetensors", f"cut off at {p:.0%}", lambda d, p=p: d[: int(p * len(d))], DAMAGED) for p in (0, 0.004, 0.1, 0.5, 0.9)),
    (".safetensors", "its last byte missing", lambda d: d[:-1], DAMAGED),
    (".safetensors", "bytes behind its end", lambda d: d + b"more", DAMAGED),
    *((".safetensors", f"a flipped byte at {k}", flipped(k), DAMAGED) for k in (0, 7, 8, 9, 15, 30, 45)),
    (".safetensors", "a header that is no JSON", lambda d: header(d, lambda h: b"{" * 64), DAMAGED),
    (".safetensors", "a shape that is too large", lambda d: header(d, entry(WEIGHT, shape=[2, 5])), DAMAGED),
    (".safetensors", "a negative size", lambda d: header(d, entry(WEIGHT, shape=[-2, -4])), DAMAGED),
    (".safetensors", "offsets beyond its end", lambda d: header(d, entry(WEIGHT, data_offsets=[0, 10**9])), DAMAGED),
    (".safetensors", "an unknown dtype", lambda d: header(d, entry(WEIGHT, dtype="F99")), DAMAGED),
    (".safetensors", "an npz file", lambda d: npz({"a": np.ones(3)}), DAMAGED),
    (
        ".safetensors",
        "half precision",
        lambda d: header(d, entry(WEIGHT, dtype="F16", shape=[8, 4])),
        "must hold .*got F16",
    ),
    (
        ".safetensors",
        "brain floats",
        lambda d: header(d, entry(WEIGHT, dtype="BF16", shape=[8, 4])),
        "must hold .*got BF16",
    ),
    (".safetensors", "complex numbers", lambda d: header(d, entry(WEIGHT, dtype="C64")), "must hold .*got C64"),
    (
        ".safetensors",
        "another shape",
        lambda d: header(d, entry(WEIGHT, shape=[4, 2])),
        r"2.weight must have shape \(2, 4\), got \(4, 2\)",
    ),
    (
        ".safetensors",
        "numbers as integers",
        lambda d: header(d, entry(WEIGHT, dtype="I64")),
        "2.weight must hold floating-point numbers",
    ),
]
MISFITS = [
    ("half precision", {WEIGHT: np.ones((2, 4), np.float16)}, f"2.weight must hold {NUMBERS}, got float16"),
    (
        "complex numbers",
        {WEIGHT: np.ones((2, 4), complex)},
        f"2.weight must hold {NUMBERS}, got complex128",
    ),
    ("text", {WEIGHT: np.array(["a"])}, f"2.weight must hold {NUMBERS}, got <U1"),
    ("integers for numbers", {WEIGHT: np.ones((2, 4), int)}, "2.weight must hold floating-point numbers, got int64"),
    ("truths for numbers", {BIAS: np.ones(2, bool)}, "2.bias must hold floating-point numbers, got bool"),
    ("numbers for integers", {COUNT: np.array(3.0)}, "1.num_batches_tracked must hold integers, got float64"),
    ("another shape", {WEIGHT: np.ones((4, 2))}, r"2.weight must have shape \(2, 4\), got \(4, 2\)"),
    ("an axis more", {BIAS: np.ones((2, 1))}, r"2.bias must have shape \(2,\), got \(2, 1\)"),
    ("an axis less", {BIAS: np.array(1.0)}, r"2.bias must have shape \(2,\), got \(\)"),
    ("a surplus name", {"3.weight": np.ones(1)}, "unexpected 3.weight"),
    ("a missing name", {WEIGHT: None}, "missing 2.weight"),
    ("another name", {WEIGHT: None, "2.weights": np.ones((2, 4))}, "missing 2.weight; unexpected 2.weights"),
]


def misfit(change):
    return lambda state: npz({name: array for name, array in (state | change).items() if array is not None})


def test_there_are_fifty():
    assert len(CORRUPT) + len(MISFITS) >= 50


def assert_refused(net, path, message):
    before = state_of(net)
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        manual.load_weights(net, path)
    assert str(path) in str(caught.value)
    assert_same(before, state_of(net))


@pytest.mark.parametrize(
    ("ending", "change", "message"), [pytest.param(e, c, m, id=f"{e[1:]}: {label}") for e, label, c, m in CORRUPT]
)
def test_a_corrupt_file_is_refused(ending, change, message, tmp_path):
    path = tmp_path / f"net{ending}"
    manual.save_weights(network(), path)
    path.write_bytes(change(path.read_bytes()))
    assert_refused(network(), path, message)


@pytest.mark.parametrize(("change", "message"), [pytest.param(change, message, id=label) for label, change, message in MISFITS])
def test_what_does_not_fit_is_refused(change, message, tmp_path):
    net, path = network(), tmp_path / "net.npz"
    path.write_bytes(misfit(change)(state_of(network())))
    assert_refused(net, path, message)


def test_names_may_be_passed_over(tmp_path):
    net, path = network(), tmp_path / "net.npz"
    path.write_bytes(misfit({WEIGHT: None, "3.weight": np.ones(1)})(state_of(network())))
    assert manual.load_weights(net, path, strict=False) == (["2.weight"], ["3.weight"])
