"""Writes the key table of ``tui.actions`` into the README, between its marks."""

from __future__ import annotations

import re
from pathlib import Path

from tui.actions import key_table_markdown

README = Path(__file__).parents[1] / "README.md"


def main() -> None:
    """Replace what stands between the marks."""
    text = README.read_text()
    README.write_text(
        re.sub(
            r"(<!-- keys:[^\n]*-->\n).*?(<!-- /keys -->)",
            lambda found: found[1] + key_table_markdown() + found[2],
            text,
            flags=re.DOTALL,
        )
    )


if __name__ == "__main__":
    main()
