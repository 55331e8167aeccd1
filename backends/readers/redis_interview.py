"""All questions of one poll, asked in step: each round of them is one pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from backends.model.query import RedisQuery
from backends.readers.coerce import MisfitError
from backends.readers.redis_question import question
from backends.readers.redis_reply import COLLECTION_LIMIT, Command, Question

PIPELINE_LIMIT: Final = 200
"""Commands sent at once; one question's are never parted."""

Turn = tuple[RedisQuery, Sequence[Command]]


class Interview:
    """Tracks every question until it has its answer. Equal queries are asked once.

    With ``is_careful`` each answer that can be large comes in a pipeline of its own, so that one that
    breaks its pipeline breaks nothing else. It costs round trips, so it begins when that has happened.
    """

    def __init__(self, queries: Iterable[RedisQuery], is_careful: bool = False) -> None:
        self.is_careful = is_careful
        self.answers: dict[RedisQuery, Any] = {}
        """What each finished question found: an answer for ``extract``, or the MisfitError it ended with."""
        self.was_heard = False
        """Whether any reply at all has come."""
        self._open: dict[RedisQuery, Question] = {}
        self._next: dict[RedisQuery, Sequence[Command]] = {}
        for query in dict.fromkeys(queries):
            self._open[query] = question(query)
            self._advance(query, None)

    def rounds(self) -> Iterator[list[Turn]]:
        """Pipelines to send, one after the other, until every question is answered or the caller stops.

        Before it takes the next, the caller says what came of each: ``hear`` or ``too_much``.
        """
        while self._next:
            turns = sorted(self._next.items(), key=lambda turn: self._is_alone(turn[1]))
            self._next = {}
            chunk: list[Turn] = []
            for turn in turns:
                is_full = sum(len(commands) for _, commands in chunk) + len(turn[1]) > PIPELINE_LIMIT
                if chunk and (is_full or self._is_alone(turn[1])):
                    yield chunk
                    chunk = []
                chunk.append(turn)
            yield chunk

    def too_much(self, chunk: Sequence[Turn]) -> None:
        """The answers to a pipeline were more than can be taken in: ask again with care, or give up on it."""
        if not self.is_careful:
            self.is_careful = True
            self._next.update(chunk)
            return
        for query, _ in chunk:
            self.answers[query] = MisfitError("answer is far larger than allowed")

    def hear(self, chunk: Sequence[Turn], replies: Sequence[Any]) -> None:
        """Hand over the replies to a pipeline, in its order: raw values, or ServerError."""
        self.was_heard = True
        place = 0
        for query, commands in chunk:
            self._advance(query, list(replies[place : place + len(commands)]))
            place += len(commands)

    def _advance(self, query: RedisQuery, replies: list[Any] | None) -> None:
        try:
            running = self._open[query]
            self._next[query] = next(running) if replies is None else running.send(replies)
        except StopIteration as end:
            self.answers[query] = end.value
        except MisfitError as misfit:
            self.answers[query] = misfit

    def _is_alone(self, commands: Sequence[Command]) -> bool:
        return self.is_careful and any(command.allowed >= COLLECTION_LIMIT for command in commands)
