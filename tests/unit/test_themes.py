"""Theme files: ours are complete, the user's may be broken without harm."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from themes.contrast import Depth
from themes.loader import BASE_TCSS, FOLDER, ThemeError, defaults, load, shelf
from themes.meaning import COLORS

DARK = (FOLDER / "dark.toml").read_text()


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def refusal(folder: Path, text: str, depth: Depth = Depth.TRUE) -> str:
    with pytest.raises(ThemeError) as caught:
        load(written(folder, text), depth)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'mine.toml'}: ")
    return message.removeprefix(f"{folder / 'mine.toml'}: ")


def test_ours_come_first_and_dark_is_the_first_of_them() -> None:
    assert list(shelf().themes) == ["dark", "light", "contrast", "mono"]
    assert shelf().problems == ()
    assert shelf().themes["dark"].dark and not shelf().themes["light"].dark


@pytest.mark.parametrize("name", ["dark", "light", "contrast", "mono"])
def test_each_of_ours_names_every_meaning(name: str) -> None:
    raw = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    assert raw["colors"].keys() == COLORS


def test_a_theme_of_the_users_own_joins_ours(tmp_path: Path) -> None:
    written(tmp_path, DARK.replace("#1c1e21", "#101214"))
    found = shelf(tmp_path)
    assert found.problems == ()
    assert found.themes["mine"].background == "#101214"
    assert found.themes["mine"].variables["state-bad"] == found.themes["dark"].variables["state-bad"]


def test_a_broken_file_costs_only_itself_and_the_old_theme_stays(tmp_path: Path) -> None:
    written(tmp_path, "title = ", "dark.toml")
    found = shelf(tmp_path)
    assert found.themes["dark"].background == "#1c1e21"
    assert len(found.problems) == 1 and "dark.toml: not TOML" in found.problems[0]


def test_a_folder_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert shelf(tmp_path / "none").problems == ()


def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    assert refusal(tmp_path, DARK + "\n[extra]\n").startswith("unknown key 'extra'; expected ")
    assert refusal(tmp_path, DARK.replace("dark = true", 'dark = "yes"')) == "dark: expected true or false"
    missing = refusal(tmp_path, DARK.replace('stale = "#e2c47c"', ""))
    assert missing == "colors: missing stale"
    assert "is not a colour" in refusal(tmp_path, DARK.replace("#e2c47c", "reddish"))
    assert "lets the field through" in refusal(tmp_path, DARK.replace("#e2c47c", "#e2c47c80"))
    assert "unknown style 'blink'" in refusal(tmp_path, DARK.replace('strong = "bold"', 'strong = "blink"'))
    assert "unknown colour 'puce'" in refusal(tmp_path, DARK.replace("[styles]", '[styles]\npuce = "bold"'))


def test_a_theme_nobody_can_read_is_refused_with_the_pair_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, DARK.replace('state-bad = "#ffb9af"', 'state-bad = "#802020"'))
    assert "cannot be read with truecolor colours: state-bad on background is " in message
    assert "needs 7:1" in message


def test_a_theme_is_judged_at_the_depth_of_the_terminal(tmp_path: Path) -> None:
    without_sixteen = DARK[: DARK.index("[sixteen]")]
    load(written(tmp_path, without_sixteen))
    assert "with standard colours" in refusal(tmp_path, without_sixteen, Depth.SIXTEEN)


def test_a_huge_file_or_a_folder_is_refused_unread(tmp_path: Path) -> None:
    assert "not a theme" in refusal(tmp_path, "#" * 100_000)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ThemeError, match="cannot be read"):
        load(tmp_path / "folder.toml")


def test_the_style_sheet_names_no_colour_and_only_variables_that_every_theme_has() -> None:
    import re

    sheet = BASE_TCSS.read_text()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(", sheet) == []
    used = set(re.findall(r"\$([a-z0-9-]+)", sheet))
    assert used and used <= COLORS
    assert COLORS - {"accent", "foreground", "background", "surface", "panel"} <= defaults().keys()


def test_depth_comes_from_the_console_and_defaults_to_the_least() -> None:
    assert [Depth.of(it) for it in ("truecolor", "256", "standard", "windows", None)] == [
        Depth.TRUE,
        Depth.INDEXED,
        Depth.SIXTEEN,
        Depth.SIXTEEN,
        Depth.SIXTEEN,
    ]
