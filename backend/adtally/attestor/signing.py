"""The way of a signature: noted, made, kept, left with peers, and only then handed out.

Killed between any two of these steps, the attestor does the same again at its next start: what was
noted can be signed again, and nothing else under its name.
"""

from __future__ import annotations

from typing import Protocol

from adtally.attestation.answers import AnswerBook, Domains, Signed, SignedRefusal
from adtally.attestation.signing_record import SigningRecord
from adtally.attestor.signers import AttestorSigner
from adtally.events.attested import Refusal, refusal_message
from adtally.types import Checkpoint, Statement


class Deposits(Protocol):
    """Where signatures are left before anybody else gets them."""

    async def leave(self, signed: Signed) -> None:
        """As well as it can be done now; a peer that is away must not stop the rest."""


class SigningDesk:
    """Signs under the rule that one name has one digest.

    Args:
        record: what was signed before.
        book: where answers are kept and published from.
        deposits: so that the record can be mended from there, should it be lost.
    """

    def __init__(
        self,
        signer: AttestorSigner,
        record: SigningRecord,
        book: AnswerBook,
        domains: Domains,
        deposits: Deposits,
    ) -> None:
        self.signer = signer
        self.record = record
        self.book = book
        self.domains = domains
        self._deposits = deposits

    async def sign(self, content: Checkpoint | Statement) -> Signed:
        """Sign what was verified; the same again gives the same signature.

        Raises:
            Conflict: something else was signed under this name.
            NotAllowed: it is not known yet what was signed before.
            SignerUnavailable: not now.
        """
        message = self.domains.message(content)
        address = self.signer.address
        mine = Signed(content, address, b"")
        self.record.note(mine.subject, message.digest)
        known = self.book.signatures(content).get(address)
        signed = Signed(content, address, known or await self.signer.sign(message))
        self.book.add(signed)
        await self._deposits.leave(signed)
        return signed

    async def refuse(self, refusal: Refusal) -> SignedRefusal:
        """Sign and publish why something is not signed."""
        message = refusal_message(self.domains.identity, refusal)
        signature = await self.signer.sign(message)
        signed = SignedRefusal(refusal, self.signer.address, signature)
        self.book.add_refusal(signed)
        return signed
