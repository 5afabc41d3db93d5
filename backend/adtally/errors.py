"""One typed tree of errors. Each says what was expected, what was found, what to do.

HTTP status codes live only in ``adtally.api``; these classes know nothing of transport.
``InvariantBroken`` stands apart: it is never answered to anybody, it stops the process.
"""

from __future__ import annotations


class AdtallyError(Exception):
    """An error expected in normal operation.

    Args:
        message: what went wrong, in one sentence.
        field: the input field at fault, as a dotted path (``events.3.campaign``), if one is.
        expected: what would have been right.
        found: what was there instead.
        action: what the reader can do about it.
    """

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        action: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.expected = expected
        self.found = found
        self.action = action

    def __str__(self) -> str:
        parts = [self.message]
        if self.field is not None:
            parts.append(f"field: {self.field}")
        if self.expected is not None:
            parts.append(f"expected: {self.expected}")
        if self.found is not None:
            parts.append(f"found: {self.found}")
        if self.action is not None:
            parts.append(f"what to do: {self.action}")
        return "; ".join(parts)


class InvalidInput(AdtallyError):
    """The input breaks its documented format; nothing of it was used."""

    code = "invalid_input"


class TooLarge(InvalidInput):
    """The input is over a documented limit of size or count."""

    code = "too_large"


class NotFound(AdtallyError):
    """The thing asked for does not exist here."""

    code = "not_found"


class Conflict(AdtallyError):
    """The request contradicts what is already recorded."""

    code = "conflict"


class NotAllowed(AdtallyError):
    """The caller is known but may not do this (role, KYC, key)."""

    code = "not_allowed"


class VerificationFailed(AdtallyError):
    """A signature, hash or proof does not verify."""

    code = "verification_failed"


class InsufficientEscrow(AdtallyError):
    """The escrow does not hold what would be reserved or paid."""

    code = "insufficient_escrow"


class Overloaded(AdtallyError):
    """The service is at its bound; the request was not taken and may be sent again.

    ``retry_after_seconds`` says when.
    """

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, action=f"send it again after {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class StorageFull(Overloaded):
    """The disk has no room, or takes no writes; nothing of the request was taken.

    What was logged is safe, is served, and is added to as soon as there is room.
    """

    code = "storage_full"

    def __init__(self, found: str) -> None:
        super().__init__("the disk of the log has no room", retry_after_seconds=30)
        self.expected = "free space on a writable disk"
        self.found = found


class ChainError(AdtallyError):
    """Base of what can go wrong between the service and the chain."""

    code = "chain_error"


class ChainUnavailable(ChainError):
    """The chain's RPC endpoint did not answer, or answered nonsense."""

    code = "chain_unavailable"


class ChainReverted(ChainError):
    """A contract refused the call; ``reason`` is its decoded custom error."""

    code = "chain_reverted"

    def __init__(self, message: str, *, reason: str, action: str | None = None) -> None:
        super().__init__(message, found=reason, action=action)
        self.reason = reason


class Reorged(ChainError):
    """A block that was acted upon is no longer part of the chain."""

    code = "reorged"


class ForeignChain(ChainError):
    """Chain id, genesis hash or contract code are not those of the deployment file."""

    code = "foreign_chain"


class StorageCorrupt(AdtallyError):
    """Bytes on disk are not what was written; the service must not start on them."""

    code = "storage_corrupt"


class StorageFailed(AdtallyError):
    """The disk refused a read or write; the store takes nothing more until it is reopened."""

    code = "storage_failed"


class InvariantBroken(BaseException):
    """Something that can't happen has happened: stop before it costs money.

    Not an ``Exception`` on purpose: no ``except Exception`` may swallow it.
    """
