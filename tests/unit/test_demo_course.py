"""A demo comes to its end, whatever its parts were doing."""

from __future__ import annotations

import asyncio

from backends.demo.course import end


async def test_a_part_that_takes_its_cancellation_for_an_error_of_its_store_is_ended_too() -> None:
    errors = 0

    async def works() -> None:
        nonlocal errors
        while errors < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                errors += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(works())
    await asyncio.sleep(0)
    await asyncio.wait_for(end(task), 5)
    assert task.cancelled()
    assert errors == 2
