"""Reading a service's log and statements, and answering its requests for attestations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType

import httpx
import msgspec

from adtally.client.fields import Fields
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import Params, RetryPolicy, Transport
from adtally.errors import VerificationFailed
from adtally.events.cosigner_key import CosignerKey
from adtally.log.bundle import decode_bundle
from adtally.log.checkpoint import NoteSignature, NoteVerifier, open_checkpoint
from adtally.types import Checkpoint, Hash

NEXT_INDEX_HEADER = "x-next-index"


class LogClient:
    """Reads one service's public endpoints; an async context manager.

    JSON documents are returned as they came: their shapes are in the service's OpenAPI page, and
    whoever decides money by them checks them first (see ``adtally.audit``).
    """

    def __init__(
        self, base_url: str, retry: RetryPolicy | None = None, auth: httpx.Auth | None = None
    ) -> None:
        self._transport = Transport(base_url, retry, auth)

    async def __aenter__(self) -> LogClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    # The log -----------------------------------------------------------------------------------

    async def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint note (C2SP tlog-checkpoint)."""
        return (await self._transport.get("/log/checkpoint")).content

    async def checkpoint(self) -> Checkpoint:
        """The newest checkpoint, its signature checked against the service's own deployment.

        Raises:
            VerificationFailed: the note is not signed by the log's key.
        """
        deployment = await self.deployment()
        verifier = NoteVerifier.parse(Fields(deployment, "deployment").text("note_verifier"))
        origin = ServiceFacts.from_json(deployment).log_origin
        return open_checkpoint(await self.checkpoint_note(), [verifier], origin=origin)

    async def entries(self, start: int, end: int) -> list[bytes]:
        """All entries from leaf index ``start`` to before ``end``, asked for in pages."""
        return [entry async for page in self.entry_pages(start, end) for entry in page]

    async def entry_pages(self, start: int, end: int) -> AsyncIterator[list[bytes]]:
        """The same, page by page, so that a long log need not fit in memory.

        Raises:
            VerificationFailed: a page does not hold what its header announces.
        """
        at = start
        while at < end:
            response = await self._transport.get("/log/entries", {"start": at, "end": end})
            page = decode_bundle(response.content)
            announced = response.headers.get(NEXT_INDEX_HEADER, str(at + len(page)))
            if not page or announced != str(at + len(page)):
                raise VerificationFailed(
                    "a page of entries is not what its header announces",
                    field="entries",
                    expected=f"entries {at} to {announced}",
                    found=f"{len(page)} entries",
                    action="ask again; if it stays so the service withholds part of the log",
                )
            yield page
            at += len(page)

    async def inclusion_proof(self, index: int, tree_size: int) -> list[Hash]:
        """RFC 9162 inclusion proof of the leaf at ``index``; not checked here."""
        document = await self._get(
            "/log/proofs/inclusion", {"index": index, "tree_size": tree_size}
        )
        return Fields(document, "inclusion proof").hashes("proof")

    async def consistency_proof(self, first: int, second: int) -> list[Hash]:
        """RFC 9162 consistency proof between two sizes; not checked here."""
        document = await self._get("/log/proofs/consistency", {"first": first, "second": second})
        return Fields(document, "consistency proof").hashes("proof")

    async def event_proof(self, publisher: int, event_id: str, params: Params) -> bytes:
        """A proof bundle of a publisher's event; not checked here.

        Args:
            params: as ``GET /v1/events/{member}/{id}/proof`` takes them.
        """
        return (await self._transport.get(f"/events/{publisher}/{event_id}/proof", params)).content

    # Documents ---------------------------------------------------------------------------------

    async def deployment(self) -> object:
        return await self._get("/deployment")

    async def status(self) -> object:
        return await self._get("/status")

    async def member(self, member: int) -> object:
        return await self._get(f"/members/{member}")

    async def campaigns(self) -> object:
        return await self._get("/campaigns")

    async def campaign(self, campaign: int) -> object:
        return await self._get(f"/campaigns/{campaign}")

    async def report(self, campaign: int, **params: str | int) -> object:
        """The campaign's report; ``params`` as ``GET /v1/campaigns/{id}/report`` takes them."""
        return await self._get(f"/campaigns/{campaign}/report", params)

    async def statements(self, campaign: int) -> object:
        return await self._get(f"/campaigns/{campaign}/statements")

    async def statement(self, campaign: int, sequence: int) -> object:
        return await self._get(f"/campaigns/{campaign}/statements/{sequence}")

    async def anchors(self) -> object:
        return await self._get("/anchors")

    async def payments(self) -> object:
        return await self._get("/payments")

    async def transactions(self) -> object:
        return await self._get("/transactions")

    # Attestations ------------------------------------------------------------------------------

    async def attestation_requests(self, attestor: str) -> object:
        """What this attestor (0x address) has not answered yet, by ascending tree size."""
        return await self._get("/attestations/requests", {"attestor": attestor})

    async def post_attestation(self, document: object) -> object:
        """Answer a request with a signature, or with a refusal and its reason."""
        return await self._transport.post_json("/attestations", document)

    async def document(self, path: str, params: Params | None = None) -> object:
        """Any JSON document under ``/v1``."""
        return await self._get(path, params)

    async def post_document(self, path: str, document: object) -> object:
        """Send a JSON document to a path under ``/v1``."""
        return await self._transport.post_json(path, document)

    # Cosignatures ------------------------------------------------------------------------------

    async def declare_cosigner(self, key: CosignerKey) -> object:
        """Tell the service which Ed25519 key an attestor cosigns with."""
        document = {
            "attestor": f"0x{key.attestor.hex()}",
            "public_key": f"0x{key.public_key.hex()}",
            "declared_at_ms": key.declared_at_ms,
            "signature": f"0x{key.signature.hex()}",
        }
        return await self._transport.post_json("/log/cosigners", document)

    async def post_cosignature(self, checkpoint: Checkpoint, cosignature: NoteSignature) -> None:
        """Hand in an attestor's cosignature of a checkpoint."""
        document = {
            "tree_size": checkpoint.tree_size,
            "root_hash": f"0x{checkpoint.root_hash.hex()}",
            "line": cosignature.line().rstrip("\n"),
        }
        body = msgspec.json.encode(document)
        await self._transport.post("/log/cosignatures", body, "application/json")

    async def cosigners(self) -> object:
        """Every attestor's declared keys; check them against the chain."""
        return await self._get("/log/cosigners.json")

    async def cosigned_checkpoint_note(self) -> bytes:
        """The newest note with attestors' cosignatures; raises NotFound before there is one."""
        return (await self._transport.get("/log/cosigned-checkpoint")).content

    # Virtual time ------------------------------------------------------------------------------

    async def set_clock(self, now_ms: int) -> None:
        """Move a virtual clock (demo, replay and tests)."""
        # Not part of the versioned API: no production service has it.
        url = f"{self._transport.base_url}/dev/clock"
        await self._transport.post_json(url, {"now_ms": now_ms})

    async def _get(self, path: str, params: Params | None = None) -> object:
        return await self._transport.get_json(path, params)
