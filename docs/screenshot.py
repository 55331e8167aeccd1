"""Makes ``docs/screenshot.svg``: the room on its demo stack, as it draws itself."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from backends.engine import Engine, Mode
from backends.journal.identity import identify
from tui.app import ControlRoom
from tui.commands.demo import demo_world
from tui.commands.session import Session

SIZE = (150, 44)
SETTLE = 12.0
"""Seconds until sparklines and logs have something to show."""

OUT = Path(__file__).with_name("screenshot.svg")


def main() -> None:
    """Start the demo, look at it for a while, draw it."""
    argv = [sys.executable, "-m", "backends.demo", "trading-platform", "--seed", "7", "--fault", "unhealthy"]
    with demo_world(argv) as path, tempfile.TemporaryDirectory() as state:
        config = Session(path, is_demo=True).config()
        engine = Engine(config.stacks, Mode.ARMED, Path(state), identify())
        engine.start()
        try:
            svg = asyncio.run(_draw(ControlRoom(engine, demo_control=config.demo_control)))
        finally:
            engine.stop()
    # The drawing must not call for fonts from elsewhere: whoever looks has a monospaced one.
    svg = re.sub(r"@font-face\s*{[^}]*}|<!--.*?-->", "", svg, flags=re.DOTALL)
    OUT.write_text(svg)
    sys.stdout.write(f"{OUT.name}: {len(svg) / 1000:.0f} KB\n")


async def _draw(app: ControlRoom) -> str:
    async with app.run_test(size=SIZE) as pilot:
        await asyncio.sleep(SETTLE)
        await pilot.pause()
        return app.export_screenshot(title="Control Room")


if __name__ == "__main__":
    main()
