"""What a secret looks like that nobody registered: by the name it stands beside, or by its own form.

Best effort: it finds what is written the usual way. Each pattern begins with fixed letters and takes one way
through a text, so that no line is slow, whatever a service prints.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

MASK: Final = "****"

_WORDS: Final = (
    r"(?<!by)(?<!com)(?<!sur)(?<!res)pass(?:word|wd|phrase|code)?|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|mnemonic|"
    r"seed[_-]?phrase|(?:api|private|access|signing|encryption|account|listen|master)[_-]?key|"
    r"authorization|credentials?|cookie|signature|session[_-]?id|(?<![a-z])(?:dsn|jwt|otp)"
)
_BEGINS: Final = r"(?=[acdejlmopst])"
"""What one of these begins with, looked at first: most letters of a text begin none of them."""
_STEMS: Final = (
    "pass", "pwd", "secret", "token", "key", "author", "creden", "cook", "sign", "dsn", "jwt", "otp", "seed",
    "mnemonic", "session", "identified",
)  # fmt: skip
"""One of these is in everything that a name gives away, whatever its case."""


class _Look:
    """What secrets of one kind look like. Compiled when first needed: nothing at a start waits for it."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern = pattern
        self._flags = flags

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self._pattern, self._flags)

    def masked(self, text: str) -> str:
        """``text`` with all but the ``head`` of each find masked."""
        return self.pattern.sub(_after_head, text)


def _after_head(found: re.Match[str]) -> str:
    return f"{found['head']}{MASK}"


_NAME: Final = _Look(rf"(?:^|[_\-.])(?:{_WORDS})$", re.IGNORECASE)
_CAMEL: Final = _Look(r"(?<=[a-z0-9])(?=[A-Z])")

_QUOTE: Final = r"""\\{0,4}["']"""
_BARE: Final = r"""[^\s"',;&)}\]\\<>]+"""
_STATE: Final = (
    r"(?:null|none|nil|true|false|yes|no|on|off|ok|valid|invalid|expired|missing|required|denied|granted|failed|"
    r"refused|empty|unset|set|enabled|disabled|absent|present|unknown|refreshed|renewed|rotated|revoked|changed|"
    r"accepted|rejected|not|is|was|for)(?![\w$!#%^*@+/=-])"
)
_COUNT: Final = r"(?:\d{1,5}|\d+\.\d+)(?![\w$!#%^*@+/=-])"
"""What is said about a secret and is none, and how many there are."""

_BESIDE: Final = _Look(
    rf"""{_BEGINS}(?P<head>(?:{_WORDS})(?:{_QUOTE})?\s*(?:=>|=|:(?!//))\s*)(?!(?:{_QUOTE})?{_STATE}|{_COUNT})
         (?:(?P<quote>{_QUOTE})[^"']*?(?:(?P=quote)|\Z)|(?:(?:bearer|basic)\s+)?{_BARE})""",
    re.IGNORECASE | re.VERBOSE,
)
_COIN: Final = _Look(r"""(?<![a-z])token\W+[a-z]{1,9}\d?[\\"']*$""", re.IGNORECASE)
"""What trades are made in is called a token too."""

_BEARER: Final = _Look(r"\b(?P<head>(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_URL: Final = _Look(r"(?P<head>://[^\s/:@]*:)[^\s/@]+(?=@)")
_URL_USER: Final = _Look(r"(?P<head>://)[A-Za-z0-9_-]{20,}(?=@)")
_ARGUMENT: Final = _Look(
    rf"(?P<head>--(?:[a-z]{{1,20}}-){{0,3}}(?:{_WORDS})\s+(?:{_QUOTE})?)(?!-){_BARE}", re.IGNORECASE
)
_SPOKEN: Final = _Look(
    rf"""(?P<head>\b(?:pass(?:word|wd|phrase)|requirepass|masterauth|identified\s+by|(?-i:AUTH))
         (?:{_QUOTE})?\s+(?:(?:is|was)\s+)?(?:{_QUOTE})?)(?=[^\s"']*\d)[^\s"']{{6,}}""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTED: Final = _Look(
    r"""(?P<head>\b(?:password|requirepass|masterauth|identified\s+by|(?-i:AUTH(?:"\s"[^"\s]+)?))["']?\s+["'])[^"'\s]+(?=["'])""",
    re.IGNORECASE,
)
_TAG: Final = _Look(rf"(?P<head><(?:{_WORDS})>)[^<]+(?=</)", re.IGNORECASE)
_USER_OF_CURL: Final = _Look(r"(?P<head>\bcurl\b(?:(?!\bcurl\b)[^|;]){0,200}?\s-u\s*\S+?:)\S+")
_OF_A_PROGRAM: Final = _Look(
    r"(?P<head>\b(?:redis-cli\b(?:(?!\bredis-cli\b)[^|;]){0,200}?\s-a|sshpass\s+-p)\s*)\S+"
)
_KEY_BLOCK: Final = _Look(
    r"(?P<head>-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----).*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|$)",
    re.DOTALL,
)
_PATH: Final = _Look(
    r"(?P<head>(?:hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/\d{5,25}/))[A-Za-z0-9_/-]{16,}"
)
_TELEGRAM: Final = _Look(r"(?P<head>)(?<!\d)\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")
_KNOWN: Final = _Look(
    r"""(?P<head>)(?<![A-Za-z0-9])(?:
        (?:AKIA|ASIA)[0-9A-Z]{16}
      | gh[opsur]_[A-Za-z0-9]{30,} | github_pat_[A-Za-z0-9_]{22,} | glpat-[A-Za-z0-9_-]{20,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{20,}
      | [srp]k_(?:live|test)_[A-Za-z0-9]{16,} | whsec_[A-Za-z0-9+/=]{16,}
      | sk-[A-Za-z0-9_-]{20,} | AIza[A-Za-z0-9_-]{35} | ya29\.[A-Za-z0-9_-]{20,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
      | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | npm_[A-Za-z0-9]{36} | pypi-[A-Za-z0-9_-]{40,}
      | do[opr]_v1_[a-f0-9]{40,} | dapi[a-f0-9]{32} | hv[sbr]\.[A-Za-z0-9_-]{20,}
      | gl(?:sa|c)_[A-Za-z0-9_=]{20,} | dckr_pat_[A-Za-z0-9_-]{20,} | hf_[A-Za-z0-9]{30,}
      | shp(?:at|ss|ca|pa)_[a-f0-9]{32} | lin_api_[A-Za-z0-9]{30,} | AGE-SECRET-KEY-1[A-Z0-9]{40,}
      | tskey-[a-z]{2,8}-[A-Za-z0-9-]{20,}
    )""",
    re.VERBOSE,
)
_STARTS: Final = (
    "AKIA", "ASIA", "gh", "github_pat_", "glpat-", "xox", "xapp-", "k_live_", "k_test_", "whsec_", "sk-",
    "AIza", "ya29.", "eyJ", "SG.", "npm_", "pypi-", "_v1_", "dapi", "hvs.", "hvb.", "hvr.", "glsa_", "glc_",
    "dckr_", "hf_", "shp", "lin_", "AGE-", "tskey-",
)  # fmt: skip
"""One of these is in everything ``_KNOWN`` finds."""


def masked(text: str) -> str:
    """``text`` with everything masked that looks like a secret."""
    if "://" in text:
        text = _PATH.masked(_URL_USER.masked(_URL.masked(text)))
    folded = text.casefold()
    if _is_any_in(_STEMS, folded):
        if "=" in text or ":" in text:
            text = _BESIDE.pattern.sub(_beside, text)
        text = _SPOKEN.masked(_QUOTED.masked(text))
        if "--" in text:
            text = _ARGUMENT.masked(text)
        if "</" in text:
            text = _TAG.masked(text)
    if "AUTH" in text or "requirepass" in folded or "masterauth" in folded:
        text = _SPOKEN.masked(_QUOTED.masked(text))
    if "earer" in folded or "asic" in folded:
        text = _BEARER.masked(text)
    if "curl" in text or "redis-cli" in text or "sshpass" in text:
        text = _OF_A_PROGRAM.masked(_USER_OF_CURL.masked(text))
    if "PRIVATE KEY" in text:
        text = _KEY_BLOCK.masked(text)
    if _is_any_in(_STARTS, text):
        text = _KNOWN.masked(text)
    return _TELEGRAM.masked(text) if ":" in text else text


def _is_any_in(parts: tuple[str, ...], text: str) -> bool:
    # A plain loop: each line and each cell comes by, and any() with a generator takes twice as long.
    for part in parts:  # noqa: SIM110
        if part in text:
            return True
    return False


def is_secret_name(name: str) -> bool:
    """Whether a member, variable or header of this name holds a secret: ``redisPassword``, ``API_KEY``."""
    return _NAME.pattern.search(_CAMEL.pattern.sub("_", name)) is not None


def _beside(found: re.Match[str]) -> str:
    return found[0] if _COIN.pattern.search(found[0]) else f"{found['head']}{MASK}"
