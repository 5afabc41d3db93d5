// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {CampaignStatements} from "adtally/escrow/CampaignStatements.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {ClaimProof} from "adtally/libraries/ClaimProof.sol";
import {LineMath} from "adtally/libraries/LineMath.sol";
import {ClaimLine} from "adtally/types/DataTypes.sol";
import {StoredCampaign, StoredOrder, StoredStatement} from "adtally/types/EscrowStorage.sol";

/// @title Money out: claims, cuts, refunds
/// @dev Safe against reentrancy by their order: all effects, then one transfer.
abstract contract CampaignPayouts is CampaignStatements {
    using SafeERC20 for IERC20;

    /// @dev What the claims of one call share: none of it can change within the call while
    /// `latest` is the campaign's latest statement.
    /// @param node What the lines' proofs lead to: the root of the active statement's claim tree,
    /// or a node that was proven to be below it.
    /// @param limit What all lines may have been paid, in base units.
    /// @param holdback Basis points that are held back now.
    struct Claiming {
        uint32 campaign;
        uint32 latest;
        bytes32 node;
        uint256 limit;
        uint16 holdback;
    }

    /// @inheritdoc ICampaignEscrow
    function claim(uint32 id, ClaimLine calldata line) external override returns (uint128 amount) {
        bytes memory problem;
        (amount, problem) = _claim(_claiming(id), line);
        if (problem.length != 0) _revertWith(problem);
    }

    /// @inheritdoc ICampaignEscrow
    function claimMany(
        uint32 id,
        bytes32 node,
        bytes32[] calldata nodeProof,
        ClaimLine[] calldata lines
    ) external override returns (uint128 total) {
        Claiming memory claiming = _claiming(id);
        if (!ClaimProof.isProven(nodeProof, claiming.node, node)) revert NodeNotProven(id, node);
        claiming.node = node;
        for (uint256 i = 0; i < lines.length; ++i) {
            (uint128 amount, bytes memory problem) = _claim(claiming, lines[i]);
            total += amount;
            if (problem.length != 0) emit ClaimSkipped(id, lines[i].publisher, problem);
        }
    }

    /// @inheritdoc ICampaignEscrow
    function payCut(uint32 id, uint256 index) external override returns (uint128 amount) {
        // Check
        StoredCampaign storage stored = _known(id);
        if (index >= MAX_CUTS || stored.cutBasisPoints[index] == 0) revert CutUnknown(id, index);
        if (_activeSequence(stored) == 0) revert NoActiveStatement(id);
        amount = _cutDue(stored, index);
        if (amount == 0) return 0;
        uint32 payee = stored.cutMembers[index];
        address payout = _payoutOf(payee);

        // Effect
        uint128 paidTotal = stored.cutPaid[index] + amount;
        stored.cutPaid[index] = paidTotal;
        emit CutPaid(id, payee, payout, amount, paidTotal);

        // Interaction
        IERC20(stored.token).safeTransfer(payout, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function refund(uint32 id) external override returns (uint128 amount) {
        // Check
        StoredCampaign storage stored = _known(id);
        _requireAdvertiser(id, stored);
        uint64 opensAt = _closesAt(stored);
        if (block.timestamp < opensAt) revert RefundNotOpen(uint64(block.timestamp), opensAt);
        _bookPayouts(stored);
        amount = _unreserved(stored);
        if (amount == 0) return 0;
        address payout = _payoutOf(stored.advertiser);

        // Effect
        address token = stored.token;
        uint128 refundedTotal = stored.refunded + amount;
        stored.refunded = refundedTotal;
        stored.deposit -= amount;
        liabilities[token] -= amount;
        emit Refunded(id, payout, amount, refundedTotal);

        // Interaction
        IERC20(token).safeTransfer(payout, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function claimable(uint32 id, ClaimLine calldata line)
        external
        view
        override
        returns (uint128 amount)
    {
        if (_activeSequence(_campaigns[id]) == 0) return 0;
        (amount,,) = _due(_claiming(id), _orders[id][line.publisher], line);
    }

    /// @inheritdoc ICampaignEscrow
    function cutPayable(uint32 id, uint256 index) external view override returns (uint128) {
        return index < MAX_CUTS ? _cutDue(_campaigns[id], index) : 0;
    }

    /// @inheritdoc ICampaignEscrow
    function refundable(uint32 id) external view override returns (uint128) {
        StoredCampaign storage stored = _known(id);
        return block.timestamp < _closesAt(stored) ? 0 : _unreserved(stored);
    }

    /// @dev What a campaign's lines are paid by now.
    function _claiming(uint32 id) internal view returns (Claiming memory claiming) {
        StoredCampaign storage stored = _known(id);
        uint32 sequence = stored.sequence;
        StoredStatement storage active = stored.statements[sequence & 1];
        uint256 limit = active.linesTotal;
        claiming.campaign = id;
        claiming.latest = sequence;
        claiming.holdback = _holdback(stored);
        if (block.timestamp < active.activatesAt) {
            // The one before is active. Both must last: a pending statement may owe less.
            active = stored.statements[--sequence & 1];
            uint256 before = active.linesTotal;
            if (before < limit) limit = before;
        }
        if (sequence == 0) revert NoActiveStatement(id);
        claiming.node = active.linesRoot;
        claiming.limit = limit;
    }

    /// @dev A failing line changes nothing and says why. A transfer that fails is undone by
    /// subtraction, so that whatever the token called in between stays booked.
    function _claim(Claiming memory claiming, ClaimLine calldata line)
        internal
        returns (uint128 amount, bytes memory problem)
    {
        // Check
        StoredOrder storage accepted = _orders[claiming.campaign][line.publisher];
        uint88 paidTotal;
        (amount, paidTotal, problem) = _due(claiming, accepted, line);
        if (amount == 0) return (0, problem);
        // A view of our own Membership, which refuses no accepted publisher: no line's failure here
        // can fail the others of claimMany.
        // slither-disable-next-line calls-loop
        address payout = MEMBERSHIP.payoutOf(line.publisher);
        if (payout == address(this)) {
            return (0, abi.encodeWithSelector(PayoutIsEscrow.selector, line.publisher));
        }

        // Effect
        StoredCampaign storage stored = _campaigns[claiming.campaign];
        accepted.paid = paidTotal;
        stored.claimed += amount;

        // Interaction
        IERC20 token = IERC20(stored.token);
        if (!token.trySafeTransfer(payout, amount)) {
            accepted.paid -= uint88(amount);
            stored.claimed -= amount;
            _unbook(stored);
            return (0, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
        }
        emit Claimed(claiming.campaign, line.publisher, payout, amount, paidTotal);
    }

    /// @return amount What the line is owed over what it was paid; 0 if nothing, or with a problem.
    /// @return paidTotal What it will have been paid then.
    /// @return problem Why it can't be paid, as revert data; empty if there is none.
    function _due(Claiming memory claiming, StoredOrder storage order_, ClaimLine calldata line)
        internal
        view
        returns (uint128 amount, uint88 paidTotal, bytes memory problem)
    {
        StoredCampaign storage stored = _campaigns[claiming.campaign];
        // Any token of an earlier line may have called `settle`.
        if (stored.sequence != claiming.latest || !_isProven(claiming, line)) {
            return (0, 0, _lineProblem(LineNotProven.selector, claiming, line));
        }
        StoredOrder memory accepted = order_;
        if (!accepted.isAccepted) {
            return (0, 0, _lineProblem(OrderNotAccepted.selector, claiming, line));
        }
        uint256 released =
            LineMath.releasedPart(LineMath.lineAmount(line.counts, accepted), claiming.holdback);
        if (released <= accepted.paid) return (0, accepted.paid, problem);
        paidTotal = uint88(released);
        amount = paidTotal - accepted.paid;
        uint128 claimed = stored.claimed + amount;
        if (claimed > claiming.limit) {
            return
                (0, 0, abi.encodeWithSelector(LinesExceedTotal.selector, claimed, claiming.limit));
        }
    }

    function _lineProblem(bytes4 selector, Claiming memory claiming, ClaimLine calldata line)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(selector, claiming.campaign, line.publisher);
    }

    function _isProven(Claiming memory claiming, ClaimLine calldata line)
        internal
        view
        returns (bool)
    {
        bytes32 leaf =
            LineMath.leaf(_domainSeparatorV4(), claiming.campaign, line.publisher, line.counts);
        return ClaimProof.isProven(line.proof, claiming.node, leaf);
    }

    /// @dev The place of sequence 0 owes nothing.
    function _cutDue(StoredCampaign storage stored, uint256 index) internal view returns (uint128) {
        uint32 sequence = _activeSequence(stored);
        uint256 released =
            LineMath.releasedPart(stored.statements[sequence & 1].linesTotal, _holdback(stored));
        uint128 total = LineMath.cutOf(released, stored.cutBasisPoints[index]);
        uint128 paid = stored.cutPaid[index];
        return total > paid ? total - paid : 0;
    }

    function _unreserved(StoredCampaign storage stored) internal view returns (uint128) {
        uint128 linesTotal = _latest(stored).linesTotal;
        // Fits and does not underflow: `settle` has checked it, and it has not risen since.
        return stored.deposit - uint128(_reserve(stored, linesTotal));
    }

    function _revertWith(bytes memory problem) internal pure {
        // Solidity has no way to revert with data that is encoded already.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            revert(add(problem, 0x20), mload(problem))
        }
    }
}
