"""Keys: encrypted keystores, raw files that others can read, and signers in other processes."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from rich.console import Console

from adtally.attestor.keystore import (
    PASSPHRASE_VARIABLE,
    decrypt_keystore,
    is_keystore,
    read_passphrase,
    require_private,
    write_keystore,
)
from adtally.attestor.process import lock_file
from adtally.attestor.read_auth import AttestorReadAuth
from adtally.attestor.signers import KeySigner, RpcSigner, SignerUnavailable, external_signer
from adtally.chain.accounts import local_account
from adtally.chain.local_node import start_hardhat
from adtally.chain.local_process import start_anvil
from adtally.commands.attest import KeyOptions, create_key, open_signer, read_key_file
from adtally.errors import Conflict, InvalidInput, NotAllowed, NotFound, VerificationFailed
from adtally.events.attested import (
    Message,
    Refusal,
    checkpoint_message,
    cosigner_key_message,
    read_grant_message,
    refusal_message,
    statement_message,
)
from adtally.events.eip712 import checkpoint_digest, statement_digest
from adtally.events.read_grant import ATTESTOR, MAX_LIFETIME_SECONDS, ReadGrant
from adtally.events.signature import address_of, recover, sign
from adtally.types import UINT128_MAX, Checkpoint, Counts, LogIdentity, Statement
from support.jobs_world import PROJECT_ROOT
from support.world import ESCROW, ESCROW_DOMAIN, IDENTITY, LOG_DOMAIN, key_of

KEY = key_of(9)
PASSPHRASE = "correct horse battery"
CHECKPOINT = Checkpoint(7, b"\x07" * 32)
STATEMENT = Statement(1, 2, 7, UINT128_MAX, Counts(1, 2, 3, 4), 5, b"\x08" * 32, True)
REFUSAL = Refusal(b"\x09" * 32, "root_hash", "tree size 7", 'a "b"\n', "ü", 1_700_000_000_000)
MESSAGES = [
    checkpoint_message(IDENTITY, CHECKPOINT),
    statement_message(IDENTITY.chain_id, ESCROW, STATEMENT),
    refusal_message(IDENTITY, REFUSAL),
    cosigner_key_message(IDENTITY, address_of(KEY), b"\x05" * 32, 7),
    read_grant_message(IDENTITY, address_of(KEY), 0, 8),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type.partition("(")[0])
def test_message__typed_data__has_the_digest_that_is_signed(message: Message) -> None:
    signable = encode_typed_data(full_message=message.typed_data())
    theirs = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert message.digest == theirs == keccak(message.signed_bytes)


def test_message__digests__are_those_of_the_contracts() -> None:
    assert MESSAGES[0].digest == checkpoint_digest(LOG_DOMAIN, CHECKPOINT)
    assert MESSAGES[1].digest == statement_digest(ESCROW_DOMAIN, STATEMENT)


def test_keystore__written_and_read__is_ethereums_own_format(tmp_path: Path) -> None:
    path = tmp_path / "attestor.json"
    write_keystore(path, KEY, PASSPHRASE, n=2**12)
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_keystore(path)
    assert decrypt_keystore(path, PASSPHRASE) == KEY
    document = json.loads(path.read_text())
    assert (document["version"], document["crypto"]["kdf"]) == (3, "scrypt")
    assert bytes(Account.decrypt(document, PASSPHRASE)) == KEY
    assert KEY.hex() not in path.read_text()
    with pytest.raises(NotAllowed):
        decrypt_keystore(path, "wrong passphrase")
    with pytest.raises(InvalidInput, match="never overwritten"):
        write_keystore(path, KEY, PASSPHRASE, n=2**12)
    with pytest.raises(InvalidInput, match="too short"):
        write_keystore(tmp_path / "other", KEY, "short", n=2**12)
    path.write_text(json.dumps(document | {"address": "00" * 20}))
    with pytest.raises(InvalidInput, match="no encrypted keystore"):
        decrypt_keystore(path, PASSPHRASE)
    for damage in ("{}", "{", '{"version": 3}', json.dumps(document | {"version": 9})):
        path.write_text(damage)
        with pytest.raises((InvalidInput, NotAllowed)):
            decrypt_keystore(path, PASSPHRASE)


def test_create_key__from_the_command__writes_a_keystore_and_tells_its_address(
    tmp_path: Path,
) -> None:
    told = io.StringIO()
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    path = tmp_path / "attestor.json"
    create_key(path, tmp_path / "passphrase", Console(file=told))
    key = read_key_file(path, tmp_path / "passphrase")
    assert told.getvalue().strip() == f"0x{address_of(key).hex()}"


def test_passphrase__from_file_or_environment__never_asked_where_nobody_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    assert read_passphrase(file) == PASSPHRASE
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "from the environment")
    assert read_passphrase(None) == "from the environment"
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    with pytest.raises(NotFound, match="no passphrase"):
        read_passphrase(None)


@pytest.mark.asyncio
async def test_open_signer__files__keystore_raw_and_readable_by_others(tmp_path: Path) -> None:
    keystore, passphrase, raw = (tmp_path / name for name in ("k.json", "p", "raw.key"))
    write_keystore(keystore, KEY, PASSPHRASE, n=2**12)
    passphrase.write_text(PASSPHRASE)
    async with open_signer(KeyOptions(keystore, passphrase)) as signer:
        assert signer.address == address_of(KEY)
        with pytest.raises(Conflict, match="another attestor"):
            async with open_signer(KeyOptions(keystore, passphrase)):
                pass
    raw.write_text(KEY.hex())
    raw.chmod(0o640)
    with pytest.raises(NotAllowed, match="read by others"):
        async with open_signer(KeyOptions(raw)):
            pass
    raw.chmod(0o600)
    require_private(raw)
    async with open_signer(KeyOptions(raw)) as signer:
        assert recover(MESSAGES[0].digest, await signer.sign(MESSAGES[0])) == address_of(KEY)
    for wrong in (KeyOptions(None), KeyOptions(raw, signer="rpc:http://x", address="0x")):
        with pytest.raises(InvalidInput):
            async with open_signer(wrong):
                pass


def test_lock_file__held__second_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncExitStack() as one, AsyncExitStack() as two:
            lock_file(tmp_path / "lock", one)
            with pytest.raises(Conflict):
                lock_file(tmp_path / "lock", two)

    asyncio.run(run())


@pytest.mark.chain
@pytest.mark.asyncio
@pytest.mark.parametrize("start", [start_hardhat, start_anvil], ids=["hardhat", "anvil"])
async def test_rpc_signer__real_node__signs_what_we_sign_and_is_checked(
    tmp_path: Path, start: Any
) -> None:
    node = start(PROJECT_ROOT, tmp_path / "node.log")
    account = local_account(3)
    signer = external_signer(f"rpc:{node.url}", account.address)
    stranger = RpcSigner(node.url, b"\x01" * 20)
    try:
        for message in MESSAGES:
            assert await signer.sign(message) == sign(message.digest, account.private_key)
        with pytest.raises(SignerUnavailable):
            await stranger.sign(MESSAGES[0])
    finally:
        await signer.close()
        await stranger.close()
        node.stop()
    with pytest.raises(SignerUnavailable):
        await external_signer(f"rpc:{node.url}", account.address).sign(MESSAGES[0])


class _Web3Signer(BaseHTTPRequestHandler):
    """Answers as Web3Signer's eth1 API documents it: keccak256 of the data, signed."""

    key = KEY

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        is_known = self.path == "/api/v1/eth1/sign/0x04abcd"
        data = bytes.fromhex(body["data"].removeprefix("0x"))
        answer = f"0x{sign(keccak(data), self.key).hex()}".encode() if is_known else b"none"
        self.send_response(200 if is_known else 404)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def web3signer() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Web3Signer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.asyncio
async def test_web3signer__signs_the_digest_and_a_foreign_key_is_noticed(
    web3signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = external_signer(f"web3signer:{web3signer}/0x04abcd", address_of(KEY))
    unknown = external_signer(f"web3signer:{web3signer}/0x05", address_of(KEY))
    try:
        for message in MESSAGES:
            assert await signer.sign(message) == sign(message.digest, KEY)
        with pytest.raises(SignerUnavailable):
            await unknown.sign(MESSAGES[0])
        monkeypatch.setattr(_Web3Signer, "key", key_of(10))
        with pytest.raises(VerificationFailed, match="another key"):
            await signer.sign(MESSAGES[0])
    finally:
        await signer.close()
        await unknown.close()
    for wrong in ("file:/x", "rpc:x", f"web3signer:{web3signer}"):
        with pytest.raises(InvalidInput):
            external_signer(wrong, address_of(KEY))


@pytest.mark.asyncio
async def test_read_auth__where_the_log_is_closed__sends_a_fresh_grant_and_else_nothing() -> None:
    seconds, given = [1_000_000.0], []

    def serve(request: httpx.Request) -> httpx.Response:
        given.append(request.headers.get("authorization"))
        is_open = request.url.path == "/open" or given[-1] is not None
        return httpx.Response(200 if is_open else 401)

    auth = AttestorReadAuth(IDENTITY, KeySigner(KEY), lambda: seconds[0])
    async with httpx.AsyncClient(transport=httpx.MockTransport(serve), auth=auth) as client:
        assert (await client.get("http://log/open")).status_code == 200
        assert given == [None]
        assert (await client.get("http://log/closed")).status_code == 200
        first = ReadGrant.from_header(given[-1] or "")
        assert first.is_signed(LOG_DOMAIN)
        assert (first.member, first.signer) == (ATTESTOR, address_of(KEY))
        assert 1_000_000 < first.expires_at_seconds <= 1_000_000 + MAX_LIFETIME_SECONDS
        seconds[0] += 600
        await client.get("http://log/closed")
        assert ReadGrant.from_header(given[-1] or "").expires_at_seconds > first.expires_at_seconds


@pytest.mark.asyncio
async def test_key_signer__address__is_the_keys() -> None:
    signer = KeySigner(KEY)
    other = checkpoint_message(LogIdentity(1, bytes(20)), CHECKPOINT)
    assert recover(other.digest, await signer.sign(other)) == signer.address
