"""Network classes of synthetic IPv4 addresses.

All addresses come from blocks that are reserved for documentation, benchmarks and carrier NAT,
so simulated misbehaviour never points at anybody's real address.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from adtally.events.record import NetworkClass

NETWORKS = {
    NetworkClass.CONSUMER: IPv4Network("198.18.0.0/15"),  # RFC 2544
    NetworkClass.CARRIER: IPv4Network("100.64.0.0/10"),  # RFC 6598
    NetworkClass.DATA_CENTER: IPv4Network("203.0.113.0/24"),  # RFC 5737
    NetworkClass.PROXY: IPv4Network("192.0.2.0/24"),  # RFC 5737
}
_BLOCKS = tuple(
    (int(network.netmask), int(network.network_address), kind) for kind, network in NETWORKS.items()
)


def classify_network(ip: int) -> NetworkClass:
    """The class of an IPv4 address given as an integer; UNKNOWN outside the synthetic blocks."""
    for mask, base, kind in _BLOCKS:
        if ip & mask == base:
            return kind
    return NetworkClass.UNKNOWN


def address_in(kind: NetworkClass, number: int) -> int:
    """The ``number``-th address of the class's block, wrapping around its end."""
    network = NETWORKS[kind]
    return int(network.network_address) + number % network.num_addresses
