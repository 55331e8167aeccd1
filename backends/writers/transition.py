"""The script behind a guarded change of a JSON object in Redis, and what it takes and answers.

One script, so that nothing can come between looking and changing. Redis' own JSON codec turns an empty
array inside the object into an empty object and keeps 14 digits of a number; the platform's own
transition does the same. What is written whole (a created object, a history entry) is passed as text
and stays exactly as it was made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from backends.model.action import RedisTransition
from backends.model.procedure import Receipt, ReceiptKind
from backends.model.safetext import SafeText
from backends.model.substitution import fill

SCRIPT: Final = """
local plan = cjson.decode(ARGV[1])
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'string' then
  return {'refused', '', '', 'holds a ' .. kind .. ' where a string is expected'}
end

local before, object, fault = '', nil, 'is missing'
if kind == 'string' then
  local size = redis.call('STRLEN', KEYS[1])
  if size > plan.limit then
    before = redis.call('GETRANGE', KEYS[1], 0, 255)
    fault = 'holds ' .. size .. ' bytes, which is not a state'
  else
    before = redis.call('GET', KEYS[1])
    local ok, value = pcall(cjson.decode, before)
    if ok and type(value) == 'table' and type(value[plan.field]) == 'string' then
      object = value
    else
      fault = 'holds something that is not a state'
    end
  end
end

local after, note = '', ''
if object then
  local state = object[plan.field]
  if state == plan.target then
    local own = false
    for _, name in ipairs(plan.stamped) do
      own = own or object[name] == plan.set[name]
    end
    for name, value in pairs(plan.set) do
      own = own and (type(value) == 'table' or object[name] == value)
    end
    local renewed = before
    if not own and #plan.restamp > 0 then
      for _, name in ipairs(plan.restamp) do
        object[name] = plan.set[name]
      end
      renewed = cjson.encode(object)
      redis.call('SET', KEYS[1], renewed)
    end
    redis.pcall('PERSIST', KEYS[1])
    return {own and 'repeated' or 'already', before, renewed, ''}
  end
  for name, value in pairs(plan.unchanged) do
    if object[name] ~= value then
      return {'refused', before, before, 'has another ' .. name .. ' than was seen: it changed meanwhile'}
    end
  end
  if not plan.allowed[state] and not plan.allowed['*'] then
    return {'refused', before, before, 'reads ' .. state .. ', from which this change may not start'}
  end
  for name, value in pairs(plan.set) do
    object[name] = value
  end
  for _, name in ipairs(plan.increment) do
    local count = object[name]
    object[name] = (type(count) == 'number' and count or 0) + 1
  end
  object[plan.field] = plan.target
  after = cjson.encode(object)
elseif ARGV[2] ~= '' then
  after = ARGV[2]
  note = fault .. ': written whole'
else
  return {'refused', before, before, fault}
end

redis.call('SET', KEYS[1], after)
if KEYS[2] then
  local pushed
  if plan.score then
    pushed = redis.pcall('ZADD', KEYS[2], plan.score, ARGV[3])
  else
    pushed = redis.pcall('RPUSH', KEYS[2], ARGV[3])
  end
  if type(pushed) == 'table' and pushed.err then
    note = note .. (note == '' and '' or '; ') .. 'the history was not written: ' .. pushed.err
  elseif plan.score then
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -plan.keep - 1)
  else
    redis.call('LTRIM', KEYS[2], -plan.keep, -1)
  end
end
return {'done', before, after, note}
"""

_STATE_LIMIT: Final = 65_536
"""Bytes above which a value is not decoded inside Redis."""


def command(action: RedisTransition, values: Mapping[str, Any]) -> list[str]:
    """The EVAL that makes the change. Raises ValueError for a name that has no value."""
    keys = [fill(action.key, values)]
    history = ""
    if action.history_key is not None:
        keys.append(fill(action.history_key, values))
        history = _json(fill(action.history_entry, values))
    plan = {
        "field": action.state_field,
        "target": action.target,
        "allowed": dict.fromkeys(action.allowed_from, True),
        "set": fill(action.set, values),
        "stamped": _named(action, "$now"),
        "increment": list(action.increment),
        "restamp": [name for name in action.restamp if name in action.set],
        "keep": action.history_limit,
        "unchanged": fill(action.unchanged, values),
        "limit": _STATE_LIMIT,
    }
    if action.history_is_ranked:
        # As text, so that Redis' JSON codec keeps the microseconds.
        plan["score"] = f"{datetime.fromisoformat(str(values['now'])).timestamp():.6f}"
    created = "" if action.create is None else _json(fill(action.create, values))
    return ["EVAL", SCRIPT, str(len(keys)), *map(str, keys), _json(plan), created, history]


class Answer(Struct, frozen=True):
    """What the script said."""

    outcome: str
    """``done``, ``repeated`` (by this very operation, earlier), ``already`` or ``refused``."""
    before: str
    after: str
    note: str


def understand(raw: Any) -> Answer:
    """The script's answer. Raises ValueError when it is not one."""
    if not isinstance(raw, Sequence) or len(raw) != 4 or not all(isinstance(part, bytes) for part in raw):
        raise ValueError("its answer cannot be understood")
    return Answer(*(part.decode("utf-8", "backslashreplace") for part in raw))


def receipt(action: RedisTransition, answer: Answer) -> Receipt:
    """The answer in the operator's words, with who holds the state and since when."""
    # Who brought it about and since when is what stood there before a renewal.
    stored = _object(answer.before if answer.outcome == "already" else answer.after)
    by = _member(stored, _named(action, "$operator"))
    since = _member(stored, _named(action, "$now"))
    kind, text = ReceiptKind.FAILED, f"refused: {action.key} {answer.note}"
    if answer.outcome == "already":
        kind = ReceiptKind.ALREADY
        text = (
            f"{action.target} already" + (f", by {by}" if by else "") + (f" since {since}" if since else "")
        )
    elif answer.outcome == "repeated":
        kind, text = ReceiptKind.DONE, f"{action.target}, by an earlier try of this operation"
    elif answer.outcome == "done":
        was = _object(answer.before).get(action.state_field)
        kind = ReceiptKind.DONE
        text = action.target + (f", was {was}" if isinstance(was, str) else "")
        text += f" ({action.key} {answer.note})" if answer.note else ""
    return Receipt(
        kind,
        SafeText(text, 400),
        SafeText(answer.before),
        SafeText(answer.after),
        None if by is None else SafeText(by, 200),
        None if since is None else SafeText(since, 200),
    )


def _named(action: RedisTransition, name: str) -> list[str]:
    return [member for member, template in action.set.items() if template == name]


def _member(stored: Mapping[str, Any], names: list[str]) -> str | None:
    return next((stored[name] for name in names if isinstance(stored.get(name), str)), None)


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
