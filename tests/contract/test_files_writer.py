"""One key of a configuration file is changed and nothing else; the former file is kept."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from backends.model.action import FileEdit
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.model.stack import Source, SourceKind
from backends.writers import files
from backends.writers.files import FilesEffector

DONE, ALREADY, FAILED = ReceiptKind.DONE, ReceiptKind.ALREADY, ReceiptKind.FAILED
VALUES = {"exchange": "okx", "seen": "true", "threshold": "3.5"}

EXCHANGES = """\
# Exchanges we watch
exchanges:
  binance:
    enabled: true     # futures and spot
    connection: {rate_limit_per_second: 10, reconnect_delay_seconds: 5}

  okx:
    enabled: true
    # the public socket
    websocket: "wss://ws.okx.com:8443/ws/v5/public"
"""
INSTRUMENTS = """\
instruments:
  - id: BTC-USDT-PERP
    enabled: true
  # not yet
  - id: ETH-USDT-PERP
    enabled: false
    depth_levels: 20
"""
ALERTS = """\
thresholds:
  BTC-USDT-PERP:
    spread_warning:
      threshold: 3.0
      zscore: 2.0
    # the second one
    spread_critical: {threshold: 5.0, zscore: 3.0}
  "*":
    spread_warning: {threshold: 10.0, zscore: 2.0}
"""
TOML = """\
title = "desk" # ours
[limits]
loss = 200.0
[limits.day]
trades = 5
"""
ENV = "# note\nLOG_LEVEL=INFO\nexport SLACK='https://x'\n"


async def act(folder: Path, path: str, *key: str, value: Any = None, **more: Any) -> Receipt:
    action = FileEdit("config", path, key, value, **more)
    effector = FilesEffector(Source("config", SourceKind.FILES, "C", f"file://{folder}", 5.0, 1.0))
    return await effector.act(action, VALUES, Step("s", "Edit", action, (), deadline=5.0))


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def put(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("name", "text", "key", "value", "old", "new"),
    [
        ("a.yaml", EXCHANGES, ("exchanges", "binance", "enabled"), False, "    enabled: true     #",
         "    enabled: false     #"),
        ("a.yaml", EXCHANGES, ("exchanges", "$exchange", "enabled"), "false", "enabled: true\n    # the",
         "enabled: false\n    # the"),
        ("a.yaml", EXCHANGES, ("exchanges", "binance", "connection", "reconnect_delay_seconds"), 10,
         "seconds: 5", "seconds: 10"),
        ("a.yml", INSTRUMENTS, ("instruments", "id=ETH-USDT-PERP", "enabled"), True, "enabled: false",
         "enabled: true"),
        ("a.yaml", ALERTS, ("thresholds", "BTC-USDT-PERP", "spread_warning", "threshold"), "$threshold",
         "threshold: 3.0", "threshold: 3.5"),
        ("a.yaml", ALERTS, ("thresholds", "*", "spread_warning", "threshold"), 12, "10.0", "12.0"),
        ("a.toml", TOML, ("title",), "a \"b\"", 'title = "desk" # ours', 'title = "a \\"b\\"" # ours'),
        ("a.toml", TOML, ("limits", "day", "trades"), 3, "trades = 5", "trades = 3"),
        (".env", ENV, ("LOG_LEVEL",), "DEBUG", "LOG_LEVEL=INFO", "LOG_LEVEL=DEBUG"),
        (".env", ENV, ("SLACK",), "", "'https://x'", "''"),
    ],
)  # fmt: skip
async def test_one_value_is_changed_and_every_other_character_stays(
    tmp_path: Path, name: str, text: str, key: tuple[str, ...], value: Any, old: str, new: str
) -> None:
    path = put(tmp_path, name, text)
    path.chmod(0o640)
    receipt = await act(tmp_path, name, *key, value=value)
    assert receipt.kind is DONE, receipt
    assert text.count(old) == 1
    assert path.read_text(encoding="utf-8") == text.replace(old, new)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    (copy,) = names(tmp_path) - {path.name}
    assert copy in receipt.text and copy.endswith(".bak")
    assert (tmp_path / copy).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "text", "key", "gone"),
    [
        ("a.yaml", ALERTS, ("thresholds", "BTC-USDT-PERP", "spread_warning"),
         "    spread_warning:\n      threshold: 3.0\n      zscore: 2.0\n"),
        ("a.yaml", ALERTS, ("thresholds", "BTC-USDT-PERP", "spread_critical"),
         "    spread_critical: {threshold: 5.0, zscore: 3.0}\n"),
        ("a.toml", TOML, ("limits", "loss"), "loss = 200.0\n"),
        (".env", ENV, ("SLACK",), "export SLACK='https://x'\n"),
    ],
)  # fmt: skip
async def test_a_key_is_taken_out_with_what_is_under_it_and_comments_stay(
    tmp_path: Path, name: str, text: str, key: tuple[str, ...], gone: str
) -> None:
    path = put(tmp_path, name, text)
    assert (await act(tmp_path, name, *key, is_removed=True)).kind is DONE
    assert path.read_text(encoding="utf-8") == text.replace(gone, "")


@pytest.mark.parametrize(
    ("name", "text", "key", "value", "added"),
    [
        ("a.yaml", ALERTS, ("thresholds", "BTC-USDT-PERP", "spread_warning", "note"), "a: b",
         '      note: "a: b"\n'),
        ("a.yaml", INSTRUMENTS, ("instruments", "id=BTC-USDT-PERP", "depth_levels"), 5,
         "    depth_levels: 5\n"),
        ("a.toml", TOML, ("limits", "wins"), 2, "wins = 2\n"),
        (".env", ENV, ("NEW",), "a b", 'NEW="a b"\n'),
    ],
)  # fmt: skip
async def test_a_new_key_is_one_new_line(
    tmp_path: Path, name: str, text: str, key: tuple[str, ...], value: Any, added: str
) -> None:
    path = put(tmp_path, name, text)
    assert (await act(tmp_path, name, *key, value=value, is_created=True)).kind is DONE
    made = path.read_text(encoding="utf-8")
    assert added in made and made.replace(added, "", 1) == text


@pytest.mark.parametrize(
    ("name", "text", "key", "value", "why"),
    [
        ("a.yaml", EXCHANGES + "exchanges:\n  okx: {}\n", ("exchanges", "okx", "enabled"), False,
         "a key is there twice (line 11)"),
        ("a.yaml", EXCHANGES, ("okx", "enabled"), False, "there is no key okx"),
        ("a.yaml", EXCHANGES, ("exchanges", "okx", "enabld"), False, "there is no key exchanges.okx.enabld"),
        ("a.yaml", EXCHANGES, ("exchanges", "okx", "enabled"), "maybe", "'maybe' is neither"),
        ("a.yaml", EXCHANGES, ("exchanges", "okx"), False, "holds more than one value"),
        ("a.yaml", ALERTS, ("thresholds", "BTC-USDT-PERP", "spread_warning", "threshold"), "3 bps",
         "'3 bps' is none"),
        ("a.yaml", INSTRUMENTS, ("instruments", "id=SOL", "enabled"), True, "0 elements have id=SOL"),
        ("a.yaml", "a: [1\n", ("a",), 1, "is not sound YAML"),
        ("a.yaml", "a: &x 1\nb: *x\n", ("b",), 2, "cannot be changed without changing more"),
        ("a.toml", "a = 1\na = 2\n", ("a",), 3, "is not sound TOML"),
        (".env", "A=1\nA=2\n", ("A",), 3, "A is there twice"),
        (".env", "A=1\n", ("A",), "x\ny", "no quotes"),
        ("a.txt", "A=1\n", ("A",), "2", "neither YAML, TOML nor an env file"),
    ],
)  # fmt: skip
async def test_what_cannot_be_changed_cleanly_is_not_changed(
    tmp_path: Path, name: str, text: str, key: tuple[str, ...], value: Any, why: str
) -> None:
    path = put(tmp_path, name, text)
    receipt = await act(tmp_path, name, *key, value=value)
    assert (receipt.kind, why in receipt.text) == (FAILED, True), receipt
    assert path.read_text(encoding="utf-8") == text
    assert names(tmp_path) == {path.name}


async def test_what_differs_from_what_the_operator_saw_is_not_changed_and_what_is_so_already_is_told(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "a.yaml", EXCHANGES.replace("enabled: true\n    # the", "enabled: false\n    # the"))
    key = ("exchanges", "okx", "enabled")
    receipt = await act(tmp_path, "a.yaml", *key, value=False, was="$seen")
    assert receipt.kind is ALREADY
    put(tmp_path, "b.yaml", "level: high\n")
    refused = await act(tmp_path, "b.yaml", "level", value="low", was="medium")
    assert (refused.kind, "reads high, not medium as was seen" in refused.text) == (FAILED, True)
    assert names(tmp_path) == {path.name, "b.yaml"}


async def test_a_file_somebody_else_changed_meanwhile_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "a.yaml", "level: high\n")
    real = files.edit

    def slow(*words: Any) -> Any:
        path.write_text("level: high\nother: 1\n")
        return real(*words)

    monkeypatch.setattr(files, "edit", slow)
    receipt = await act(tmp_path, "a.yaml", "level", value="low")
    assert (receipt.kind, "changed by somebody else" in receipt.text) == (FAILED, True)
    assert path.read_text() == "level: high\nother: 1\n"
    assert names(tmp_path) == {path.name}


async def test_what_leads_out_of_the_folder_is_refused_and_a_link_stays_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    real = put(tmp_path, "real.yaml", "level: high\n")
    (folder / "a.yaml").symlink_to(real)
    assert "'..' in a path" in (await act(folder, "../real.yaml", "level", value="low")).text
    assert (await act(folder, "none.yaml", "level", value="low")).kind is FAILED
    assert (await act(folder, "a.yaml", "level", value="low")).kind is DONE
    assert (folder / "a.yaml").is_symlink() and real.read_text() == "level: low\n"


async def test_values_of_an_env_file_do_not_go_into_the_journal(tmp_path: Path) -> None:
    put(tmp_path, ".env", "DB_PASSWORD=canary-1\n")
    receipt = await act(tmp_path, ".env", "DB_PASSWORD", value="canary-2")
    assert receipt.kind is DONE
    assert "canary" not in repr(receipt)
