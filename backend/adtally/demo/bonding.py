"""The operator of a local chain bonds itself with mock dollars."""

from __future__ import annotations

from adtally.chain.connection import Chain
from adtally.chain.contracts.operator_bond import OperatorBond
from adtally.chain.contracts.token import Token
from adtally.chain.deployment import Deployment
from adtally.chain.wallet import Wallet

BOND_BASE_UNITS = 10_000 * 10**6
"""10,000 USDX: ten penalties of a local deployment."""


async def deposit_bond(chain: Chain, deployment: Deployment, operator_key: bytes) -> None:
    """Mint the bond to the operator's account and deposit it (local chains only)."""
    assert deployment.operator_bond is not None, "local deployments have a bond contract"
    bond = OperatorBond(chain, deployment.operator_bond.address)
    token = Token(chain, await bond.token())
    wallet = Wallet(chain, operator_key)
    await wallet.send(token.mint_call(wallet.address, BOND_BASE_UNITS))
    await wallet.send(token.approve_call(bond.address, BOND_BASE_UNITS))
    await wallet.send(bond.deposit_call(BOND_BASE_UNITS))
