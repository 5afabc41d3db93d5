"""User agents, networks and commitments."""

from __future__ import annotations

import pytest

from adtally.events.record import DeviceClass, NetworkClass, UserAgentClass
from adtally.simulation.commitments import context_commitment, daily_salt, subject_commitment
from adtally.simulation.networks import NETWORKS, address_in, classify_network
from adtally.simulation.user_agents import BOTS, PEOPLE, classify_user_agent


@pytest.mark.parametrize("agent", BOTS, ids=lambda agent: agent.text[:40])
def test_classify_user_agent__crawler__known_bot(agent) -> None:  # type: ignore[no-untyped-def]
    assert classify_user_agent(agent.text) is UserAgentClass.KNOWN_BOT


@pytest.mark.parametrize("agent", PEOPLE, ids=lambda agent: agent.text[:40])
def test_classify_user_agent__person__browser_or_app(agent) -> None:  # type: ignore[no-untyped-def]
    found = classify_user_agent(agent.text)
    assert found in (UserAgentClass.BROWSER, UserAgentClass.APP)
    if agent.device is DeviceClass.CONNECTED_TV:
        assert found is UserAgentClass.APP


def test_classify_user_agent__empty__unknown() -> None:
    assert classify_user_agent("") is UserAgentClass.UNKNOWN


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_classify_network__any_address_of_a_block__its_class(kind: NetworkClass) -> None:
    size = NETWORKS[kind].num_addresses
    for number in (0, 1, size - 1, size, 10 * size + 3):
        assert classify_network(address_in(kind, number)) is kind


def test_classify_network__outside__unknown() -> None:
    assert classify_network(0) is NetworkClass.UNKNOWN
    assert classify_network(2**32 - 1) is NetworkClass.UNKNOWN


def test_daily_salt__changes_at_utc_midnight_and_with_campaign_and_secret() -> None:
    day = 86_400_000
    assert daily_salt(b"s", 1, 0) == daily_salt(b"s", 1, day - 1)
    salts = {daily_salt(b"s", 1, 0), daily_salt(b"s", 1, day), daily_salt(b"s", 2, 0)}
    assert len(salts | {daily_salt(b"t", 1, 0)}) == 4


def test_commitments__sizes_and_salting__fit_the_record() -> None:
    assert len(subject_commitment(b"salt", b"user")) == 16
    assert len(context_commitment(b"salt", 1, "agent")) == 20
    assert subject_commitment(b"salt", b"user") != subject_commitment(b"tlas", b"user")
    assert context_commitment(b"salt", 1, "agent") != context_commitment(b"salt", 2, "agent")
