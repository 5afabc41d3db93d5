"""Who is behind the events: a fixed set of users with country, device, user agent and address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adtally.events.record import DeviceClass, NetworkClass, UserAgentClass
from adtally.simulation.commitments import (
    DAY_MS,
    context_commitment,
    daily_salt,
    subject_commitment,
)
from adtally.simulation.networks import address_in, classify_network
from adtally.simulation.scenario import Market
from adtally.simulation.user_agents import UserAgent, classify_user_agent


@dataclass(frozen=True, slots=True)
class User:
    """Everything of an event that depends on who sent it, commitments aside."""

    key: bytes
    country: str
    device: DeviceClass
    user_agent: str
    user_agent_class: UserAgentClass
    ip: int
    network_class: NetworkClass


class Population:
    """Users grouped by market; commitments are computed once per user and day.

    Args:
        name: tells populations of one scenario apart.
        secret: from the seed; makes the salts.
        per_market: number of users in each market.
        agents: the user agents they have, weighted by market and device.
        network: a fixed network class, or None for what people use.
    """

    def __init__(
        self,
        name: str,
        secret: bytes,
        campaign: int,
        rng: np.random.Generator,
        markets: Sequence[Market],
        per_market: int,
        agents: Sequence[UserAgent],
        network: NetworkClass | None = None,
    ) -> None:
        self._secret = secret
        self._campaign = campaign
        self._day = -1
        self._commitments: dict[int, tuple[bytes, bytes]] = {}
        self.per_market = per_market
        self.users: list[User] = []
        for market in markets:
            chosen = rng.choice(len(agents), size=per_market, p=_agent_weights(agents, market))
            draws = rng.random(per_market)
            for agent_index, draw in zip(chosen.tolist(), draws.tolist(), strict=True):
                number = len(self.users)
                agent = agents[agent_index]
                ip = address_in(network or _network_of(agent.device, draw), number)
                self.users.append(
                    User(
                        f"{name}/{number}".encode(),
                        market.country,
                        agent.device,
                        agent.text,
                        classify_user_agent(agent.text),
                        ip,
                        classify_network(ip),
                    )
                )

    def commitments(self, number: int, at_ms: int) -> tuple[bytes, bytes]:
        """Subject (16 bytes) and context (20 bytes) of a user on the UTC day of ``at_ms``."""
        if at_ms // DAY_MS != self._day:
            self._day = at_ms // DAY_MS
            self._salt = daily_salt(self._secret, self._campaign, at_ms)
            self._commitments.clear()
        found = self._commitments.get(number)
        if found is None:
            user = self.users[number]
            found = (
                subject_commitment(self._salt, user.key),
                context_commitment(self._salt, user.ip, user.user_agent),
            )
            self._commitments[number] = found
        return found


def _agent_weights(agents: Sequence[UserAgent], market: Market) -> list[float]:
    devices = dict(market.devices)
    weights = [agent.weight * devices.get(agent.device, 0.05) for agent in agents]
    total = sum(weights)
    return [weight / total for weight in weights]


def _network_of(device: DeviceClass, draw: float) -> NetworkClass:
    if draw < 0.01:
        return NetworkClass.PROXY
    if device is DeviceClass.MOBILE and draw < 0.6:
        return NetworkClass.CARRIER
    return NetworkClass.CONSUMER
