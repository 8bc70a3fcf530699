"""Compiled programs that are kept: verified before they are used, and only from directories of the user's own."""

import contextlib
import hashlib
import logging
import os
import pickle
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.lowering.calls import directories, kept
from fuzz import damage_cache


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Temporary files in a directory of their own, nothing trusted, nothing warned of yet."""
    for name in ("GT4PY_BUILD_CACHE_LIFETIME", "GT4PY_BUILD_CACHE_DIR", "XDG_CACHE_HOME", directories.TRUSTED):
        monkeypatch.delenv(name, raising=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    directories._warn.cache_clear()


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody gets to, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        path = Path(directory).resolve()
        path.chmod(0o755)
        yield path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Directories


def test_what_is_made_is_the_users_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a" / "b"))
    directory = directories.cache_directory()
    for path in (directory, *directory.parents):
        if path == tmp_path:
            break
        assert mode(path) == 0o700


@pytest.mark.parametrize("reason", ["in a file", "nobody's home"])
def test_without_a_usable_directory_it_is_among_temporary_files(
    reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning that names the variable to set; the same directory for the next process."""
    if reason == "in a file":
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:

        def home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", home)
    with caplog.at_level(logging.WARNING):
        directory = directories.cache_directory()
        assert directories.cache_directory() == directory
    assert directory.parent == tmp_path / "temporary" / f"ailand_gt4py-{os.geteuid()}"
    assert mode(directory) == mode(directory.parent) == 0o700
    (record,) = caplog.records
    assert "XDG_CACHE_HOME" in record.message
    assert str(directory) in record.message


def test_without_any_directory_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(
        RunError, match=r"file cannot be used \(.*\), nor can .*file \(.*\); expected XDG_CACHE_HOME or TMP"
    ):
        directories.cache_directory()


def test_a_directory_that_cannot_be_written_to_is_followed_by_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(directories.places(tmp_path)) == [tmp_path]
    monkeypatch.setattr(directories, "is_writable", lambda path: path != tmp_path)
    places = directories.places(tmp_path)
    assert next(places) == tmp_path
    assert not caplog.records, "nothing is the matter where the program is found"
    assert next(places).is_relative_to(tmp_path / "temporary")
    assert "XDG_CACHE_HOME" in caplog.records[0].message


@pytest.mark.parametrize(("bits", "who"), [(0o777, "everybody"), (0o775, "its group"), (0o1777, "everybody")])
@pytest.mark.parametrize("of", ["cache", "cache/ailand_gt4py", "cache/ailand_gt4py/machine"])
def test_a_directory_where_others_write_is_refused_by_name(
    bits: int, who: str, of: str, monkeypatch: pytest.MonkeyPatch, public: Path
) -> None:
    """Or used where that is said. Others cannot replace what is below a directory with the sticky bit."""
    directory = public / "cache" / "ailand_gt4py" / "machine"
    directory.mkdir(parents=True)
    (public / of).chmod(bits)
    monkeypatch.setenv("XDG_CACHE_HOME", str(public / "cache"))
    monkeypatch.setattr(directories, "_machine", lambda: "machine")
    monkeypatch.setattr(directories, "_is_own_group", lambda status: False)
    if bits == 0o1777 and directory != public / of:
        assert directories.cache_directory() == directory
        return
    with pytest.raises(
        InputError, match=f"^{public / of}: can be written to by {who}, .*{directories.TRUSTED}={directory} if"
    ):
        directories.cache_directory()
    monkeypatch.setenv(directories.TRUSTED, f"/elsewhere:{directory}")
    assert directories.cache_directory() == directory


def test_nobody_gets_through_a_private_directory(public: Path) -> None:
    (public / "private" / "open").mkdir(parents=True)
    (public / "private").chmod(0o700)
    (public / "private" / "open").chmod(0o777)
    directories.check_owner(public / "private" / "open")


def test_a_group_of_the_user_alone_is_the_user(monkeypatch: pytest.MonkeyPatch, public: Path) -> None:
    public.chmod(0o775)
    names = {"user": "me", "group": "me"}
    members: list[str] = []
    monkeypatch.setattr(directories.pwd, "getpwuid", lambda _: SimpleNamespace(pw_name=names["user"]))
    monkeypatch.setattr(directories.grp, "getgrgid", lambda _: SimpleNamespace(gr_name=names["group"], gr_mem=members))
    directories.check_owner(public)
    members.append("you")
    with pytest.raises(InputError, match="can be written to by its group"):
        directories.check_owner(public)
    members.clear()
    names["group"] = "users"
    with pytest.raises(InputError, match="can be written to by its group"):
        directories.check_owner(public)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_what_belongs_to_others_is_refused_by_name(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    with pytest.raises(InputError, match=f"^{directory}: belongs to user 12345, "):
        directories.check_owner(directory)
    (directory / "below").mkdir()
    with pytest.raises(InputError, match=f"^{directory}: belongs to user 12345, "):
        directories.check_owner(directory / "below")


# Translations


def test_translations_are_kept_with_their_checksums(tmp_path: Path) -> None:
    translations = kept.Translations(tmp_path)
    with pytest.raises(KeyError):
        translations["a"]
    translations["a"] = {"x": 1.0}
    assert kept.Translations(tmp_path)["a"] == {"x": 1.0}
    (path,) = (tmp_path / "translations").iterdir()
    assert mode(path.parent) == 0o700
    whole = path.read_bytes()
    # The first is a whole pickle, as GT4Py keeps it; the last would be read as another number.
    for content in (whole[32:], b"", whole[:-1], whole + b"a", whole.replace(b"x", b"y")):
        path.write_bytes(content)
        with pytest.raises(KeyError):
            translations["a"]
    translations["a"] = {"x": 2.0}
    assert translations["a"] == {"x": 2.0}


def test_pickles_of_others_are_not_loaded(public: Path) -> None:
    marker = public / "executed"

    class Command:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(marker),)

    translations = kept.Translations(public)
    translations["a"] = 1
    (path,) = (public / "translations").iterdir()
    pickled = pickle.dumps(Command())
    path.write_bytes(hashlib.sha256(pickled).digest() + pickled)
    path.chmod(0o666)
    path.parent.chmod(0o755)
    with pytest.raises(InputError, match=f"^{path}: can be written to by everybody"):
        translations["a"]
    assert not marker.exists()


def test_translations_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that are there are found, others are kept elsewhere."""
    place = tmp_path / "place"
    kept.Translations(place.absolute()).path.parent.mkdir()
    kept.Translations(place)["old"] = 1
    monkeypatch.setattr(directories, "is_writable", lambda path: place not in (path, *path.parents))
    translations = kept.Translations(place)
    translations["new"] = 2
    assert (translations["old"], translations["new"]) == (1, 2)
    assert len(list(place.rglob("*.pkl"))) == 1


# Programs


def a_program(folder: Path) -> Path:
    """Files as those of a compiled program; the library."""
    folder.mkdir()
    library = folder / "libstep.so"
    for path in (library, kept._stub(library)):
        path.write_bytes(b"\x7fELF" + path.name.encode() * 500)
    (folder / "SHA256SUMS").write_text(kept._checksums(folder, library))
    return library


@pytest.mark.parametrize("file", ["libstep.so", "libdacestub_step.so", "SHA256SUMS"])
@pytest.mark.parametrize("damage", damage_cache.OF_A_FILE)
def test_every_damage_is_noticed(file: str, damage: str, tmp_path: Path) -> None:
    library = a_program(tmp_path / "program")
    assert kept._kept_library(library.parent) == library
    damage_cache.OF_A_FILE[damage](library.with_name(file))
    assert kept._kept_library(library.parent) is None


def test_checksums_of_other_files_are_none_of_the_program(tmp_path: Path) -> None:
    library = a_program(tmp_path / "program")
    sums = library.with_name("SHA256SUMS")
    lines = sums.read_text().splitlines(keepends=True)
    for text in (lines[0], lines[1], lines[0] * 2, "".join(lines) + f"{'0' * 64}  other\n", "", "\n", "\0\n"):
        sums.write_text(text)
        assert kept._kept_library(library.parent) is None


def test_what_another_can_change_is_not_loaded(public: Path) -> None:
    library = a_program(public / "program")
    library.chmod(0o777)
    with pytest.raises(InputError, match=f"^{library}: can be written to by everybody"):
        kept._kept_library(library.parent)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, damage_cache.Outcome]]:
    """A cache with a compiled step, and its result."""
    directory = tmp_path_factory.mktemp("whole")
    # The directory does not exist yet, nor does the one above it.
    cache = directory / "above" / "cache"
    with contextlib.chdir(directory):
        outcome = damage_cache.run(cache)
    assert outcome.kind == "right", outcome.text
    assert [path.name for path in directory.iterdir()] == ["above"], "nothing else may be left behind"
    yield cache, outcome
    shutil.rmtree(cache)


OTHER_PROCESS = textwrap.dedent("""
    import sys
    from ailand_gt4py.core.errors import RunError
    from fuzz import damage_cache

    try:
        print("right", damage_cache.step())
    except RunError as error:
        print("refused", error)
""")


def without_compiler(cache: Path, directory: Path) -> damage_cache.Outcome:
    """How a step ends in a new process, which has no compiler."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GT4PY_", "DACE_"))}
    environment |= {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment |= {"PATH": str(directory / "nothing"), "CXX": "/bin/false", "CMAKE": "/bin/false"}
    process = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS],
        env=environment,
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return damage_cache.Outcome(*process.stdout.strip().split(" ", 1))


def test_another_process_finds_the_compiled_program(whole: tuple[Path, damage_cache.Outcome], tmp_path: Path) -> None:
    """Once compiled, the same network runs where there is no compiler; without that it is refused, in one line."""
    cache, expected = whole
    assert without_compiler(cache, tmp_path) == expected
    found = without_compiler(tmp_path / "empty" / "cache", tmp_path)
    assert found.kind == "refused"
    assert found.text.startswith("the simple network for dace_cpu in float32 cannot be compiled: ")
    assert "\n" not in found.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "temporary"], "nothing else may be left behind"


@pytest.mark.parametrize("damage", ["library: cut short", "program: a file"])
def test_a_damaged_cache_heals_or_is_named(
    damage: str, whole: tuple[Path, damage_cache.Outcome], tmp_path: Path
) -> None:
    """All kinds: ``python tests/fuzz/damage_cache.py``."""
    cache, expected = whole
    outcome = damage_cache.after(cache, damage, tmp_path)
    assert damage_cache.is_good(outcome, expected), outcome
    assert outcome.kind == ("refused" if damage == "program: a file" else "right")


def test_the_build_commands_are_private(whole: tuple[Path, damage_cache.Outcome]) -> None:
    (builds,) = whole[0].glob("ailand_gt4py/*/builds")
    assert mode(builds) == 0o700
    assert list(builds.rglob("*.json")) or shutil.which("ninja") is None


def test_a_program_is_found_where_nothing_can_be_written(
    whole: tuple[Path, damage_cache.Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a byte is changed there."""
    cache, expected = whole
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    monkeypatch.setattr(directories, "is_writable", lambda path: cache not in (path, *path.parents))
    monkeypatch.setattr(kept, "_locked", None)
    assert damage_cache.run(cache) == expected
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
