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

    /// @inheritdoc ICampaignEscrow
    function claim(ClaimLine calldata line) external override returns (uint128 amount) {
        bytes memory problem;
        (amount, problem) = _claim(line);
        if (problem.length != 0) _revertWith(problem);
    }

    /// @inheritdoc ICampaignEscrow
    function claimMany(ClaimLine[] calldata lines) external override returns (uint128 total) {
        for (uint256 i = 0; i < lines.length; ++i) {
            (uint128 amount, bytes memory problem) = _claim(lines[i]);
            total += amount;
            if (problem.length != 0) {
                emit ClaimSkipped(lines[i].campaign, lines[i].publisher, problem);
            }
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
    function claimable(ClaimLine calldata line) external view override returns (uint128) {
        StoredOrder storage accepted = _orders[line.campaign][line.publisher];
        (uint128 amount,,) = _due(_campaigns[line.campaign], accepted, line);
        return amount;
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

    /// @dev A failing line changes nothing and says why. A transfer that fails is undone by
    /// subtraction, so that whatever the token called in between stays booked.
    function _claim(ClaimLine calldata line)
        internal
        returns (uint128 amount, bytes memory problem)
    {
        // Check
        StoredCampaign storage stored = _campaigns[line.campaign];
        StoredOrder storage accepted = _orders[line.campaign][line.publisher];
        uint88 paidTotal;
        (amount, paidTotal, problem) = _due(stored, accepted, line);
        if (amount == 0) return (0, problem);
        // A view of our own Membership, which refuses no accepted publisher: no line's failure here
        // can fail the others of claimMany.
        // slither-disable-next-line calls-loop
        address payout = MEMBERSHIP.payoutOf(line.publisher);
        if (payout == address(this)) {
            return (0, abi.encodeWithSelector(PayoutIsEscrow.selector, line.publisher));
        }

        // Effect
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
        emit Claimed(line.campaign, line.publisher, payout, amount, paidTotal);
    }

    /// @return amount What the line is owed over what it was paid; 0 if nothing, or with a problem.
    /// @return paidTotal What it will have been paid then.
    /// @return problem Why it can't be paid, as revert data; empty if there is none.
    function _due(
        StoredCampaign storage stored,
        StoredOrder storage order_,
        ClaimLine calldata line
    ) internal view returns (uint128 amount, uint88 paidTotal, bytes memory problem) {
        uint32 sequence = stored.sequence;
        StoredStatement memory active = stored.statements[sequence & 1];
        uint256 limit = active.linesTotal;
        if (block.timestamp < active.activatesAt) {
            // The one before is active. Both must last: a pending statement may owe less.
            active = stored.statements[--sequence & 1];
            if (active.linesTotal < limit) limit = active.linesTotal;
        }
        if (sequence == 0) {
            bool isKnown = stored.token != address(0);
            bytes4 selector = isKnown ? NoActiveStatement.selector : CampaignUnknown.selector;
            return (0, 0, abi.encodeWithSelector(selector, line.campaign));
        }
        if (!_isProven(active.linesRoot, line)) {
            return (0, 0, _lineProblem(LineNotProven.selector, line));
        }
        StoredOrder memory accepted = order_;
        if (!accepted.isAccepted) return (0, 0, _lineProblem(OrderNotAccepted.selector, line));
        uint256 released =
            LineMath.releasedPart(LineMath.lineAmount(line.counts, accepted), _holdback(stored));
        if (released <= accepted.paid) return (0, accepted.paid, problem);
        paidTotal = uint88(released);
        amount = paidTotal - accepted.paid;
        uint256 claimed = uint256(stored.claimed) + amount;
        if (claimed > limit) {
            return (0, 0, abi.encodeWithSelector(LinesExceedTotal.selector, claimed, limit));
        }
    }

    function _lineProblem(bytes4 selector, ClaimLine calldata line)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(selector, line.campaign, line.publisher);
    }

    function _isProven(bytes32 root, ClaimLine calldata line) internal view returns (bool) {
        bytes32 leaf =
            LineMath.leaf(_domainSeparatorV4(), line.campaign, line.publisher, line.counts);
        return ClaimProof.isProven(line.proof, root, leaf);
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
