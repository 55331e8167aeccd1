"""On a terminal without UTF-8 every screen is drawn in ASCII."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.model.procedure import Verdict
from tests.pilot import scenes
from tests.pilot.rooms import make_room, opened
from widgets.glyphs import use_ascii


@pytest.fixture(autouse=True)
def ascii_only() -> Iterator[None]:
    use_ascii(True)
    yield
    use_ascii(False)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 12)])
@pytest.mark.parametrize("scene", sorted(scenes.SCENES))
async def test_nothing_above_ascii_reaches_the_terminal(scene: str, size: tuple[int, int]) -> None:
    async with opened(make_room(scene), size) as room:
        for keys in ([], ["f9"], ["escape", "question_mark"], ["escape", "enter"], ["escape", "z"]):
            await room.press(*keys)
            await room.settle()
            assert room.text().isascii(), (keys, [char for char in room.text() if not char.isascii()][:9])
        room.engine.put_run(scenes.run(room.clock.now(), Verdict.FAILED))
        await room.settle()
        assert "NOT STOPPED" in room.text()
        assert room.text().isascii()
