"""A value that everybody has is told by the name of its variable, and no value ever is."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.model.fact import Broken, Fact, Finding, Found, Table, ValueType
from backends.model.query import FileQuery
from backends.model.stack import Source, SourceKind
from backends.readers.files import FilesFactReader

KNOWN = (".env.template", "docker-compose.yml")
TEMPLATE = "A_PASSWORD=changeme\nB_PASSWORD='hbot'\nC_PASSWORD=\nTOKEN=your_token\n"
COMPOSE = """
services:
  db: {environment: {P: "${A_PASSWORD:-canary_a}", Q: "${D_PASSWORD:-canary_d}", R: "${E_PASSWORD-canary_e}"}}
  app:
    environment:
      - "X=${F_PASSWORD:-}"
      - "Y=${G_PASSWORD:?wanted}"
      - "Z=$${H_PASSWORD:-canary_h}"
      # - "O=${K_PASSWORD:-canary_k}"
      - "N=${I_PASSWORD:-${J_PASSWORD:-canary_j}}"
"""


async def look(folder: Path, env: str) -> Finding:
    for name, text in ((".env", env), (".env.template", TEMPLATE), ("docker-compose.yml", COMPOSE)):
        (folder / name).write_text(text)
    return await again(folder)


async def again(folder: Path) -> Finding:
    source = Source("files", SourceKind.FILES, "F", f"file://{folder}", every=1.0, deadline=10.0)
    asked = Fact(
        "public", "Public", "g", "files", FileQuery(".env", "env", public=KNOWN), ValueType.TABLE,
        where={"name": "~PASSWORD", "public": "yes"},
    )  # fmt: skip
    return (await FilesFactReader(source).read([asked]))["public"]


ALL_OWN = "".join(f"{letter}_PASSWORD=own-{letter}\n" for letter in "ABCDEFGHIJK") + "TOKEN=your_token\n"


@pytest.mark.parametrize(
    ("line", "public"),
    [
        ("A_PASSWORD=own", []),
        ("A_PASSWORD=changeme", ["A"]),
        ("A_PASSWORD=changeme   # later", ["A"]),
        ('A_PASSWORD="changeme"', ["A"]),
        ("A_PASSWORD='changeme' # it's for later", ["A"]),
        ('A_PASSWORD="changeme"   # later', ["A"]),
        ("A_PASSWORD='changeme # no note'", []),
        ("A_PASSWORD=canary_a", ["A"]),
        ("A_PASSWORD=", ["A"]),
        ("B_PASSWORD=hbot", ["B"]),
        ("B_PASSWORD=", []),
        ("C_PASSWORD=", []),
        ("D_PASSWORD=changeme", []),
        ("E_PASSWORD=", []),
        ("E_PASSWORD=canary_e", ["E"]),
        ("J_PASSWORD=canary_j", ["J"]),
        ("K_PASSWORD=canary_k", ["K"]),
        ("K_PASSWORD=", []),
    ],
)
async def test_a_password_that_stands_in_the_template_or_in_the_compose_file_is_public(
    tmp_path: Path, line: str, public: list[str]
) -> None:
    name = line.partition("=")[0]
    kept = [each for each in ALL_OWN.splitlines() if not each.startswith(name)]
    found = await look(tmp_path, "\n".join([*kept, line]) + "\n")
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert [str(row[0]) for row in found.value.rows] == [f"{letter}_PASSWORD" for letter in public]
    assert not [word for word in ("changeme", "hbot", "canary", "own") if word in repr(found)]


@pytest.mark.parametrize(
    ("left_out", "public"), [("A", 1), ("D", 1), ("E", 1), ("J", 1), ("F", 0), ("H", 0), ("K", 0)]
)
async def test_a_password_that_is_not_set_is_public_where_the_compose_file_has_one(
    tmp_path: Path, left_out: str, public: int
) -> None:
    env = "".join(f"{line}\n" for line in ALL_OWN.splitlines() if not line.startswith(left_out))
    found = await look(tmp_path, env)
    assert isinstance(found, Found) and isinstance(found.value, Table)
    assert found.value.total == public


async def test_without_what_it_is_compared_with_nothing_is_known_to_be_one_s_own(tmp_path: Path) -> None:
    assert isinstance(await look(tmp_path, ALL_OWN), Found)
    for name in KNOWN:
        gone = (tmp_path / name).rename(tmp_path / "gone")
        found = await again(tmp_path)
        assert isinstance(found, Broken) and str(found.why) == f"{name} is not there to compare with"
        gone.rename(tmp_path / name)
    (tmp_path / ".env").write_text("no assignment canary\n")
    odd = await again(tmp_path)
    assert isinstance(odd, Broken) and "canary" not in str(odd.why)
