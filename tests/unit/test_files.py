"""Files are written by one process at a time, whole or not at all, and only over what may be replaced."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
from pathlib import Path

import pytest

from ailand_gt4py.core import files
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import claimed, whole_file


def write(path: Path, text: str = "new") -> None:
    with whole_file(path, "writing the file") as temporary:
        temporary.write_text(text)


def killed_while_writing(path: Path) -> int:
    """A process that was killed when the temporary file was there; its id."""
    child = os.fork()
    if child == 0:
        try:
            with claimed([path]), whole_file(path, "writing the file") as temporary:
                temporary.write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return child


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with claimed([path, tmp_path / "b.nc"]):
        child = os.fork()
        if child == 0:
            try:
                files._claimed.clear()  # as in a process that is no child of this one
                with pytest.raises(InputError) as refused, claimed([tmp_path / "c.nc", path]):
                    pass
                expected = f"{path}: is being written by process {os.getppid()} on {socket.gethostname()}; expected"
                with pytest.raises(InputError, match="is being written by"):
                    write(tmp_path / "b.nc")
                write(tmp_path / "c.nc")  # was given up again
                os._exit(0 if str(refused.value).startswith(expected) else 1)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with pytest.raises(InputError, match="is being written by"), claimed([path]):
            pass  # a second thread of one process
        write(path)
    assert {item.name for item in tmp_path.iterdir()} == {"a.nc", "c.nc"}
    with claimed([path]):
        write(path, "again")
    assert path.read_text() == "again"


@pytest.mark.parametrize("claims", [True, False])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, claims: bool) -> None:
    path = tmp_path / "a.nc"
    path.write_text("old")
    own = [".a.nc.ailand-1a2b3c4d.txt", ".a.nc.ailand-12345.nc", "a.nc.ailand-1a2b3c4d.nc", ".b.nc.ailand-1a2b3c4d.nc"]
    for name in own:
        (tmp_path / name).write_text("of the user or of another file")
    killed_while_writing(path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == len(own) + 3  # with lock and temporary file
    if claims:
        with claimed([path]):
            pass
        assert path.read_text() == "old"
    else:
        write(path)
    assert {item.name for item in tmp_path.iterdir()} == {"a.nc", *own}


def test_a_store_that_was_set_aside_is_put_back(tmp_path: Path) -> None:
    """Killed between the two renamings by which a store is replaced."""
    store, aside = tmp_path / "a.zarr", tmp_path / ".a.zarr.ailand-1a2b3c4d-old.zarr"
    aside.mkdir()
    (aside / ".zgroup").write_text("{}")
    with claimed([store]):
        assert [item.name for item in store.iterdir()] == [".zgroup"]
    store.rename(aside)
    store.mkdir()
    with claimed([store]):
        pass
    assert [item.name for item in tmp_path.iterdir()] == ["a.zarr"]


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.nc")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket.nc"))
    (tmp_path / "directory.nc").mkdir()
    (tmp_path / "device.nc").symlink_to("/dev/null")
    (tmp_path / "link.nc").symlink_to(tmp_path / "fifo.nc")
    (tmp_path / "dangling.nc").symlink_to(tmp_path / "nowhere")
    before = {item.name: item.lstat() for item in tmp_path.iterdir()}
    for name in before:
        kind = {"link": "FIFO", "fifo": "FIFO", "dangling": "symbolic link to nothing"}.get(name[:-3], name[:-3])
        with pytest.raises(InputError, match=f"{name}: exists and is a {kind}, expected a file name"):
            write(tmp_path / name)
        with pytest.raises(InputError, match=f"exists and is a {kind}"), claimed([tmp_path / name]):
            pass
    listening.close()
    assert before == {item.name: item.lstat() for item in tmp_path.iterdir()}


def test_a_lock_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / ".a.nc.ailand-lock"
    for make in (lambda: os.mkfifo(lock), lambda: lock.symlink_to(tmp_path / "precious"), lock.mkdir):
        make()
        with pytest.raises(InputError, match="ailand-lock: (exists and is no file|cannot be held)"):
            write(tmp_path / "a.nc")
        assert os.path.lexists(lock)
        lock.rmdir() if lock.is_dir() else lock.unlink()
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_too_long(tmp_path: Path) -> None:
    write(tmp_path / f"{'ü' * 98}a.nc")
    with pytest.raises(InputError, match="has a name of 203 bytes, expected 1 to 200"):
        write(tmp_path / f"{'ü' * 100}.nc")


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.nc").write_text("")
    (tmp_path / "link.nc").symlink_to("in.nc")
    os.link(tmp_path / "in.nc", tmp_path / "hard.nc")
    store = tmp_path / "in.zarr"
    (store / "group").mkdir(parents=True)
    (store / ".zgroup").write_text("{}")
    (tmp_path / "linked").symlink_to(".")
    for output, given in (
        ("in.nc", "in.nc"),
        ("link.nc", "in.nc"),
        ("hard.nc", "in.nc"),
        ("linked/in.nc", "in.nc"),
        ("in.zarr", "in.zarr/group"),
        ("in.zarr/out.nc", "in.zarr"),
    ):
        refused = pytest.raises(InputError, match="is both an input and to be written")
        with refused, claimed([tmp_path / output], [None, tmp_path / given]):
            pass
    with claimed([tmp_path / "out.nc"], [tmp_path, tmp_path / "in.nc"]):
        pass
    with (
        pytest.raises(InputError, match="is to be written twice"),
        claimed([tmp_path / "a.nc", tmp_path / "linked/a.nc"]),
    ):
        pass


def test_without_locks_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    write(tmp_path / "a.nc")
    assert "no locks in this file system" in caplog.text
    assert [item.name for item in tmp_path.iterdir()] == ["a.nc"]
    assert not files._claimed
