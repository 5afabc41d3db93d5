// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Checkpoint, ProvenEntry, Receipt} from "adtally/types/DataTypes.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";

/// @title What the operator loses when it breaks a promise
/// @notice A bond in one token. Whoever proves a broken promise, to this contract alone, is paid
/// half of a penalty; the other half is burned, so that reporting oneself never pays. Nothing here
/// touches an escrow: no line of any publisher waits for a proof or is changed by one.
/// @dev Promises are receipts (EIP-712, signed by the operator's event key under the domain of
/// EventLog) and the rule that an event counts once. A penalty is PENALTY or what is left of the
/// bond. The token must move exactly what transfer says. Whoever sees a proof on its way can send
/// it first: the penalty is the same, the finder is not.
interface IOperatorBond {
    /// @dev OtherRoot: the log's root at the receipt's size is another one. OtherEnvelope,
    /// OtherRecord: the log holds something else where the receipt puts the batch. Late: no anchor
    /// covers the receipt after its deadline. DoubleCount: an event id was accepted twice.
    enum Breach {
        OtherRoot,
        OtherEnvelope,
        OtherRecord,
        Late,
        DoubleCount
    }

    event Deposited(address indexed from, uint256 amount, uint256 bond);
    event WithdrawalRequested(uint256 amount, uint64 withdrawableAt);
    event Withdrawn(address indexed to, uint256 amount, uint256 bond);
    event BreachProven(
        Breach indexed breach,
        bytes32 indexed id,
        address indexed finder,
        uint256 paid,
        uint256 burned
    );

    error AmountZero();
    error NotAToken(address token);
    error BondInsufficient(uint256 bond, uint256 requested);
    error NotOperator(address caller);
    error NothingRequested();
    error WithdrawalNotDue(uint64 now_, uint64 withdrawableAt);
    error WithdrawalLapsed(uint64 now_, uint64 lapsedAt);
    error TakenOver(uint64 takenSize);
    error AlreadyPunished(bytes32 id);
    error SignerNotOperator(address signer, uint64 validUntil);
    error ReceiptExpired(uint64 anchorDeadline, uint64 oldest);
    error RootAgrees(uint64 treeSize);
    error ConsistencyProofInvalid(uint64 treeSize, uint64 anchoredSize);
    error EntryOutsideBatch(uint64 index, uint64 first, uint32 count);
    error EntryAgrees(uint64 index);
    error RecordNotInReceipt(uint32 offset);
    error NotLate(uint64 treeSize, uint64 headSize, uint64 anchorDeadline);
    error NotCountedTwice();

    /// @notice Add to the bond. Anyone may; it is the operator's from then on.
    /// @return received What arrived and was added.
    function deposit(uint256 amount) external returns (uint256 received);

    /// @notice Announce a withdrawal, instead of an earlier announcement; 0 withdraws it. Caller:
    /// the operator's account.
    /// @dev It stays liable for WITHDRAWAL_DELAY, longer than any receipt given before the request
    /// can be acted upon, and must be taken in the WITHDRAWAL_WINDOW after that. While a request
    /// stands, only the rest of the bond covers new receipts.
    function requestWithdrawal(uint128 amount) external;

    /// @notice Pay what was announced to the operator's payout address, as far as it is still
    /// there. Caller: the operator's account.
    function withdraw() external returns (uint128 amount);

    /// @notice Prove that the log's root at the receipt's size is another than the receipt says.
    /// @param anchored A checkpoint in EventLog's ring, at least as large as the receipt's.
    /// @param rootHash The log's root at the receipt's size.
    /// @param proof RFC 9162 consistency proof from the receipt's size with `rootHash` to
    /// `anchored`; empty if the sizes are equal.
    function proveOtherRoot(
        Receipt calldata receipt,
        bytes calldata signature,
        Checkpoint calldata anchored,
        bytes32 rootHash,
        bytes32[] calldata proof
    ) external;

    /// @notice Prove that the entry at the receipt's first index is not the batch's envelope.
    /// @param found The entry at `firstIndex`, proven under `anchored`.
    function proveOtherEnvelope(
        Receipt calldata receipt,
        bytes calldata signature,
        Checkpoint calldata anchored,
        ProvenEntry calldata found
    ) external;

    /// @notice Prove that a record of the batch is not where the receipt puts it.
    /// @param found The entry at its index, proven under `anchored`.
    /// @param record The record as the sender signed it (verdict 0).
    /// @param proof RFC 9162 inclusion proof of `record` under `recordsRoot`.
    function proveOtherRecord(
        Receipt calldata receipt,
        bytes calldata signature,
        Checkpoint calldata anchored,
        ProvenEntry calldata found,
        bytes calldata record,
        bytes32[] calldata proof
    ) external;

    /// @notice Prove that no anchor covers the receipt although its deadline is over.
    /// @dev Once per head: an outage is one breach, however many receipts it leaves waiting.
    /// Anchors keep no time, so lateness can be proven only while it lasts.
    function proveLate(Receipt calldata receipt, bytes calldata signature) external;

    /// @notice Prove that one event (type, publisher, event id) was accepted at two indices, of
    /// which at least one is not of a log that was taken over.
    function proveDoubleCount(
        Checkpoint calldata anchored,
        ProvenEntry calldata first,
        ProvenEntry calldata second
    ) external;

    /// @return The EIP-712 digest that the operator signs for `receipt`.
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32);

    /// @return What can still be lost, in base units.
    function bond() external view returns (uint128);

    /// @return What breaches have burned, in base units: it stays in this contract for good.
    function burned() external view returns (uint128);

    /// @return amount Announced withdrawal in base units, 0 if there is none.
    /// @return withdrawableAt Second (UTC) from which it can be taken.
    function withdrawal() external view returns (uint128 amount, uint64 withdrawableAt);

    /// @return Whether this breach was punished in full: the receipt's digest, or for DoubleCount
    /// keccak256(abi.encode(type, publisher, event id)), or for Late keccak256(abi.encode("late",
    /// head size)).
    function isPunished(bytes32 id) external view returns (bool);

    function EVENT_LOG() external view returns (IEventLog);

    /// @return ERC-20 of the bond.
    function TOKEN() external view returns (address);

    /// @return Base units that a breach costs.
    function PENALTY() external view returns (uint128);

    /// @return Longest time in seconds from signing a receipt to its deadline; a receipt with a
    /// later one is refused once its key was changed.
    function MAX_PROMISE() external view returns (uint64);

    /// @return Seconds after a receipt's deadline in which a breach of it can be proven. A key that
    /// is stolen after it was retired for longer than this and MAX_PROMISE can do no harm.
    function FILING_WINDOW() external view returns (uint64);

    /// @return Seconds between announcing a withdrawal and taking it.
    function WITHDRAWAL_DELAY() external view returns (uint64);

    /// @return Seconds after that in which it can be taken; then it must be announced anew.
    function WITHDRAWAL_WINDOW() external view returns (uint64);
}
