"""Files that a command writes are whole, or what was there before."""

import argparse
import os
from pathlib import Path

import pytest

from manual.files import folder_written_whole, output_file, written_whole


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


@pytest.fixture(params=["absent", "there", "a link"])
def folder(request, tmp_path):
    folder = tmp_path / "place" / "folder"
    folder.parent.mkdir()
    there = folder
    if request.param == "a link":
        there = tmp_path / "elsewhere"
        folder.symlink_to(there)
    if request.param != "absent":
        there.mkdir(mode=0o750)
        (there / "old.txt").write_text("old", encoding="utf-8")
    return folder


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def write(folder, error=None):
    with folder_written_whole(folder) as new:
        (new / "new.txt").write_text("new", encoding="utf-8")
        if error:
            raise error


def test_a_folder_takes_the_place_of_another(folder):
    is_link, mode = folder.is_symlink(), folder.stat().st_mode if folder.exists() else None
    write(folder)
    assert files_of(folder) == {"new.txt"}
    assert folder.is_symlink() == is_link
    assert mode in (None, folder.stat().st_mode)
    assert files_of(folder.parent) - {"folder/new.txt"} == {"folder"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_until_all_of_a_folder_is_written_nothing_changes(folder, error):
    before = files_of(folder.parents[1])
    with pytest.raises(error):
        write(folder, error)
    assert files_of(folder.parents[1]) == before


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(folder, monkeypatch):
    before, replace = files_of(folder.parents[1]), Path.replace

    def fail(path, target):
        if (path / "new.txt").exists():
            raise OSError("no room")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        write(folder)
    assert files_of(folder.parents[1]) == before


def test_a_folder_is_not_replaced_by_those_who_stand_in_it(folder, monkeypatch):
    (folder.resolve() / "within").mkdir(parents=True)
    monkeypatch.chdir(folder / "within")
    with pytest.raises(ValueError, match="cannot be replaced by those who stand in it"):
        write(folder)
