"""A row that is meant for every service is written once, and is each one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.stacks.loader import describe
from backends.stacks.toml_file import ConfigError
from tests.unit.test_stack_variant import BASE, VARIANTS

ROW = """
[[diagnosis]]
per = "service"
id = "loops-%{service}"
title = "%{service} is started again and again"
all = [{fact = "service:%{service}", equals = "restarting"}]
cause = "Its log says why."
response = "Mend it."
service = "%{service}"
"""


def made(folder: Path, row: str, variants: str = VARIANTS) -> Path:
    path = folder / "stack.toml"
    path.write_text(BASE + row + variants)
    return path


def test_it_stands_for_each_service_of_each_generation(tmp_path: Path) -> None:
    described = describe(made(tmp_path, ROW))
    for form in (described, *described.others):
        stack = form.build(form.sources())
        loops = {each.service: each for each in stack.diagnoses.values() if each.id.startswith("loops-")}
        assert loops.keys() == {service.name for service in stack.services}
        assert loops["web"].id == "loops-web"
        assert loops["web"].title == "web is started again and again"
        assert loops["web"].demands[0].fact == "service:web"
    assert "extra" in {
        each.name for each in described.others[0].build(described.others[0].sources()).services
    }


def test_those_that_are_left_out_have_none_and_a_list_has_those_alone(tmp_path: Path) -> None:
    less = describe(made(tmp_path, ROW.replace('per = "service"', 'per = "service"\nbut = ["web"]')))
    assert "loops-web" not in less.build(less.sources()).diagnoses
    alone = describe(made(tmp_path, ROW.replace('per = "service"', 'per = ["web"]')))
    assert {name for name in alone.build(alone.sources()).diagnoses if "loops" in name} == {"loops-web"}


def test_of_services_with_a_port_each_row_names_its_own(tmp_path: Path) -> None:
    row = ROW.replace('per = "service"', 'per = "port"').replace("again and again", "at %{port}")
    path = made(tmp_path, row)
    path.write_text(path.read_text().replace('name = "web"\n', 'name = "web"\nport = 8080\n', 1))
    described = describe(path)
    loops = [each for each in described.build(described.sources()).diagnoses.values() if "loops" in each.id]
    assert [each.title for each in loops] == ["web is started at 8080"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("service:%{service}", "service:%{service}s", "there is no service 'webs'"),
        ('service = "%{service}"', 'procedure = "mend-%{service}"', "there is no procedure 'mend-web'"),
        ('per = "service"', 'per = "sort"', "expected service, port or a list of names"),
        ('id = "loops-%{service}"', 'id = "loops"', "used twice"),
        ("cause =", "clause =", "unknown key; did you mean 'cause'?"),
    ],
)
def test_what_is_wrong_with_it_is_said_with_the_line_it_is_written_on(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    wrong_row = ROW.replace(before, after, 1)
    path = made(tmp_path, ROW.replace("loops", "stops").replace("Mend it", "Start it") + wrong_row)
    lines = path.read_text().splitlines()
    with pytest.raises(ConfigError) as wrong:
        describe(path)
    assert said in str(wrong.value)
    number = int(str(wrong.value).partition(f"{path}:")[2].partition(":")[0])
    begins = len(lines) - len((wrong_row + VARIANTS).splitlines())
    assert begins < number <= begins + len(wrong_row.splitlines()) + 1
    assert after in lines[number - 1] or lines[number - 1] == "[[diagnosis]]"
