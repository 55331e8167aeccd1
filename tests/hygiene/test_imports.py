"""What a command does not need, it does not load; the engine knows nothing of the screen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREEN = ("textual", "rich", "tui.app")
CLIENTS = ("docker", "psycopg", "httpx", "prometheus_api_client", "redis")

PROBE = """
import json, sys
sys.argv = ["controlroom", *json.loads(sys.argv[1])]
from tui.cli import main
try:
    main()
except SystemExit as end:
    status = end.code
print("\\n" + json.dumps({"status": status, "modules": sorted(sys.modules)}))
"""


def loaded_by(home: Path, *arguments: str) -> set[str]:
    """The modules in memory at the end of one command, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1])["modules"])


def present(modules: set[str], names: tuple[str, ...]) -> set[str]:
    return {name for name in names if any(it == name or it.startswith(f"{name}.") for it in modules)}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack whose every address refuses at once."""
    path = tmp_path_factory.mktemp("config") / "config.toml"
    sources = ("gateway", "orchestrator", "signal", "market-data", "registry", "console", "prometheus")
    addresses = dict.fromkeys((*sources, "loki", "grafana"), "http://127.0.0.1:9")
    addresses |= dict.fromkeys(("redis", "redis-sessions", "redis-limits"), "redis://127.0.0.1:9/0")
    addresses |= {"postgres": "postgresql://127.0.0.1:9/x", "docker": "tcp://127.0.0.1:9"}
    lines = ['[stack.trading-platform]\nenvironment = "demo"']
    lines += [f'[stack.trading-platform.source.{name}]\nurl = "{url}"' for name, url in addresses.items()]
    path.write_text(f'[room]\nstate_dir = "{path.parent}"\n' + "\n".join(lines))
    return path


def test_the_probe_sees_the_screen_when_it_is_loaded(tmp_path: Path) -> None:
    assert "textual" in present(loaded_by(tmp_path, "keys"), SCREEN)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["paths"]], ids=lambda it: it[0])
def test_what_reads_nothing_loads_neither_the_screen_nor_a_client(
    tmp_path: Path, arguments: list[str]
) -> None:
    assert present(loaded_by(tmp_path, *arguments), (*SCREEN, *CLIENTS)) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--json", "--timeout", "8"],
        ["run", "halt", "--reason", "import test"],
        ["doctor"],
        ["check", "all"],
    ],
    ids=lambda it: it[0],
)
def test_commands_without_a_screen_do_not_load_it(config: Path, tmp_path: Path, arguments: list[str]) -> None:
    modules = loaded_by(tmp_path, "--config", str(config), *arguments)
    assert "backends.engine" in modules
    assert present(modules, ("textual", "tui.app", "tui.screens", "widgets")) == set()


def test_no_module_of_the_engine_loads_the_screen() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "backends").rglob("*.py")
        if path.name != "__main__.py"
    ]
    source = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
    source += (
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('textual', 'typer', 'tui', 'widgets')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.strip() == b"[]"
