// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {CampaignFunding} from "adtally/escrow/CampaignFunding.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {LineMath} from "adtally/libraries/LineMath.sol";
import {StatementHash} from "adtally/libraries/StatementHash.sol";
import {Quorum, Statement} from "adtally/types/DataTypes.sol";
import {Objection, StoredCampaign, StoredStatement} from "adtally/types/EscrowStorage.sol";

/// @title What a campaign owes: statements, corrections, objections
/// @dev A total falls only by corrections, and never below what an earlier statement released:
/// `totalFloor` remembers that. It is written only when a total falls; while totals rise the latest
/// one is the floor itself.
abstract contract CampaignStatements is CampaignFunding, EIP712 {
    using SafeERC20 for IERC20;

    /// @dev Where forfeited bonds go: nobody gains by provoking or by losing an objection.
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    uint256 internal constant MAX_REASON_BYTES = 512;

    /// @inheritdoc ICampaignEscrow
    function settle(Statement calldata statement, Quorum calldata quorum) external override {
        // Check
        uint32 id = statement.campaign;
        StoredCampaign storage stored = _known(id);
        StoredStatement memory latest = _latest(stored);
        _requireNext(stored, latest, statement);
        uint256 needed = _reserve(stored, statement.linesTotal);
        if (needed > stored.deposit) revert EscrowInsufficient(needed, stored.deposit);
        EVENT_LOG.requireAttested(
            stored.attestorSet, statement.treeSize, statementDigest(statement), quorum
        );

        // Effect
        if (statement.linesTotal < latest.linesTotal) _letFall(stored, latest, statement);
        if (stored.objection == Objection.Open) {
            bool isUpheld = statement.corrections > latest.corrections;
            stored.objection = isUpheld ? Objection.Upheld : Objection.Rejected;
            emit ObjectionDecided(id, statement.sequence - 1, isUpheld);
        }
        uint40 activatesAt = uint40(block.timestamp) + stored.disputeWindow;
        stored.statements[statement.sequence & 1] = StoredStatement({
            linesRoot: statement.linesRoot,
            linesTotal: statement.linesTotal,
            // Fits: it is anchored, and EventLog takes no larger one.
            treeSize: uint48(statement.treeSize),
            activatesAt: activatesAt,
            corrections: SafeCast.toUint40(statement.corrections)
        });
        stored.sequence = statement.sequence;
        stored.isFinal = statement.isFinal;
        emit StatementSubmitted(id, statement.sequence, statement, activatesAt);
    }

    /// @inheritdoc ICampaignEscrow
    function objectTo(uint32 id, uint32 sequence, string calldata reason)
        external
        override
        nonReentrant
    {
        // Check
        StoredCampaign storage stored = _known(id);
        _requireAdvertiser(id, stored);
        if (sequence != stored.sequence) revert SequenceWrong(id, stored.sequence, sequence);
        StoredStatement storage latest = _latest(stored);
        uint40 activatesAt = latest.activatesAt;
        if (block.timestamp >= activatesAt || block.timestamp >= stored.closesAt) {
            revert ObjectionTooLate(id, activatesAt, stored.closesAt);
        }
        if (stored.objection != Objection.None) revert ObjectionBondHeld(id);
        if (bytes(reason).length > MAX_REASON_BYTES) {
            revert ReasonTooLong(bytes(reason).length, MAX_REASON_BYTES);
        }

        // Effect
        activatesAt += stored.disputeWindow;
        latest.activatesAt = activatesAt;
        stored.objection = Objection.Open;
        // What is objected to can't be the last word: the next statement decides.
        stored.isFinal = false;
        uint128 bond = stored.objectionBond;
        emit ObjectionRaised(id, sequence, bond, activatesAt, reason);

        // Interaction
        uint256 received = _receive(stored.token, bond);
        if (received != bond) revert BondNotReceived(bond, received);
    }

    /// @inheritdoc ICampaignEscrow
    function releaseObjectionBond(uint32 id) external override returns (address to) {
        // Check
        StoredCampaign storage stored = _known(id);
        Objection objection = stored.objection;
        if (objection == Objection.None) revert ObjectionUnknown(id);
        if (objection == Objection.Open && block.timestamp < stored.closesAt) {
            revert ObjectionUndecided(id, stored.closesAt);
        }
        to = objection == Objection.Rejected ? BURN : _payoutOf(stored.advertiser);

        // Effect
        uint128 bond = stored.objectionBond;
        address token = stored.token;
        stored.objection = Objection.None;
        liabilities[token] -= bond;
        emit ObjectionBondReleased(id, to, bond);

        // Interaction
        IERC20(token).safeTransfer(to, bond);
    }

    /// @inheritdoc ICampaignEscrow
    function statementDigest(Statement calldata statement) public view override returns (bytes32) {
        return _hashTypedDataV4(StatementHash.structHash(statement));
    }

    /// @dev `statement` follows the latest one: next sequence, nothing pending, nothing shrinks.
    function _requireNext(
        StoredCampaign storage stored,
        StoredStatement memory latest,
        Statement calldata statement
    ) internal view {
        uint32 id = statement.campaign;
        uint32 sequence = stored.sequence;
        if (stored.isFinal) revert StatementFinal(id);
        if (statement.sequence != sequence + 1) {
            revert SequenceWrong(id, sequence + 1, statement.sequence);
        }
        if (block.timestamp < latest.activatesAt) revert StatementPending(id, latest.activatesAt);
        if (statement.treeSize < latest.treeSize) {
            revert TreeShrinks(latest.treeSize, statement.treeSize);
        }
        if (statement.corrections < latest.corrections) {
            revert CorrectionsFall(latest.corrections, statement.corrections);
        }
        if (!statement.isFinal) return;
        uint64 earliest = uint64(stored.flightEnd) + stored.lateWindow + stored.correctionWindow;
        if (block.timestamp < earliest) revert FinalTooEarly(uint64(block.timestamp), earliest);
    }

    /// @dev A total that falls must be active, an objection's extension included, before the
    /// campaign closes: from that second on the whole of the active total is released, lines and
    /// cuts alike, and it must be this one.
    function _letFall(
        StoredCampaign storage stored,
        StoredStatement memory latest,
        Statement calldata statement
    ) internal {
        // Check
        uint256 floor = LineMath.releasedPart(latest.linesTotal, stored.holdbackBasisPoints);
        if (floor < stored.totalFloor) floor = stored.totalFloor;
        uint256 lowest = floor < stored.claimed ? stored.claimed : floor;
        if (statement.linesTotal < lowest) {
            revert LinesTotalFalls(uint128(lowest), statement.linesTotal);
        }
        uint256 latestMoment = uint256(stored.closesAt) - 2 * uint256(stored.disputeWindow);
        if (block.timestamp >= latestMoment) {
            revert FallTooLate(uint64(block.timestamp), uint64(latestMoment));
        }

        // Effect
        stored.totalFloor = uint128(floor);
    }
}
