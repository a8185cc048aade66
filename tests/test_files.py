"""Files that a command writes are whole, or what was there before."""

import argparse
import os
from pathlib import Path

import pytest

from manual.files import output_file, written_whole


@pytest.fixture(params=["absent", "there", "a link"])
def path(request, tmp_path):
    path = tmp_path / "file.txt"
    if request.param == "there":
        path.write_text("old", encoding="utf-8")
        path.chmod(0o640)
    elif request.param == "a link":
        path.symlink_to("elsewhere.txt")
    return path


def contents(folder):
    return {path.name: (path.read_text(encoding="utf-8"), path.is_symlink()) for path in folder.iterdir() if path.exists()}


def test_the_check_changes_nothing(path):
    before = contents(path.parent)
    assert output_file(str(path)) == path
    assert contents(path.parent) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_until_all_is_written_nothing_changes(path, error):
    before = contents(path.parent)

    def write_half():
        with written_whole(path) as file:
            file.write_text("ha", encoding="utf-8")
            raise error

    with pytest.raises(error):
        write_half()
    assert contents(path.parent) == before


def test_what_is_written_takes_its_place(path):
    is_link, mode = path.is_symlink(), path.stat().st_mode if path.exists() else None
    with written_whole(path) as file:
        assert file.suffix == path.suffix
        file.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "new"
    assert path.is_symlink() == is_link
    assert mode in (None, path.stat().st_mode)
    assert len(contents(path.parent)) == 1 + is_link


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="This system has no names for what is open")
def test_what_is_no_file_is_written_to(tmp_path):
    """Nothing could take the place of a pipe or a device."""
    end, start = os.pipe()
    with open(end, encoding="utf-8") as end, open(start, "w", encoding="utf-8"):
        path = output_file(f"/dev/fd/{start}")
        with written_whole(path) as file:
            file.write_text("text\n", encoding="utf-8")
        assert end.readline() == "text\n"


@pytest.mark.parametrize(
    ("name", "why"), [(".", "Is a directory"), ("no/such/file", "No such file or directory"), ("file/below", "Not a directory")]
)
def test_what_cannot_be_written_is_refused(tmp_path, monkeypatch, name, why):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(argparse.ArgumentTypeError, match=f"^cannot write {name}: {why}$"):
        output_file(name)
