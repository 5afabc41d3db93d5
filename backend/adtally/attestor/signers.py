"""What makes an attestor's signatures: a key in memory, or a signer somewhere else.

Whatever signs, the signature is checked before it is used: it must recover to the attestor's
address over the digest that this process computed.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

import httpx

from adtally.chain.rpc import JsonRpc, RpcError
from adtally.errors import AdtallyError, InvalidInput, Overloaded, VerificationFailed
from adtally.events.attested import Message
from adtally.events.signature import address_of, recover, sign
from adtally.types import Address

_TIMEOUT_SECONDS = 30.0
_METHODS = ("eth_signTypedData_v4", "account_signTypedData", "eth_signTypedData")
_NO_SUCH_METHOD = -32601


class SignerUnavailable(Overloaded):
    """The external signer did not sign; nothing was signed elsewhere either."""


class AttestorSigner(Protocol):
    """One attestor's key, wherever it is."""

    @property
    def address(self) -> Address:
        """The attestor."""

    async def sign(self, message: Message) -> bytes:
        """65 bytes r || s || v over the message's digest.

        Raises:
            SignerUnavailable: not now.
            VerificationFailed: the signer answered with what is not this attestor's signature.
        """

    async def close(self) -> None:
        """Give up connections."""


class KeySigner:
    """A private key in this process's memory."""

    def __init__(self, private_key: bytes) -> None:
        self._key = private_key
        self.address: Address = address_of(private_key)

    async def sign(self, message: Message) -> bytes:
        return sign(message.digest, self._key)

    async def close(self) -> None:
        return None


class RpcSigner:
    """A JSON-RPC signer that knows ``eth_signTypedData_v4`` (or clef's ``account_signTypedData``).

    Args:
        url: its endpoint.
        address: the account that it is to sign with.
    """

    def __init__(self, url: str, address: Address) -> None:
        self.address = address
        self._rpc = JsonRpc(url, timeout_seconds=_TIMEOUT_SECONDS)
        self._methods = list(_METHODS)

    async def sign(self, message: Message) -> bytes:
        account = f"0x{self.address.hex()}"
        while True:
            try:
                answer = await self._rpc.request(self._methods[0], account, message.typed_data())
            except RpcError as error:
                is_unknown = error.code == _NO_SUCH_METHOD and len(self._methods) > 1
                if not is_unknown:
                    raise _unavailable(self._rpc.url, str(error)) from None
                self._methods.pop(0)
            except AdtallyError as error:
                raise _unavailable(self._rpc.url, str(error)) from None
            else:
                return checked(answer, message, self.address)

    async def close(self) -> None:
        await self._rpc.close()


class Web3Signer:
    """Web3Signer's ``POST /api/v1/eth1/sign/<identifier>``, which hashes what it is given.

    Args:
        url: its address with the key's identifier as path, e.g. ``http://127.0.0.1:9000/0x04ab..``.
    """

    def __init__(self, url: str, address: Address) -> None:
        parts = urlsplit(url)
        identifier = parts.path.strip("/")
        if not identifier or "/" in identifier:
            raise InvalidInput(
                "the address of the signer names no key",
                field="signer",
                expected="web3signer:http://HOST:PORT/<identifier of the key>",
                found=url,
            )
        self.address = address
        self._url = f"{parts.scheme}://{parts.netloc}/api/v1/eth1/sign/{identifier}"
        self._http = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def sign(self, message: Message) -> bytes:
        # It signs keccak256 of the data: of these 66 bytes that is the EIP-712 digest.
        body = {"data": f"0x{message.signed_bytes.hex()}"}
        try:
            response = await self._http.post(self._url, json=body)
        except httpx.HTTPError as error:
            raise _unavailable(self._url, str(error) or type(error).__name__) from None
        if not response.is_success:
            raise _unavailable(self._url, f"HTTP {response.status_code}")
        return checked(response.text.strip().strip('"'), message, self.address)

    async def close(self) -> None:
        await self._http.aclose()


def external_signer(text: str, address: Address) -> AttestorSigner:
    """The signer that ``rpc:URL`` or ``web3signer:URL`` names.

    Raises:
        InvalidInput: it names none.
    """
    kind, _, url = text.partition(":")
    if kind == "rpc" and url.startswith(("http://", "https://")):
        return RpcSigner(url, address)
    if kind == "web3signer" and url.startswith(("http://", "https://")):
        return Web3Signer(url, address)
    raise InvalidInput(
        "no such signer",
        field="signer",
        expected="rpc:http(s)://... (eth_signTypedData_v4) or web3signer:http(s)://.../<identifier>",
        found=text,
    )


def checked(answer: object, message: Message, address: Address) -> bytes:
    """A signer's answer as 65 bytes with v 27 or 28.

    Raises:
        VerificationFailed: it is not the attestor's signature over the message.
    """
    try:
        raw = bytes.fromhex(str(answer).removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) == 65 and raw[64] in (0, 1):
        raw = raw[:64] + bytes((raw[64] + 27,))
    found = recover(message.digest, raw)
    if found != address:
        raise VerificationFailed(
            "the signer signs with another key, or signed something else",
            field="signer",
            expected=f"a signature by 0x{address.hex()}",
            found=f"recovers to 0x{found.hex()}",
            action="check the signer's account and that it signs EIP-712 data unchanged",
        )
    return raw


def _unavailable(url: str, found: str) -> SignerUnavailable:
    error = SignerUnavailable("the external signer does not sign", retry_after_seconds=5)
    error.expected, error.found = f"a signature from {url}", found
    return error
