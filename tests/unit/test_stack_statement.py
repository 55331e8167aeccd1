"""Only one statement that reads may stand in a stack file."""

from __future__ import annotations

import pytest

from backends.stacks.statement import objection


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "select count(*) from orders;",
        "  \n SELECT updated_at, set_by, deleted FROM t -- trailing; remark\n",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SHOW ssl",
        "SELECT 'DELETE FROM x; DROP TABLE y' AS text, \"update\" FROM t /* ; insert */",
        "SELECT $$ ; delete $$, $tag$ ; update $tag$, E'it''s ; x'",
        "SELECT status FROM orders WHERE status IN ('call', 'do')",
    ],
)
def test_a_statement_that_reads_is_taken(text: str) -> None:
    assert objection(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "got nothing"),
        ("-- only a remark", "got nothing"),
        ("UPDATE orders SET x = 1", "got UPDATE"),
        ("EXPLAIN ANALYZE DELETE FROM x", "got EXPLAIN"),
        ("SELECT 1; DELETE FROM x", "got several"),
        ("SELECT 1; -- x\n SELECT 2;", "got several"),
        ("WITH gone AS (DELETE FROM x RETURNING *) SELECT * FROM gone", "got DELETE"),
        ("SELECT * INTO copy_of_x FROM x", "got INTO"),
        ("SELECT * FROM x FOR UPDATE", "got UPDATE"),
        ("SELECT pg_terminate_backend(1)", "got PG_TERMINATE_BACKEND"),
        ("SELECT pg_sleep(100)", "got PG_SLEEP"),
        ("SELECT pg_try_advisory_lock(1)", "got PG_TRY_ADVISORY_LOCK"),
        ("SELECT nextval('s')", "got NEXTVAL"),
        (r"SELECT E'\'' ; DELETE FROM x --'", "got several"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    assert (objection(text) or "").endswith(why)
