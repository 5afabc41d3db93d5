// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {IOperatorBond} from "adtally/interfaces/IOperatorBond.sol";
import {EntryBytes} from "adtally/libraries/EntryBytes.sol";
import {Rfc9162} from "adtally/libraries/Rfc9162.sol";
import {Checkpoint, ProvenEntry, Receipt} from "adtally/types/DataTypes.sol";

/// @title What the operator loses when it breaks a promise
/// @dev A proof needs the log's anchors, the operator's keys and nothing else. What an honest
/// operator signed and logged can't be made into one: an anchored root has one root below it at
/// every size and one entry at every index, as long as SHA-256 holds.
/// Proofs pay last, after all effects; only what measures balances has a guard.
contract OperatorBond is IOperatorBond, ReentrancyGuard {
    using SafeERC20 for IERC20;

    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(uint32 member,uint64 sequence,bytes32 recordsRoot,uint64 firstIndex,uint32 count,"
        "uint64 treeSize,bytes32 rootHash,uint64 anchorDeadline)"
    );

    /// @inheritdoc IOperatorBond
    uint64 public constant override MAX_PROMISE = 7 days;

    /// @inheritdoc IOperatorBond
    uint64 public constant override FILING_WINDOW = 30 days;

    /// @inheritdoc IOperatorBond
    uint64 public constant override WITHDRAWAL_DELAY = 45 days;

    /// @inheritdoc IOperatorBond
    uint64 public constant override WITHDRAWAL_WINDOW = 7 days;

    /// @inheritdoc IOperatorBond
    IEventLog public immutable override EVENT_LOG;

    /// @inheritdoc IOperatorBond
    address public immutable override TOKEN;

    /// @inheritdoc IOperatorBond
    uint128 public immutable override PENALTY;

    IMembership internal immutable MEMBERSHIP;
    uint32 internal immutable OPERATOR;
    uint64 internal immutable TAKEN_SIZE;

    /// @inheritdoc IOperatorBond
    uint128 public override bond;

    /// @inheritdoc IOperatorBond
    uint128 public override burned;

    /// @inheritdoc IOperatorBond
    mapping(bytes32 id => bool yes) public override isPunished;

    uint128 internal _requested;
    uint64 internal _withdrawableAt;

    /// @param eventLog Log whose operator is bound.
    /// @param token ERC-20 of the bond.
    /// @param penalty Base units that a breach costs.
    constructor(IEventLog eventLog, address token, uint128 penalty) {
        if (penalty == 0) revert AmountZero();
        if (token.code.length == 0) revert NotAToken(token);
        EVENT_LOG = eventLog;
        MEMBERSHIP = eventLog.MEMBERSHIP();
        OPERATOR = eventLog.OPERATOR();
        TAKEN_SIZE = eventLog.TAKEN_SIZE();
        TOKEN = token;
        PENALTY = penalty;
    }

    // ---------------------------------------------------------------- the bond

    /// @inheritdoc IOperatorBond
    function deposit(uint256 amount) external override nonReentrant returns (uint256 received) {
        // Interaction
        uint256 before = IERC20(TOKEN).balanceOf(address(this));
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
        received = IERC20(TOKEN).balanceOf(address(this)) - before;

        // Effect: after the interaction, because only now it is known what arrived.
        // Strictly nothing: any unit is a deposit.
        // slither-disable-next-line incorrect-equality
        if (received == 0) revert AmountZero();
        bond += SafeCast.toUint128(received);
        emit Deposited(msg.sender, received, bond);
    }

    /// @inheritdoc IOperatorBond
    function requestWithdrawal(uint128 amount) external override {
        // Check
        _requireOperator();
        if (amount > bond) revert BondInsufficient(bond, amount);

        // Effect
        _requested = amount;
        _withdrawableAt = uint64(block.timestamp) + WITHDRAWAL_DELAY;
        emit WithdrawalRequested(amount, _withdrawableAt);
    }

    /// @inheritdoc IOperatorBond
    function withdraw() external override nonReentrant returns (uint128 amount) {
        // Check
        _requireOperator();
        if (_requested == 0) revert NothingRequested();
        if (block.timestamp < _withdrawableAt) {
            revert WithdrawalNotDue(uint64(block.timestamp), _withdrawableAt);
        }
        uint64 lapsedAt = _withdrawableAt + WITHDRAWAL_WINDOW;
        if (block.timestamp >= lapsedAt) {
            revert WithdrawalLapsed(uint64(block.timestamp), lapsedAt);
        }
        amount = _requested < bond ? _requested : bond;
        address to = MEMBERSHIP.payoutOf(OPERATOR);

        // Effect
        _requested = 0;
        bond -= amount;
        emit Withdrawn(to, amount, bond);

        // Interaction
        IERC20(TOKEN).safeTransfer(to, amount);
    }

    // ---------------------------------------------------------------- breaches

    /// @inheritdoc IOperatorBond
    function proveOtherRoot(
        Receipt calldata receipt,
        bytes calldata signature,
        Checkpoint calldata anchored,
        bytes32 rootHash,
        bytes32[] calldata proof
    ) external override {
        bytes32 digest = _requirePromised(receipt, signature);
        if (rootHash == receipt.rootHash) revert RootAgrees(receipt.treeSize);
        if (!EVENT_LOG.isAnchored(anchored)) {
            revert IEventLog.NotAnchored(anchored.treeSize, anchored.rootHash);
        }
        bool isPrefix = receipt.treeSize == anchored.treeSize
            ? proof.length == 0 && rootHash == anchored.rootHash
            : Rfc9162.isConsistent(
                receipt.treeSize, anchored.treeSize, rootHash, anchored.rootHash, proof
            );
        if (!isPrefix) revert ConsistencyProofInvalid(receipt.treeSize, anchored.treeSize);
        _punish(Breach.OtherRoot, digest);
    }

    /// @inheritdoc IOperatorBond
    function proveOtherEnvelope(
        Receipt calldata receipt,
        bytes calldata signature,
        Checkpoint calldata anchored,
        ProvenEntry calldata found
    ) external override {
        bytes32 digest = _requirePromised(receipt, signature);
        if (found.index != receipt.firstIndex) {
            revert EntryOutsideBatch(found.index, receipt.firstIndex, receipt.count);
        }
        _requireLogged(anchored, found);
        bool isIt =
            EntryBytes.isEnvelopeOf(found.entry, receipt.member, receipt.sequence, receipt.count);
        if (isIt) revert EntryAgrees(found.index);
        _punish(Breach.OtherEnvelope, digest);
    }

    /// @inheritdoc IOperatorBond
    function proveOtherRecord(
        Receipt calldata receipt,
        bytes calldata signature,
        Checkpoint calldata anchored,
        ProvenEntry calldata found,
        bytes calldata record,
        bytes32[] calldata proof
    ) external override {
        bytes32 digest = _requirePromised(receipt, signature);
        _requireSent(receipt, found.index, record, proof);
        _requireLogged(anchored, found);
        if (EntryBytes.isRecordOf(found.entry, record)) revert EntryAgrees(found.index);
        _punish(Breach.OtherRecord, digest);
    }

    /// @inheritdoc IOperatorBond
    function proveLate(Receipt calldata receipt, bytes calldata signature) external override {
        _requirePromised(receipt, signature);
        uint64 headSize = EVENT_LOG.headSize();
        if (headSize >= receipt.treeSize || block.timestamp <= receipt.anchorDeadline) {
            revert NotLate(receipt.treeSize, headSize, receipt.anchorDeadline);
        }
        _punish(Breach.Late, keccak256(abi.encode("late", headSize)));
    }

    /// @inheritdoc IOperatorBond
    function proveDoubleCount(
        Checkpoint calldata anchored,
        ProvenEntry calldata first,
        ProvenEntry calldata second
    ) external override {
        bool areTwo = first.index != second.index && EntryBytes.isAccepted(first.entry)
            && EntryBytes.isAccepted(second.entry);
        if (!areTwo) revert NotCountedTwice();
        if (first.index < TAKEN_SIZE && second.index < TAKEN_SIZE) revert TakenOver(TAKEN_SIZE);
        bytes32 key = EntryBytes.eventKey(first.entry);
        if (key != EntryBytes.eventKey(second.entry)) revert NotCountedTwice();
        _requireLogged(anchored, first);
        _requireIncluded(anchored, second);
        _punish(Breach.DoubleCount, key);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IOperatorBond
    function withdrawal() external view override returns (uint128 amount, uint64 withdrawableAt) {
        return (_requested, _requested == 0 ? 0 : _withdrawableAt);
    }

    /// @inheritdoc IOperatorBond
    function receiptDigest(Receipt calldata receipt) public view override returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(
            EVENT_LOG.DOMAIN_SEPARATOR(), keccak256(abi.encode(RECEIPT_TYPEHASH, receipt))
        );
    }

    // ---------------------------------------------------------------- internal

    function _requireOperator() internal view {
        if (MEMBERSHIP.member(OPERATOR).account != msg.sender) revert NotOperator(msg.sender);
    }

    /// @dev The operator signed it while its key was good, not too long ago. Blocks are younger
    /// than 1970 and a month.
    function _requirePromised(Receipt calldata receipt, bytes calldata signature)
        internal
        view
        returns (bytes32 digest)
    {
        digest = receiptDigest(receipt);
        address signer = ECDSA.recover(digest, signature);
        uint64 validUntil = MEMBERSHIP.eventKeyValidUntil(OPERATOR, signer);
        // A key in use is valid until 2^64 - 1: written so that nothing overflows.
        uint64 signedAt =
            receipt.anchorDeadline > MAX_PROMISE ? receipt.anchorDeadline - MAX_PROMISE : 0;
        if (validUntil == 0 || signedAt > validUntil) revert SignerNotOperator(signer, validUntil);
        uint64 oldest = uint64(block.timestamp) - FILING_WINDOW;
        if (receipt.anchorDeadline < oldest) revert ReceiptExpired(receipt.anchorDeadline, oldest);
    }

    /// @dev The receipt puts `record` at `index`.
    function _requireSent(
        Receipt calldata receipt,
        uint64 index,
        bytes calldata record,
        bytes32[] calldata proof
    ) internal view {
        uint64 first = receipt.firstIndex;
        if (index <= first || index - first > receipt.count) {
            revert EntryOutsideBatch(index, first, receipt.count);
        }
        uint32 offset = uint32(index - first - 1);
        bytes32 leaf = EntryBytes.leafHash(record);
        if (!Rfc9162.isIncluded(offset, receipt.count, leaf, receipt.recordsRoot, proof)) {
            revert RecordNotInReceipt(offset);
        }
    }

    function _requireLogged(Checkpoint calldata anchored, ProvenEntry calldata found)
        internal
        view
    {
        if (!EVENT_LOG.isAnchored(anchored)) {
            revert IEventLog.NotAnchored(anchored.treeSize, anchored.rootHash);
        }
        _requireIncluded(anchored, found);
    }

    /// @dev Under a checkpoint that is known to be anchored.
    function _requireIncluded(Checkpoint calldata anchored, ProvenEntry calldata found)
        internal
        view
    {
        bool isIncluded = Rfc9162.isIncluded(
            found.index,
            anchored.treeSize,
            EntryBytes.leafHash(found.entry),
            anchored.rootHash,
            found.proof
        );
        if (!isIncluded) revert IEventLog.InclusionProofInvalid(found.index, anchored.treeSize);
    }

    function _punish(Breach breach, bytes32 id) internal {
        // Check
        if (isPunished[id]) revert AlreadyPunished(id);
        uint128 left = bond;
        // Strictly nothing: whatever is left is lost to a breach.
        // slither-disable-next-line incorrect-equality
        if (left == 0) revert BondInsufficient(0, PENALTY);
        bool isFull = left >= PENALTY;
        uint128 amount = isFull ? PENALTY : left;
        uint128 paid = amount / 2;

        // Effect: what is burned stays in this contract, and nothing here can take it out.
        // A penalty that the bond could not pay in full is not the end of it.
        if (isFull) isPunished[id] = true;
        bond = left - amount;
        burned += amount - paid;
        emit BreachProven(breach, id, msg.sender, paid, amount - paid);

        // Interaction
        IERC20(TOKEN).safeTransfer(msg.sender, paid);
    }
}
