"""Alarms say what is wrong, since when, and keep their identity."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.alarms.book import AlarmBook
from backends.alarms.rules import CREDENTIALS, REFUSED, Conditions, shown
from backends.board.derive import trading
from backends.board.ingest import NOTHING_HERE
from backends.model.alarm import Priority
from backends.model.board import Board, SourceHealth
from backends.model.fact import Level, Table
from backends.model.reading import UNTOLD, Good, Outcome, Reading
from backends.model.safetext import SafeText
from backends.model.service import Health, RunState, Runtime, Service
from backends.model.stack import Generation
from tests.building import START, failed, later, missing, ok, stack

GOOD = {
    "kill.state": ok("kill.state", "ACTIVE"),
    "breaker.state": ok("breaker.state", "OPEN"),
    "orchestrator.kill": ok("orchestrator.kill", "ACTIVE"),
    "loss": ok("loss", 5.0),
}


def service(**changes):
    made = Service("trader", Runtime.DOCKER, "abc", SafeText("tiny_trader"), RunState.RUNNING, Health.HEALTHY)
    return Reading("service:trader", "docker", Outcome.OK, START, 2.0, value=replace(made, **changes))


def board(at=START, down=None, **readings):
    every = {**GOOD, "service:trader": service()}
    every |= {key.replace("__", ":").replace("_", "."): value for key, value in readings.items()}
    sources = {name: SourceHealth(name, name.title(), True, later(-9)) for name in ("redis", "docker")}
    if down is not None:
        sources[down] = replace(sources[down], is_up=False, error=SafeText("refused"))
    made = stack()
    state = replace(trading(made, every, at, None), since=later(-9, at))
    return Board("tiny", 1, at, made.environment, every, sources, state)


def ids(book, shown, at=START):
    return [alarm.id for alarm in book.evaluate(shown, at)]


def test_a_healthy_board_has_no_alarm():
    assert ids(AlarmBook(stack(), START), board()) == []


def test_a_crossed_threshold_is_an_alarm_with_its_value_and_keeps_since():
    book = AlarmBook(stack(), START)
    first = book.evaluate(board(loss=ok("loss", 150.0)), START)
    assert [alarm.title for alarm in first] == ["Daily loss (150 USD)"]
    again = book.evaluate(board(later(1), loss=ok("loss", 250.0, later(1))), later(1))
    assert again[0].since == START
    assert ids(book, board()) == []
    assert book.evaluate(board(loss=ok("loss", 150.0)), later(9))[0].since == later(9)


@pytest.mark.parametrize(("rows", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_a_table_is_told_by_its_rows(rows, said):
    listed = Table(("name",), (("x",),) * rows, rows)
    assert shown(stack().facts["loss"], ok("loss", listed)) == said


def test_a_loss_of_millions_is_told_to_the_cent():
    assert shown(stack().facts["loss"], ok("loss", 1234567.891)) == "1,234,567.89 USD"


def test_a_breach_does_not_clear_by_growing_old():
    assert "loss" in ids(AlarmBook(stack(), START), board(loss=ok("loss", 250.0, later(-60))))


def test_a_reading_that_nothing_replaces_is_judged_again_as_it_grows_old():
    book, once = AlarmBook(stack(), START), ok("loss", 5.0)
    assert ids(book, board(loss=once)) == []
    assert "stale:loss" in ids(book, board(later(60), loss=once), later(60))
    assert "loss" in ids(book, board(later(60.1), loss=ok("loss", 250.0, later(60))), later(60.1)), "at once"


@pytest.mark.parametrize(
    "loss",
    [
        ok("loss", 5.0),
        ok("loss", 250.0),
        ok("loss", 5.0, max_age=9.0, observed_lag=3.0),
        ok("loss", 5.0, max_age=9.0, observed_lag=-3.0),
        missing("loss"),
        failed("loss"),
    ],
    ids=["good", "bad", "soon too old", "from the future", "missing", "failed"],
)
def test_what_was_concluded_from_a_reading_is_what_would_be_concluded_again(loss):
    kept = Conditions(stack(), START)
    for tenths in range(300):
        now = later(tenths / 10)
        shown = board(now, loss=loss)
        again = Conditions(stack(), START).on(shown, now)
        assert [it.id for it in kept.on(shown, now)] == [it.id for it in again], tenths


def test_what_left_the_board_is_no_condition_until_it_comes_back():
    conditions, loss = Conditions(stack(), START), ok("loss", 250.0)
    shown = board(loss=loss)
    gone = replace(shown, readings={key: it for key, it in shown.readings.items() if key != "loss"})
    found = [[it.id for it in conditions.on(each, START)] for each in (shown, gone, gone, shown)]
    assert found == [["loss"], [], [], ["loss"]]


def test_an_alarm_begins_when_it_is_first_told_however_old_what_it_follows_from():
    slow = replace(stack(), alarms=tuple(replace(rule, after=20.0) for rule in stack().alarms))
    book, loss = AlarmBook(slow, START), replace(ok("loss", 250.0), period=60.0)
    told = {}
    for seconds in range(30):
        now = later(float(seconds))
        for alarm in book.evaluate(board(now, loss=loss), now):
            told.setdefault(alarm.id, (seconds, alarm.since))
    assert told["loss"] == (20, later(20.0))


def test_a_source_that_decides_about_trading_is_critical_when_down():
    alarms = {alarm.id: alarm for alarm in AlarmBook(stack(), START).evaluate(board(down="redis"), START)}
    assert alarms["source:redis"].priority is Priority.CRITICAL
    assert "refused" in alarms["source:redis"].title
    other = AlarmBook(stack(), START).evaluate(board(down="docker"), START)
    assert [alarm.priority for alarm in other] == [Priority.HIGH]


def test_unknown_trading_state_is_critical_once_the_room_has_had_time_to_ask():
    blind = board(kill_state=missing("kill.state"))
    assert "trading:unknown" not in ids(AlarmBook(stack(), START), blind)
    assert "trading:unknown" in ids(AlarmBook(stack(), later(-10)), blind)


def test_an_unreadable_fact_is_named_only_while_its_source_answers():
    broken = failed("loss", why="not JSON", last_good=Good(1.0, START))
    assert "unreadable:loss" in ids(AlarmBook(stack(), START), board(loss=broken))
    assert "unreadable:loss" not in ids(AlarmBook(stack(), START), board(down="redis", loss=broken))


def test_a_fact_of_a_source_whose_secret_is_not_set_is_no_alarm_unless_something_rests_on_it():
    untold = SafeText(f"refused (401): {UNTOLD}")
    desk = stack(alarms=())
    assert ids(AlarmBook(desk, START), board(loss=failed("loss", why=untold))) == []
    (watched,) = AlarmBook(stack(), START).evaluate(board(loss=failed("loss", why=untold)), START)
    (refused,) = AlarmBook(desk, START).evaluate(
        board(loss=failed("loss", why="refused (403): the credentials are not accepted")), START
    )
    for alarm in (watched, refused):
        assert alarm.id == "unreadable:loss"
        assert (alarm.cause, alarm.response) == (REFUSED, CREDENTIALS)


def test_an_alarm_about_a_service_ends_when_that_is_known_not_to_run():
    desk = stack(alarms=(replace(stack().alarms[0], service="trader"),))
    over = ok("loss", 150.0)
    assert "loss" in ids(AlarmBook(desk, START), board(loss=over))
    assert "loss" not in ids(
        AlarmBook(desk, START), board(loss=over, service__trader=service(state=RunState.EXITED))
    )
    assert "loss" in ids(AlarmBook(desk, START), board(loss=over, service__trader=failed("service:trader")))


def test_what_must_last_is_an_alarm_only_when_it_was_so_on_end():
    book = AlarmBook(stack(alarms=(replace(stack().alarms[0], after=10.0),)), START)
    for second, value, is_alarm in (
        (0, 150.0, False),
        (9, 150.0, False),
        (10, 150.0, True),
        (11, 5.0, False),
        (12, 150.0, False),
        (21, 150.0, False),
        (22, 150.0, True),
    ):
        at = later(second)
        assert ("loss" in ids(book, board(at, loss=ok("loss", value, at)), at)) is is_alarm
    assert "loss" in ids(book, board(later(23), loss=failed("loss", later(23))), later(23))
    assert "loss" in ids(book, board(later(24), loss=ok("loss", 150.0, later(24))), later(24))


def test_what_must_last_has_lasted_although_it_was_out_of_sight_meanwhile():
    book = AlarmBook(stack(alarms=(replace(stack().alarms[0], after=10.0),)), START)
    for second in range(0, 25, 3):
        at = later(second)
        # A source that fails every other time must not put an alarm off for ever.
        value = ok("loss", 150.0, at) if second % 2 else failed("loss", at)
        is_alarm = "loss" in ids(book, board(at, loss=value), at)
        assert is_alarm is (second >= 15), second
    assert "loss" not in ids(book, board(later(30), loss=ok("loss", 5.0, later(30))), later(30))


def test_what_was_missing_does_not_come_back_by_not_being_asked_for():
    facts = {**stack().facts, "loss": replace(stack().facts["loss"], missing=Level.CRIT)}
    book, gone = AlarmBook(replace(stack(), facts=facts), START), missing("loss")
    assert "loss" in ids(book, board(loss=gone))
    (alarm,) = [it for it in book.evaluate(board(later(60), loss=gone), later(60)) if it.id == "loss"]
    assert (alarm.since, alarm.title.endswith(" · last known")) == (START, True)
    assert "loss" not in ids(book, board(later(61), loss=ok("loss", 5.0, later(61))), later(61))


def test_services_that_are_absent_dead_or_unhealthy_are_alarms_and_no_check_is_not():
    def title(reading):
        found = AlarmBook(stack(), START).evaluate(board(service__trader=reading), START)
        return found[0].title if found else None

    assert title(missing("service:trader")) == "trader is not there"
    assert title(service(state=RunState.EXITED, exit_code=137, oom_killed=True)) == (
        "trader has exited with code 137, out of memory"
    )
    assert title(service(health=Health.UNHEALTHY)) == "trader is unhealthy"
    assert title(service(health=Health.NO_CHECK)) is None


def test_a_crash_loop_shows_even_while_the_container_happens_to_run():
    book = AlarmBook(stack(), START)

    def about_trader(after, count):
        at = later(after)
        shown = board(at, service__trader=replace(service(restarts=count, exit_code=1), received=at))
        return [alarm.title for alarm in book.evaluate(shown, at) if alarm.subject == "service:trader"]

    assert [about_trader(count * 20, count) for count in range(3)] == [[], [], []]
    loop = "trader is in a crash loop: 3 restarts in 10 min, last exit code 1"
    assert about_trader(70, 3) == [loop]
    assert about_trader(2000, 3) == []


def test_a_container_made_anew_is_in_a_crash_loop_whatever_the_one_before_it_had_counted():
    book, titles = AlarmBook(stack(), START), []
    for after, count in ((0, 40), (20, 0), (40, 1), (60, 2), (80, 3)):
        at = later(after)
        shown = board(at, service__trader=replace(service(restarts=count, exit_code=1), received=at))
        found = book.evaluate(shown, at)
        titles = [alarm.title for alarm in found if alarm.subject == "service:trader"]
    assert titles == ["trader is in a crash loop: 3 restarts in 10 min, last exit code 1"]


def test_critical_comes_first_then_the_oldest():
    book = AlarmBook(stack(), later(-10))
    book.evaluate(board(loss=ok("loss", 150.0)), later(-5))
    both = board(loss=ok("loss", 150.0), kill_state=missing("kill.state"))
    assert ids(book, both) == ["trading:unknown", "loss"]


def test_one_failed_poll_is_no_alarm_but_two_seconds_of_silence_are():
    def redis_down_for(seconds):
        shown = board(down="redis")
        lost = replace(shown.sources["redis"], since=later(-seconds))
        return ids(AlarmBook(stack(), START), replace(shown, sources={**shown.sources, "redis": lost}))

    assert redis_down_for(1.0) == []
    assert redis_down_for(2.5) == ["source:redis"]


def test_an_alarm_whose_evidence_is_lost_stays_and_says_that_it_is_the_last_known():
    book = AlarmBook(stack(), START)
    book.evaluate(board(loss=ok("loss", 150.0)), START)
    lost = board(later(1), loss=failed("loss", later(1)))
    held = {alarm.id: alarm for alarm in book.evaluate(lost, later(1))}
    assert held["loss"].title == "Daily loss (150 USD) · last known"
    assert held["loss"].since == START
    assert [alarm.title for alarm in book.evaluate(lost, later(2)) if alarm.id == "loss"] == [
        held["loss"].title
    ]
    assert "loss" not in ids(book, board(later(3), loss=ok("loss", 5.0, later(3))), later(3))


def test_a_generation_that_was_only_assumed_is_an_alarm_until_its_containers_are_seen():
    """With another one's names everything shows as gone, and a halt stops containers that do not exist."""
    first = Generation("R1", "generation R1", ("tiny_trader",), ("tiny_guard",), doubt="assumed: no answer")
    book = AlarmBook(replace(stack(), generation=first), START)
    assert ids(book, board()) == [], "Docker is still being asked"
    titles = {alarm.id: alarm.title for alarm in book.evaluate(board(later(6)), later(6))}
    assert titles["generation:assumed"] == "That generation R1 runs is assumed: no answer"
    guard = replace(service(title=SafeText("tiny_guard")), key="service:guard")
    assert "generation:assumed" not in ids(book, board(later(6), service__guard=guard), later(6))
    seen = AlarmBook(replace(stack(), generation=replace(first, doubt=None)), START)
    assert "generation:assumed" not in ids(seen, board(later(6)), later(6))


def test_where_an_engine_has_nothing_of_the_stack_each_alarm_asks_whether_it_is_the_right_one() -> None:
    gone = replace(missing("service:trader"), error=SafeText(NOTHING_HERE))
    (alarm,) = (
        it
        for it in AlarmBook(stack(), START).evaluate(board(service__trader=gone), START)
        if "trader" in it.id
    )
    assert alarm.title == "trader is not there" and alarm.cause == NOTHING_HERE
