"""What is made in the state folder is for one account, unless whoever prepared it made it for a group."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.journal.drills import RECORDS
from backends.state_folder import closed, make_folder, open_file
from tui.commands.drill import _keep


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["000", "022", "077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def prepared(state: Path, mode: int = 0o2770) -> Path:
    state.mkdir()
    state.chmod(mode)
    return state


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def made(state: Path) -> tuple[str, str, str, str]:
    """The modes of a folder, of a file in it, of one each author's, and of a record of a drill."""
    make_folder(state / "journal")
    os.close(open_file(state / "journal/lock", os.O_RDWR))
    make_folder(state / "approvals", is_sticky=True)
    _keep(state / RECORDS, {})
    return (
        mode(state / "journal"), mode(state / "journal/lock"), mode(state / "approvals"),
        mode(state / RECORDS),
    )  # fmt: skip


def test_below_a_folder_prepared_for_a_group_all_of_it_is_for_the_group(tmp_path: Path, umask: int) -> None:
    assert made(prepared(tmp_path / "state")) == ("2770", "660", "3770", "660")
    assert not list(tmp_path.rglob(".new-*"))


@pytest.mark.parametrize("how", [0o700, 0o770, 0o777, 0o2750, 0o2755], ids=oct)
def test_below_any_other_it_is_for_its_account(tmp_path: Path, umask: int, how: int) -> None:
    private = ("700", "600", "700", "600")
    found = made(prepared(tmp_path / "state", how))
    # On Linux a folder has the setgid bit of the one above it, which lets nobody in.
    assert tuple(each.removeprefix("2") if len(each) == 4 else each for each in found) == private


def test_a_state_folder_that_nobody_prepared_is_private_wherever_it_is(tmp_path: Path, umask: int) -> None:
    place = prepared(tmp_path / "local")
    make_folder(place / "state/journal")
    assert mode(place / "state")[-3:] in ("755", "700")
    assert mode(place / "state/journal")[-3:] == "700"


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    file = prepared(tmp_path / "state") / "lock"
    file.write_text("held")
    file.chmod(0o640)
    os.close(open_file(file, os.O_RDWR))
    assert (file.read_text(), mode(file)) == ("held", "640")


@pytest.mark.parametrize("how", [0o700, 0o2770], ids=oct)
def test_a_link_is_not_followed(tmp_path: Path, how: int) -> None:
    state = prepared(tmp_path / "state", how)
    (state / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_file(state / "lock", os.O_RDWR)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("why", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS], ids=errno.errorcode.get)
def test_where_the_file_system_knows_no_second_name_a_file_is_made_for_the_group_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, why: int
) -> None:
    def refused(_source: Path, _target: Path) -> None:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "link", refused)
    state = prepared(tmp_path / "state")
    handle = open_file(state / "lock", os.O_WRONLY)
    os.write(handle, b"held")
    os.close(handle)
    assert mode(state / "lock") == "660"
    assert [each.name for each in state.iterdir()] == ["lock"]


def test_where_it_knows_none_a_file_that_another_made_at_the_same_moment_is_the_one_that_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_source: Path, target: Path) -> None:
        target.write_text("theirs")
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refused)
    handle = open_file(prepared(tmp_path / "state") / "lock", os.O_RDWR)
    assert os.read(handle, 9) == b"theirs"
    os.close(handle)


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(OSError, match="no space left"):
        open_file(prepared(tmp_path / "state") / "lock", os.O_RDWR)
    assert not list((tmp_path / "state").iterdir())


def test_what_vanishes_while_it_is_looked_at_hides_nothing_that_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(prepared(tmp_path / "state"))
    (tmp_path / "state/journal/000000.jsonl").symlink_to(tmp_path / "gone")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, how: Path(path).name != "lock" and real(path, how))
    shut = closed(tmp_path / "state", "journal", "journal/[!.]*", "plans")
    assert shut is not None
    assert "journal/lock belongs to" in shut[0]


def test_nothing_is_closed_in_a_folder_of_ones_own_or_in_none(tmp_path: Path) -> None:
    made(prepared(tmp_path / "state"))
    assert closed(tmp_path / "state", "journal", "journal/[!.]*", "plans") is None
    assert closed(tmp_path / "none", "journal") is None
