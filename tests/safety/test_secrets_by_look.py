"""Secrets nobody registered, in log lines and values: nearly all are masked, and nothing innocent is."""

from __future__ import annotations

import random
import re
import string
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.demo.process import free_port
from backends.engine import Engine, Mode
from backends.journal.redact import MASK, Redactor
from backends.model.anchor import AnchorKind, AnchorPlace
from backends.model.fact import Fact, Table, ValueType
from backends.model.query import RedisQuery
from backends.model.secret import Secret
from backends.model.stack import Stack
from tests.safety.dying_room import redis_stack
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from tests.sim.world import KIM

LINES = r"""
Authorization: Bearer «{w}.{w}.{w}»
> authorization: Basic «{b40}»
headers={'X-MBX-APIKEY': '«{a64}»'}
INFO connecting with apiKey=«{a64}» secretKey=«{a64}»
{"api_key":"«{a32}»","ts":1790000000}
{\"apiSecret\": \"«{a40}»\", \"side\": \"BUY\"}
GET /fapi/v1/order?symbol=BTCUSDT&timestamp=1790000000000&signature=«{h64}»
GET /api/v1/user?api_key=«{a24}» HTTP/1.1 200
POST /login?next=/&password=«{a12}» 302
redis://default:«{a20}»@risk-redis:6379/0 timed out
postgresql+asyncpg://trader:«{a16}»@db:5432/trading
amqp://guest:«{a10}»@mq/%2f refused
mongodb+srv://bot:«{a14}»@cluster0.example.net
https://«{h32}»@o450.ingest.sentry.io/45
REDIS_PASSWORD=«{a16}»
export AWS_SECRET_ACCESS_KEY=«{b40}»
aws_access_key_id = «AKIA{u16}»
using temporary key «ASIA{u16}» for upload
git clone https://x-access-token:«ghs_{a36}»@github.com/desk/bot
remote: token «ghp_{a36}» has expired
found «github_pat_{a22}_{a59}» in .netrc
CI_JOB_TOKEN «glpat-{a20}» rejected
slack: posting with «xoxb-{d12}-{d12}-{a24}»
webhook https://hooks.slack.com/services/«T{u8}/B{u8}/{a24}» returned 404
alert sent to https://discord.com/api/webhooks/{d18}/«{a68}»
https://api.telegram.org/bot«{d10}:{a35}»/sendMessage 401
telegram bot {n}: «{d9}:{a35}» polling
stripe «sk_live_{a24}» used in test mode
whsec mismatch: «whsec_{a32}»
openai error for «sk-proj-{a48}»
model call with «sk-ant-api03-{a60}» failed
maps key «AIza{a35}» over quota
oauth «ya29.{a60}» refreshed
cookie: session=«{a32}»; path=/
Set-Cookie: sid=«{a32}»; HttpOnly
session_id=«{h32}» resumed
jwt=«eyJ{a20}.eyJ{a40}.{a43}»
verify failed for «eyJ{a20}.eyJ{a40}.{a43}»
sendgrid «SG.{a22}.{a43}» 202
npm ERR! //registry.npmjs.org/:_authToken=«npm_{a36}»
twine upload with «pypi-{a60}»
vault token «hvs.{a24}» renewed for 768h
grafana «glsa_{a32}_{h8}» forbidden
docker login -u desk --password «{a18}»
mysqldump --user=root --password=«{a12}» trading
trader --api-secret «{a40}» --paper
redis-cli -h risk-redis -a «{a20}» ping
"AUTH" "«{a20}»"
"AUTH" "default" "«{a20}»"
config set requirepass «{a18}7»
# masterauth «{a18}7»
ALTER USER trader WITH PASSWORD '«{a16}»'
CREATE USER 'bot' IDENTIFIED BY '«{a16}»'
sshpass -p «{a10}» ssh ops@trading-1
curl -s -u admin:«{a12}» http://orchestrator:8080/halt
login failed, password was «{a9}4»: retrying
your new password is «{a11}9»
<password>«{a12}»</password>
db.password: «{a12}»
spring.datasource.password=«{a12}»
private_key: «0x{h64}»
wallet mnemonic: «{w}»
signing_key="«{b44}»"
encryptionKey: '«{b44}»'
DefaultEndpointsProtocol=https;AccountName=desk;AccountKey=«{b86}==»
listenKey=«{a64}»
client_secret: «{a40}»
refresh_token='«{a50}»'
{'passphrase': '«{a12}»', 'key': 'kraken'}
dsn=«{a30}»
-----BEGIN RSA PRIVATE KEY-----\n«{b64}»\n-----END RSA PRIVATE KEY-----
PGPASSWORD=«{a14}» psql -h db
userpass => «{a14}»
DB_PASS="«{a8} {a6}»"
http.headers.x-api-key: «{a30}»
huggingface «hf_{a34}» 403
linear «lin_api_{a40}» ok
shop «shpat_{h32}» ok
node joined with «tskey-auth-{a16}-{a32}»
""".strip().splitlines()
"""Between the signs is what must not be seen; in braces, how many random characters of which kind."""

INNOCENT = r"""
kill switch ENGAGED by kim: drill
password authentication failed for user "trader"
Failed password for invalid user admin1 from 10.0.0.9 port 22 ssh2
NOAUTH Authentication required.
AUTH failed: user unknown
token: expired
token=USDT amount=12.5
{"token": "WETH", "qty": 3}
token bucket refilled: 100 of 100
max_tokens=4096 used 812
tokens: 3
tokenizer: fast
signature: valid
order signature=ok
secret=missing, using default
api_key: null
password is required
password: required
password reset requested by kim
credentials: missing
authorization: denied for role viewer
cookie: disabled
bypass=true for paper orders
compass: 12 checks passed
passed=12 failed=0
pass: 3 of 3
http://127.0.0.1:8003/api and 3 tokens
http://orchestrator:8080/healthz 200 in 12 ms
ops@trading-1:~$ uptime
image registry:5000/bot@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 deployed
tx 0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe340d6ee12 mined
order 7f3c1b9a-2c1e-4c55-9f1d-0a6b5a1f2e3d FILLED 0.25 BTCUSDT @ 64123.50
key=kill_switch:state ttl=-1
keys: 128 expired: 3
GET kill_switch:state
key 'circuit_breaker:state' is OPEN
author: kim
monkey: patched
basic health check ok
bearer of the request is kim
session opened for kim
design: grid layout
2026-11-28 14:00:00,123 INFO trader.risk: exposure=0.42 limit=0.50
{"level":"info","msg":"heartbeat","seq":123456,"lag_ms":3}
sk-learn 1.5 loaded
SG. 2 pools
ask-bid spread 0.02
eyJs is no word
assigned partition risk-3
latency p99=12ms p50=3ms
user kim signed in from 10.1.2.3
position:BTCUSDT long 0.5 @ 64000
ratio 12345678:1
at 12:34:56.789 candle closed
""".strip().splitlines()
"""What a stack prints all day; none of it may lose a character."""

_KINDS = {
    "a": string.ascii_letters + string.digits, "h": "0123456789abcdef", "d": string.digits,
    "u": string.ascii_uppercase + string.digits, "b": string.ascii_letters + string.digits + "+/",
}  # fmt: skip


def filled(line: str, rng: random.Random) -> tuple[str, list[str]]:
    """The line as it would be printed, and the secrets in it."""

    def some(found: re.Match[str]) -> str:
        kind, size = found[1], int(found[2] or 14)
        return "".join(rng.choice(_KINDS.get(kind, _KINDS["a"])) for _ in range(size))

    text = re.sub(r"\{([ahdubwn])(\d*)\}", some, line)
    return text.replace("«", "").replace("»", ""), re.findall("«(.*?)»", text)


def is_hidden(secret: str, left: str) -> bool:
    """Whether no piece of it that would be of use is left."""
    pieces = [secret[at : at + 6] for at in range(len(secret) - 5)] or [secret]
    return not any(piece in left for piece in pieces)


@pytest.mark.parametrize("seed", range(5))
def test_at_least_95_of_100_secrets_nobody_registered_are_masked(seed: int) -> None:
    rng, redactor = random.Random(seed), Redactor()
    assert len(LINES) >= 60
    missed = []
    for line in LINES:
        text, secrets = filled(line, rng)
        assert secrets
        left = redactor.text(text)
        if not all(is_hidden(secret, left) for secret in secrets):
            missed.append((text, left))
    assert len(missed) <= len(LINES) * 0.05, missed


@pytest.mark.parametrize("line", INNOCENT)
def test_what_a_stack_prints_all_day_is_shown_as_it_is(line: str) -> None:
    assert Redactor().text(line) == line


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_of_those_that_are_registered_every_one_is_masked(line: str) -> None:
    text, secrets = filled(line, random.Random(7))
    left = Redactor(map(Secret, secrets)).text(f"unnamed {' '.join(secrets)} and {text}")
    assert not any(secret in left for secret in secrets)


REGISTERED = "Xk29-registered-4711"
VALUES = {
    "text": ("SET", f"ws://u:{REGISTERED}@venue apiKey=AbCdEf0123456789 note {REGISTERED}"),
    "hash": ("HSET", "api_secret", "AbCdEf0123456789", "symbol", "BTCUSDT", "url", f"//x/?k={REGISTERED}"),
    "list": ("RPUSH", f"key {REGISTERED}", "password=AbCdEf0123456789", "BTCUSDT long 0.5"),
}
READS = {
    "text": (RedisQuery("get", "text"), ValueType.TEXT),
    "hash": (RedisQuery("hgetall", "hash"), ValueType.TABLE),
    "list": (RedisQuery("lrange", "list"), ValueType.TABLE),
}


def stack_with_values(url: str) -> Stack:
    plain = redis_stack(url)
    facts = {name: Fact(name, name, "risk", "redis", *how) for name, how in READS.items()}
    return replace(plain, facts={**plain.facts, **facts})


def test_a_redis_value_is_on_the_board_without_secrets_and_otherwise_as_it_is(
    tmp_path: Path, redis_db: RedisServer
) -> None:
    for key, (command, *words) in VALUES.items():
        redis_db.command(command, key, *words)
    away = AnchorPlace(AnchorKind.REDIS, f"redis://127.0.0.1:{free_port()}", "x", password=Secret(REGISTERED))
    made = Engine([stack_with_values(redis_db.url)], Mode.WATCH, tmp_path, KIM, anchor=away)
    made.start()
    try:
        wait_until(lambda: all(made.board("tiny").readings[name].value for name in READS), 10)
        values = {name: made.board("tiny").readings[name].value for name in READS}
    finally:
        made.stop()
    shown = repr(values)
    assert REGISTERED not in shown
    assert "AbCdEf" not in shown
    assert values["text"] == f"ws://u:{MASK}@venue apiKey={MASK} note {MASK}"
    assert isinstance(values["hash"], Table)
    assert ("symbol", "BTCUSDT") in values["hash"].rows
    assert ("api_secret", MASK) in values["hash"].rows
    assert "BTCUSDT long 0.5" in shown
