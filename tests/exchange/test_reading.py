"""Nothing is read from an export in which a byte is not as it was written."""

import json
import shutil

import numpy as np
import pytest

from reference import judge
from reference.exchange.reading import Export, RefusedError, sealed


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def test_whole_it_is_read(copy):
    export = Export(copy)
    assert export.dtype == "float32"
    assert export.manifest("silu")["operation"] == "silu"
    assert export.arrays("silu")["0/arguments/0"].dtype == np.float32


def test_a_byte_flipped_in_any_file_is_refused_by_its_name(copy):
    """The first and the last byte of each file, and some between, of which one bit or all are another; of the index every byte."""
    draw = np.random.default_rng(0)
    for file in copy.iterdir():
        data = file.read_bytes()
        is_index = file.name == "index.json"
        for at in range(len(data)) if is_index else {0, len(data) - 1, *draw.integers(0, len(data), 6)}:
            changed = bytearray(data)
            changed[at] ^= draw.choice([1 << draw.integers(8), 255])
            file.write_bytes(changed)
            with pytest.raises(RefusedError, match=f"^{file.name} "):
                Export(copy)
        file.write_bytes(data)
    Export(copy)


@pytest.mark.parametrize("name", ["index.json", "silu.json", "silu.safetensors", "schema.json"])
def test_a_file_that_is_missing_or_cut_off_is_refused_by_its_name(copy, name):
    file = copy / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RefusedError, match=f"^{name} is damaged"):
        judge(copy, copy)
    file.unlink()
    with pytest.raises(RefusedError, match=f"^{name} cannot be read in .*: No such file or directory"):
        judge(copy, copy)


def test_another_version_is_refused(copy):
    index = json.loads((copy / "index.json").read_text(encoding="utf-8"))
    del index["sha256"]
    (copy / "index.json").write_bytes(sealed(index))
    Export(copy)
    (copy / "index.json").write_bytes(sealed(index | {"version": 2}))
    with pytest.raises(RefusedError, match=r"^index.json has format version 2; this program reads version 1"):
        Export(copy)


def test_what_is_no_export_is_refused(tmp_path):
    (tmp_path / "index.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"^index.json is damaged, or not that of a handgrad export"):
        Export(tmp_path)
