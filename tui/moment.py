"""What every screen is drawn from: one stack, its newest board, and what time it is."""

from __future__ import annotations

from msgspec import Struct

from backends.model.board import Board
from backends.model.clock import Instant
from backends.model.stack import Stack


class Moment(Struct, frozen=True):
    stack: Stack
    board: Board
    now: Instant
