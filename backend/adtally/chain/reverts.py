"""What a node's error means: a revert of a contract (decoded), or something else.

Nodes differ: hardhat and anvil answer reverts with code 3, Besu with -32000; data is a hex
string, or nested in an object; the wording is everybody's own.
"""

from __future__ import annotations

import re

from adtally.chain.abi import ContractError
from adtally.chain.rpc import RpcError
from adtally.errors import ChainReverted

CUSTOM_ERRORS = tuple(
    ContractError(signature)
    for signature in (
        # Solidity's own
        "Error(string message)",
        "Panic(uint256 code)",
        # Membership
        "MemberUnknown(uint32 member)",
        "AccountUnknown(address account)",
        "AccountTaken(address account,uint32 member)",
        "AddressZero()",
        "RolesInvalid(uint8 roles)",
        "KycExpiryInPast(uint64 kycExpires,uint64 now_)",
        "OverlapTooLong(uint32 overlap,uint32 maximum)",
        "EventKeyUnchanged(address eventKey)",
        "NoPendingPayout(uint32 member)",
        # EventLog
        "AttestorSetUnknown(uint32 set)",
        "AttestorSetMismatch(uint32 set,bytes32 expected,bytes32 found)",
        "AttestorsNotSorted(uint256 index)",
        "AttestorsTooMany(uint256 found,uint256 maximum)",
        "ThresholdInvalid(uint256 threshold,uint256 attestors)",
        "SignaturesTooFew(uint256 found,uint256 threshold)",
        "SignaturesMalformed(uint256 length)",
        "SignerNotInSet(address signer)",
        "PreviousNotHead(uint64 treeSize,bytes32 rootHash)",
        "TreeTooLarge(uint64 treeSize,uint64 maximum)",
        "TreeNotGrown(uint64 headSize,uint64 treeSize)",
        "TreeNotAnchored(uint64 treeSize,uint64 headSize)",
        "NotAnExtension(uint64 previousSize,uint64 treeSize)",
        "NotAnchored(uint64 treeSize,bytes32 rootHash)",
        "InclusionProofInvalid(uint64 index,uint64 treeSize)",
        "AnchorsExhausted(uint64 maximum)",
        # CampaignEscrow
        "CampaignIdZero()",
        "CampaignUnknown(uint32 campaign)",
        "CampaignClosed(uint32 campaign)",
        "NotAdvertiser(uint32 campaign,address caller)",
        "NotActiveMember(address caller,uint8 rolesNeeded)",
        "NotPublisher(uint32 publisher)",
        "TermsInvalid(string reason)",
        "CapTooLarge(uint128 cap,uint128 maximum)",
        "OrderNotOffered(uint32 campaign,uint32 publisher)",
        "OrderAlreadyAccepted(uint32 campaign,uint32 publisher)",
        "OrderNotAccepted(uint32 campaign,uint32 publisher)",
        "OrderDiffers(uint32 campaign,uint32 publisher)",
        "EndsAlready(uint64 current,uint64 requested)",
        "AmountZero()",
        "SequenceWrong(uint32 campaign,uint32 expected,uint32 found)",
        "StatementPending(uint32 campaign,uint64 activatesAt)",
        "StatementFinal(uint32 campaign)",
        "TreeShrinks(uint64 previous,uint64 found)",
        "CorrectionsFall(uint64 previous,uint64 found)",
        "LinesTotalFalls(uint128 lowest,uint128 found)",
        "FallTooLate(uint64 now_,uint64 latest)",
        "FinalTooEarly(uint64 now_,uint64 earliest)",
        "EscrowInsufficient(uint256 needed,uint256 available)",
        "ObjectionTooLate(uint32 campaign,uint64 activatesAt,uint64 closesAt)",
        "ObjectionBondHeld(uint32 campaign)",
        "ObjectionUndecided(uint32 campaign,uint64 closesAt)",
        "ObjectionUnknown(uint32 campaign)",
        "BondNotReceived(uint128 bond,uint256 received)",
        "ReasonTooLong(uint256 found,uint256 maximum)",
        "NoActiveStatement(uint32 campaign)",
        "LineNotProven(uint32 campaign,uint32 publisher)",
        "NodeNotProven(uint32 campaign,bytes32 node)",
        "LinesExceedTotal(uint256 claimed,uint256 linesTotal)",
        "PayoutIsEscrow(uint32 member)",
        "CutUnknown(uint32 campaign,uint256 index)",
        "RefundNotOpen(uint64 now_,uint64 opensAt)",
        # OperatorBond
        "NotAToken(address token)",
        "BondInsufficient(uint256 bond,uint256 requested)",
        "NotOperator(address caller)",
        "NothingRequested()",
        "WithdrawalNotDue(uint64 now_,uint64 withdrawableAt)",
        "WithdrawalLapsed(uint64 now_,uint64 lapsedAt)",
        "TakenOver(uint64 takenSize)",
        "AlreadyPunished(bytes32 id)",
        "SignerNotOperator(address signer,uint64 validUntil)",
        "ReceiptExpired(uint64 anchorDeadline,uint64 oldest)",
        "RootAgrees(uint64 treeSize)",
        "ConsistencyProofInvalid(uint64 treeSize,uint64 anchoredSize)",
        "EntryOutsideBatch(uint64 index,uint64 first,uint32 count)",
        "EntryAgrees(uint64 index)",
        "RecordNotInReceipt(uint32 offset)",
        "NotLate(uint64 treeSize,uint64 headSize,uint64 anchorDeadline)",
        "NotCountedTwice()",
        # OpenZeppelin 5: access, pausing, tokens, numbers, signatures
        "AccessManagedUnauthorized(address caller)",
        "AccessManagerUnauthorizedAccount(address msgsender,uint64 roleId)",
        "AccessManagerUnauthorizedCall(address caller,address target,bytes4 selector)",
        "AccessManagerNotReady(bytes32 operationId)",
        "EnforcedPause()",
        "ExpectedPause()",
        "ReentrancyGuardReentrantCall()",
        "SafeERC20FailedOperation(address token)",
        "SafeCastOverflowedUintDowncast(uint8 bits,uint256 value)",
        "ECDSAInvalidSignature()",
        "ECDSAInvalidSignatureLength(uint256 length)",
        "ECDSAInvalidSignatureS(bytes32 s)",
        "ERC20InsufficientBalance(address sender,uint256 balance,uint256 needed)",
        "ERC20InsufficientAllowance(address spender,uint256 allowance,uint256 needed)",
        "ERC20InvalidReceiver(address receiver)",
        "ERC20InvalidSender(address sender)",
        "ERC2612ExpiredSignature(uint256 deadline)",
        "ERC2612InvalidSigner(address signer,address owner)",
    )
)
_BY_SELECTOR = {error.selector: error for error in CUSTOM_ERRORS}

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_EXECUTION_FAILURE = re.compile(
    r"revert|out of gas|outofgas|invalid opcode|gas required exceeds|exhausted|VM Exception",
    re.IGNORECASE,
)


def describe_revert(data: bytes) -> str:
    """A revert's data in words, e.g. ``RefundNotOpen(now_=5, opensAt=9)``."""
    known = _BY_SELECTOR.get(data[:4])
    if known is not None:
        return known.describe(data)
    return f"0x{data.hex()}" if data else "no reason given"


def revert_data(error: RpcError) -> bytes | None:
    """The data of a revert, empty if it has none; None if the error is no revert."""
    found = _find_hex(error.data)
    if found is not None and (error.code == 3 or _EXECUTION_FAILURE.search(error.message)):
        return found
    if error.code == 3 or _EXECUTION_FAILURE.search(error.message):
        return b""
    return None


def _find_hex(data: object) -> bytes | None:
    if isinstance(data, dict):
        return _find_hex(data.get("data"))
    if isinstance(data, str):
        text = data.removeprefix("Reverted ")  # OpenEthereum's habit, kept by some forks
        if _HEX.match(text):
            return bytes.fromhex(text[2:])
    return None


def as_revert(error: RpcError, what: str) -> ChainReverted | None:
    """The typed error if ``error`` is a revert (or another failure of execution)."""
    data = revert_data(error)
    if data is None:
        return None
    reason = describe_revert(data) if data else error.message or "no reason given"
    return ChainReverted(f"the contract refuses {what}", reason=reason)
