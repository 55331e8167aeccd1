"""Numbers as people read them."""

from __future__ import annotations

import pytest

from backends.model.figure import figure


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "", "0"),
        (3.0, "", "3"),
        (-6289.92, "USD", "-6,289.92 USD"),
        (1234567.8, "USD", "1,234,567.8 USD"),
        (1234567, "B", "1,234,567 B"),
        (23.1563, "%", "23.16%"),
        (100.0, "%", "100%"),
        (0.0312, "", "0.0312"),
        (0.000012, "", "1.2e-05"),
        (-0.5, "bps", "-0.5 bps"),
    ],
)
def test_a_number_is_told_with_parted_thousands_and_the_decimals_that_mean_something(
    value: float, unit: str, text: str
) -> None:
    assert figure(value, unit) == text
