"""Every pair of colours the widgets paint can be read, whatever the terminal makes of it."""

from __future__ import annotations

import pytest

from themes.contrast import Depth, ratio, shown
from themes.loader import FOLDER, load
from themes.meaning import COLORS, CRITICAL, FIELDS, FILLS, INKS, pairs
from widgets.roles import LOOKS

THEMES = sorted(path.stem for path in FOLDER.glob("*.toml"))


def colors(name: str, depth: Depth) -> dict[str, str]:
    theme = load(FOLDER / f"{name}.toml", depth)
    named = {key: getattr(theme, key) for key in ("accent", "foreground", "background", "surface", "panel")}
    return {**theme.variables, **named}


def test_contrast_is_as_wcag_computes_it() -> None:
    assert ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert ratio((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert ratio((7, 7, 7), (7, 7, 7)) == 1


def test_a_colour_is_judged_by_what_the_terminal_shows() -> None:
    assert shown("#fe0102", Depth.TRUE) == (254, 1, 2)
    assert shown("#fe0102", Depth.INDEXED) == (255, 0, 0)
    assert shown("#aa0000", Depth.SIXTEEN) == (0xCD, 0, 0), "xterm's red, not the colour asked for"
    red, green, blue = shown("#aa0000", Depth.TRUE, is_monochrome=True)
    assert red == green == blue


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("is_monochrome", [False, True], ids=["colour", "NO_COLOR"])
def test_every_pair_that_is_painted_can_be_read(theme: str, depth: Depth, is_monochrome: bool) -> None:
    named = colors(theme, depth)
    faint = {
        f"{pair.ink} on {pair.field}": round(found, 2)
        for pair in pairs()
        if (
            found := ratio(
                shown(named[pair.ink], depth, is_monochrome),
                shown(named[pair.field], depth, is_monochrome),
            )
        )
        < pair.least
    }
    assert faint == {}


def test_what_must_never_be_missed_is_held_to_seven() -> None:
    assert {ink: INKS[ink] for ink in ("state-bad", "state-unknown", "state-halted")} == {
        "state-bad": CRITICAL,
        "state-unknown": CRITICAL,
        "state-halted": CRITICAL,
    }
    assert {FILLS[fill][1] for fill in ("fill-bad", "fill-unknown", "fill-halted")} == {CRITICAL}


def test_every_colour_a_widget_paints_with_is_one_that_is_checked() -> None:
    inks = {look.ink for look in LOOKS.values() if look.fill is None}
    badges = {(look.fill, look.ink) for look in LOOKS.values() if look.fill is not None}
    assert inks - INKS.keys() == {"frame"}, "a frame is decoration; any other ink needs a least contrast"
    assert badges == {(fill, ink) for fill, (ink, _) in FILLS.items()}
    assert set(FIELDS) <= COLORS


@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
def test_normal_is_calm_and_abnormal_is_not(theme: str) -> None:
    """A grey field: what is as it should be has little colour, an alarm has much."""
    named = colors(theme, Depth.TRUE)

    def saturation(name: str) -> float:
        red, green, blue = shown(named[name], Depth.TRUE)
        return (max(red, green, blue) - min(red, green, blue)) / max(red, green, blue, 1)

    calm = [saturation(name) for name in ("foreground", "muted", "background", "surface", "level-info")]
    loud = [saturation(name) for name in ("fill-bad", "fill-warn", "env-live")]
    assert max(calm) < 0.35 < min(loud)
    assert saturation("state-ok") < min(loud)
