"""Addresses: what a client would overlook or take for something else is refused where it is written."""

from __future__ import annotations

import pytest

from backends.stacks.address import AddressError, take_apart


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:6379",
        "redis://h:6379/",
        "redis://h:6379/12",
        "redis://h:6379/12/",
        "rediss://h/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
        "unix:///run/redis.sock",
        "unix:///run/redis.sock?db=2",
        "redis+sentinel://one,two/desk",
        "redis+sentinel://one,two/desk/3",
        "redis+cluster://one,two",
        "rediss+cluster://one/0",
    ],
)
def test_a_redis_address_names_at_most_one_database(url: str) -> None:
    assert take_apart("redis", url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:6379/trading",  # the client takes these for databases 0, 1 and 3
        "redis://h:6379/0/1",
        "redis://h:6379/0?db=3",
        "redis://h:6379/-1",
        "unix:///run/redis.sock?db=two",
        "redis+sentinel://one/desk/trading",
        "redis+sentinel://one/desk/1/2",
        "redis+cluster://one/3",
    ],
)
def test_a_database_that_the_client_would_take_for_another_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match="expected at most a database's number"):
        take_apart("redis", url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/0?socket_timeout=60",
        "redis://h/0?retry=1",
        "redis://h/0#1",
        "rediss://h/0?ssl_password=hunter2",
        "redis+sentinel://one/desk?ssl_ca_certs=/etc/ca.pem",
    ],
)
def test_a_redis_address_changes_nothing_of_how_the_room_asks(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        take_apart("redis", url)
    assert "hunter2" not in str(caught.value)
