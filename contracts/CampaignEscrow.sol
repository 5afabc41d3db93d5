// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {ITermsPolicy} from "adtally/interfaces/ITermsPolicy.sol";
import {LineMath} from "adtally/libraries/LineMath.sol";
import {StatementHash} from "adtally/libraries/StatementHash.sol";
import {TermsPolicy} from "adtally/TermsPolicy.sol";
import {ClaimLine, Counts, Cut, Quorum, Rates, Statement, Terms} from "adtally/types/DataTypes.sol";
import {StoredCampaign, StoredOrder, StoredStatement} from "adtally/types/EscrowStorage.sol";

/// @title Money of campaigns, from deposit to payout
/// @dev Solvency of a campaign rests on one inequality, kept by `settle` and `refund`:
/// funded - refunded >= latest linesTotal + its cuts. Claims stay within the active linesTotal,
/// which is at most the latest one, and cuts within their floored shares of it.
/// Payouts are safe against reentrancy by their order (all effects, then one transfer). A deposit
/// can't be, because what arrives is known only afterwards: it has a guard.
contract CampaignEscrow is ICampaignEscrow, AccessManaged, EIP712, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    uint8 internal constant ADVERTISER = 1;
    uint8 internal constant PUBLISHER = 2;

    /// @dev As many as StoredCampaign has places for.
    uint256 internal constant MAX_CUTS = 4;

    /// @inheritdoc ICampaignEscrow
    IMembership public immutable override MEMBERSHIP;

    /// @inheritdoc ICampaignEscrow
    IEventLog public immutable override EVENT_LOG;

    /// @inheritdoc ICampaignEscrow
    uint32 public immutable override FIRST_CAMPAIGN;

    /// @inheritdoc ICampaignEscrow
    ITermsPolicy public immutable override TERMS_POLICY;

    /// @inheritdoc ICampaignEscrow
    uint32 public override campaignCount;

    /// @inheritdoc ICampaignEscrow
    mapping(address token => uint256 baseUnits) public override liabilities;

    mapping(uint32 id => StoredCampaign) internal _campaigns;
    mapping(uint32 id => mapping(uint32 publisher => StoredOrder)) internal _orders;

    /// @param authority AccessManager that may pause new business and recover surplus.
    /// @param membership Where members and attestor sets are.
    /// @param eventLog Log whose anchors statements refer to.
    /// @param firstCampaign Id of the first campaign; escrows on one log use disjoint ranges.
    constructor(address authority, IMembership membership, IEventLog eventLog, uint32 firstCampaign)
        AccessManaged(authority)
        EIP712("adtally CampaignEscrow", "1")
    {
        if (firstCampaign == 0) revert CampaignIdZero();
        MEMBERSHIP = membership;
        EVENT_LOG = eventLog;
        FIRST_CAMPAIGN = firstCampaign;
        TERMS_POLICY = new TermsPolicy(membership);
    }

    // ---------------------------------------------------------------- campaign and orders

    /// @inheritdoc ICampaignEscrow
    function openCampaign(Terms calldata terms_)
        external
        override
        whenNotPaused
        returns (uint32 id)
    {
        // Check
        uint32 advertiser = _activeCaller(ADVERTISER);
        TERMS_POLICY.requireValid(terms_);

        // Effect
        id = FIRST_CAMPAIGN + campaignCount;
        ++campaignCount;
        _store(_campaigns[id], advertiser, terms_);
        emit CampaignOpened(id, advertiser, terms_);
    }

    /// @inheritdoc ICampaignEscrow
    function endCampaign(uint32 id) external override {
        // Check
        StoredCampaign storage stored = _known(id);
        _requireAdvertiser(id, stored);
        uint64 requested = uint64(block.timestamp) + stored.notice;
        if (requested >= stored.flightEnd) revert EndsAlready(stored.flightEnd, requested);

        // Effect
        stored.flightEnd = requested;
        emit CampaignEnded(id, requested);
    }

    /// @inheritdoc ICampaignEscrow
    function offerOrder(uint32 id, uint32 publisher, Rates calldata rates, uint128 cap)
        external
        override
        whenNotPaused
    {
        // Check
        StoredCampaign storage stored = _inFlight(id);
        _requireAdvertiser(id, stored);
        _activeCaller(ADVERTISER);
        if (!MEMBERSHIP.isActive(publisher, PUBLISHER)) revert NotPublisher(publisher);
        if (cap == 0) revert AmountZero();
        StoredOrder storage offered = _orders[id][publisher];
        if (offered.isAccepted) revert OrderAlreadyAccepted(id, publisher);

        // Effect
        offered.perMilleImpressions = rates.perMilleImpressions;
        offered.perMilleViewables = rates.perMilleViewables;
        offered.perClick = rates.perClick;
        offered.perConversion = rates.perConversion;
        offered.cap = cap;
        offered.isOffered = true;
        emit OrderOffered(id, publisher, rates, cap);
    }

    /// @inheritdoc ICampaignEscrow
    function acceptOrder(uint32 id, Rates calldata rates, uint128 cap)
        external
        override
        whenNotPaused
    {
        // Check
        _inFlight(id);
        uint32 publisher = _activeCaller(PUBLISHER);
        StoredOrder storage offered = _orders[id][publisher];
        if (!offered.isOffered) revert OrderNotOffered(id, publisher);
        if (offered.isAccepted) revert OrderAlreadyAccepted(id, publisher);
        bool isSame = rates.perMilleImpressions == offered.perMilleImpressions
            && rates.perMilleViewables == offered.perMilleViewables
            && rates.perClick == offered.perClick && rates.perConversion == offered.perConversion
            && cap == offered.cap;
        if (!isSame) revert OrderDiffers(id, publisher);

        // Effect
        offered.isAccepted = true;
        emit OrderAccepted(id, publisher, rates, cap);
    }

    /// @inheritdoc ICampaignEscrow
    function endOrder(uint32 id, uint32 publisher) external override {
        // Check
        StoredCampaign storage stored = _known(id);
        _requireAdvertiser(id, stored);
        StoredOrder storage accepted = _orders[id][publisher];
        if (!accepted.isAccepted) revert OrderNotAccepted(id, publisher);
        uint64 current = accepted.endsAt == 0 ? stored.flightEnd : accepted.endsAt;
        uint64 requested = uint64(block.timestamp) + stored.notice;
        if (requested >= current) revert EndsAlready(current, requested);

        // Effect
        accepted.endsAt = requested;
        emit OrderEnded(id, publisher, requested);
    }

    // ---------------------------------------------------------------- money in

    /// @inheritdoc ICampaignEscrow
    function fund(uint32 id, uint256 amount) external override whenNotPaused nonReentrant {
        _fund(id, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function fundWithPermit(
        uint32 id,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external override whenNotPaused nonReentrant {
        // Interaction: whether the permit was needed shows when the transfer is tried.
        address token = _known(id).token;
        // solhint-disable-next-line no-empty-blocks
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {}
            catch {} // solhint-disable-line no-empty-blocks
        _fund(id, amount);
    }

    // ---------------------------------------------------------------- statements

    /// @inheritdoc ICampaignEscrow
    function settle(Statement calldata statement, Quorum calldata quorum) external override {
        // Check
        uint32 id = statement.campaign;
        StoredCampaign storage stored = _known(id);
        _requireNext(stored, statement);
        _requireAnchored(statement.treeSize);
        uint256 needed = _reserve(stored, statement.linesTotal);
        uint256 available = stored.funded - stored.refunded;
        if (needed > available) revert EscrowInsufficient(needed, available);
        MEMBERSHIP.requireQuorum(stored.attestorSet, statementDigest(statement), quorum);

        // Effect
        uint64 activatesAt = uint64(block.timestamp) + stored.disputeWindow;
        StoredStatement storage place = stored.statements[statement.sequence & 1];
        place.linesRoot = statement.linesRoot;
        place.linesTotal = statement.linesTotal;
        place.treeSize = statement.treeSize;
        place.activatesAt = activatesAt;
        stored.sequence = statement.sequence;
        stored.isFinal = statement.isFinal;
        emit StatementSubmitted(id, statement.sequence, statement, activatesAt);
    }

    // ---------------------------------------------------------------- money out

    /// @inheritdoc ICampaignEscrow
    function claim(ClaimLine calldata line) external override returns (uint128 amount) {
        // Check
        StoredCampaign storage stored = _known(line.campaign);
        uint128 paidTotal;
        (amount, paidTotal) = _requireLine(stored, line);
        if (amount == 0) return 0;
        address payout = _payoutOf(line.publisher);

        // Effect
        address token = stored.token;
        _orders[line.campaign][line.publisher].paid = paidTotal;
        stored.claimed += amount;
        liabilities[token] -= amount;
        emit Claimed(line.campaign, line.publisher, payout, amount, paidTotal, line.counts);

        // Interaction
        IERC20(token).safeTransfer(payout, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function claimMany(ClaimLine[] calldata lines) external override returns (uint128 total) {
        for (uint256 i = 0; i < lines.length; ++i) {
            // Interaction: every line in its own call, so that a failing one undoes only itself.
            try this.claim(lines[i]) returns (uint128 amount) {
                total += amount;
            } catch (bytes memory reason) {
                emit ClaimSkipped(lines[i].campaign, lines[i].publisher, reason);
            }
        }
    }

    /// @inheritdoc ICampaignEscrow
    function payCut(uint32 id, uint256 index) external override returns (uint128 amount) {
        // Check
        StoredCampaign storage stored = _known(id);
        if (index >= MAX_CUTS || stored.cutBasisPoints[index] == 0) revert CutUnknown(id, index);
        _requireActive(id, stored);
        amount = _cutDue(stored, index);
        if (amount == 0) return 0;
        uint32 payee = stored.cutMembers[index];
        address payout = _payoutOf(payee);

        // Effect
        address token = stored.token;
        uint128 paidTotal = stored.cutPaid[index] + amount;
        stored.cutPaid[index] = paidTotal;
        liabilities[token] -= amount;
        emit CutPaid(id, payee, payout, amount, paidTotal);

        // Interaction
        IERC20(token).safeTransfer(payout, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function refund(uint32 id) external override returns (uint128 amount) {
        // Check
        StoredCampaign storage stored = _known(id);
        _requireAdvertiser(id, stored);
        uint64 opensAt = _refundOpensAt(stored);
        if (block.timestamp < opensAt) revert RefundNotOpen(uint64(block.timestamp), opensAt);
        amount = _unreserved(stored);
        if (amount == 0) return 0;
        address payout = _payoutOf(stored.advertiser);

        // Effect
        address token = stored.token;
        uint128 refundedTotal = stored.refunded + amount;
        stored.refunded = refundedTotal;
        liabilities[token] -= amount;
        emit Refunded(id, payout, amount, refundedTotal);

        // Interaction
        IERC20(token).safeTransfer(payout, amount);
    }

    // ---------------------------------------------------------------- authority

    /// @inheritdoc ICampaignEscrow
    function recoverSurplus(address token, address to)
        external
        override
        restricted
        nonReentrant
        returns (uint256 amount)
    {
        // Check
        uint256 balance = IERC20(token).balanceOf(address(this));
        uint256 owed = liabilities[token];
        if (balance <= owed) revert AmountZero();
        amount = balance - owed;

        // Effect
        emit SurplusRecovered(token, to, amount);

        // Interaction
        IERC20(token).safeTransfer(to, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function pause() external override restricted {
        _pause();
    }

    /// @inheritdoc ICampaignEscrow
    function unpause() external override restricted {
        _unpause();
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc ICampaignEscrow
    function terms(uint32 id) external view override returns (Terms memory) {
        StoredCampaign storage stored = _known(id);
        uint256 count = 0;
        while (count < MAX_CUTS && stored.cutBasisPoints[count] != 0) ++count;
        Cut[] memory cuts = new Cut[](count);
        for (uint256 i = 0; i < count; ++i) {
            cuts[i] = Cut(stored.cutMembers[i], stored.cutBasisPoints[i]);
        }
        return Terms({
            token: stored.token,
            flightStart: stored.flightStart,
            flightEnd: stored.openedFlightEnd,
            lateWindow: stored.lateWindow,
            disputeWindow: stored.disputeWindow,
            grace: stored.grace,
            notice: stored.notice,
            attestorSet: stored.attestorSet,
            goalType: stored.goalType,
            goalCount: stored.goalCount,
            settleThreshold: stored.settleThreshold,
            cuts: cuts
        });
    }

    /// @inheritdoc ICampaignEscrow
    function campaign(uint32 id) external view override returns (CampaignView memory result) {
        StoredCampaign storage stored = _known(id);
        uint32 sequence = stored.sequence;
        uint128 linesTotal = sequence == 0 ? 0 : stored.statements[sequence & 1].linesTotal;
        result.advertiser = stored.advertiser;
        result.flightEnd = stored.flightEnd;
        result.funded = stored.funded;
        result.refunded = stored.refunded;
        result.claimed = stored.claimed;
        for (uint256 i = 0; i < MAX_CUTS; ++i) {
            result.cutsPaid += stored.cutPaid[i];
        }
        result.reserved = SafeCast.toUint128(_reserve(stored, linesTotal));
        result.latest = _statement(stored, sequence);
        result.active = _statement(stored, _activeSequence(stored));
    }

    /// @inheritdoc ICampaignEscrow
    function order(uint32 id, uint32 publisher) external view override returns (Order memory) {
        StoredOrder storage stored = _orders[id][publisher];
        OrderState state = stored.isAccepted
            ? OrderState.Accepted
            : stored.isOffered ? OrderState.Offered : OrderState.None;
        return Order({
            rates: Rates({
                perMilleImpressions: stored.perMilleImpressions,
                perMilleViewables: stored.perMilleViewables,
                perClick: stored.perClick,
                perConversion: stored.perConversion
            }),
            cap: stored.cap,
            paid: stored.paid,
            endsAt: stored.endsAt,
            state: state
        });
    }

    /// @inheritdoc ICampaignEscrow
    function claimable(ClaimLine calldata line) external view override returns (uint128) {
        StoredCampaign storage stored = _campaigns[line.campaign];
        uint32 sequence = _activeSequence(stored);
        if (sequence == 0) return 0;
        StoredStatement storage active = stored.statements[sequence & 1];
        StoredOrder memory accepted = _orders[line.campaign][line.publisher];
        if (!accepted.isAccepted || !_isProven(active.linesRoot, line)) return 0;
        uint128 total = LineMath.lineAmount(line.counts, accepted);
        if (total <= accepted.paid) return 0;
        uint128 amount = total - accepted.paid;
        return uint256(stored.claimed) + amount > active.linesTotal ? 0 : amount;
    }

    /// @inheritdoc ICampaignEscrow
    function cutPayable(uint32 id, uint256 index) external view override returns (uint128) {
        return index < MAX_CUTS ? _cutDue(_campaigns[id], index) : 0;
    }

    /// @inheritdoc ICampaignEscrow
    function refundable(uint32 id) external view override returns (uint128) {
        StoredCampaign storage stored = _known(id);
        return block.timestamp < _refundOpensAt(stored) ? 0 : _unreserved(stored);
    }

    /// @inheritdoc ICampaignEscrow
    function lineLeaf(uint32 id, uint32 publisher, Counts calldata counts)
        external
        view
        override
        returns (bytes32)
    {
        return LineMath.leaf(_domainSeparatorV4(), id, publisher, counts);
    }

    /// @inheritdoc ICampaignEscrow
    function statementDigest(Statement calldata statement) public view override returns (bytes32) {
        return _hashTypedDataV4(StatementHash.structHash(statement));
    }

    /// @inheritdoc ICampaignEscrow
    function DOMAIN_SEPARATOR() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    // ---------------------------------------------------------------- internal: members

    function _activeCaller(uint8 role) internal view returns (uint32 id) {
        id = MEMBERSHIP.memberOf(msg.sender);
        if (!MEMBERSHIP.isActive(id, role)) revert NotActiveMember(msg.sender, role);
    }

    function _requireAdvertiser(uint32 id, StoredCampaign storage stored) internal view {
        if (MEMBERSHIP.memberOf(msg.sender) != stored.advertiser) {
            revert NotAdvertiser(id, msg.sender);
        }
    }

    /// @dev A payout to this contract would leave money here that nobody is owed.
    function _payoutOf(uint32 payee) internal view returns (address payout) {
        payout = MEMBERSHIP.payoutOf(payee);
        if (payout == address(this)) revert PayoutIsEscrow(payee);
    }

    // ---------------------------------------------------------------- internal: campaigns

    function _known(uint32 id) internal view returns (StoredCampaign storage stored) {
        stored = _campaigns[id];
        if (stored.token == address(0)) revert CampaignUnknown(id);
    }

    /// @dev New orders are pointless after the flight.
    function _inFlight(uint32 id) internal view returns (StoredCampaign storage stored) {
        stored = _known(id);
        if (stored.isFinal || block.timestamp >= stored.flightEnd) revert CampaignClosed(id);
    }

    function _store(StoredCampaign storage stored, uint32 advertiser, Terms calldata terms_)
        internal
    {
        stored.token = terms_.token;
        stored.flightEnd = terms_.flightEnd;
        stored.lateWindow = terms_.lateWindow;
        stored.disputeWindow = terms_.disputeWindow;
        stored.grace = terms_.grace;
        stored.notice = terms_.notice;
        stored.attestorSet = terms_.attestorSet;
        stored.settleThreshold = terms_.settleThreshold;
        stored.flightStart = terms_.flightStart;
        stored.openedFlightEnd = terms_.flightEnd;
        stored.advertiser = advertiser;
        stored.goalType = terms_.goalType;
        stored.goalCount = terms_.goalCount;
        for (uint256 i = 0; i < terms_.cuts.length; ++i) {
            stored.cutMembers[i] = terms_.cuts[i].member;
            stored.cutBasisPoints[i] = terms_.cuts[i].basisPoints;
        }
    }

    // ---------------------------------------------------------------- internal: statements

    /// @dev `statement` follows the latest one: next sequence, nothing pending, nothing falls.
    function _requireNext(StoredCampaign storage stored, Statement calldata statement)
        internal
        view
    {
        uint32 id = statement.campaign;
        uint32 sequence = stored.sequence;
        if (stored.isFinal) revert StatementFinal(id);
        if (statement.sequence != sequence + 1) {
            revert SequenceWrong(id, sequence + 1, statement.sequence);
        }
        // The place of sequence 0 is empty: never pending, covers nothing, owes nothing.
        StoredStatement storage latest = stored.statements[sequence & 1];
        if (block.timestamp < latest.activatesAt) revert StatementPending(id, latest.activatesAt);
        if (statement.treeSize < latest.treeSize) {
            revert TreeShrinks(latest.treeSize, statement.treeSize);
        }
        if (statement.linesTotal < latest.linesTotal) {
            revert LinesTotalFalls(latest.linesTotal, statement.linesTotal);
        }
        uint64 earliest = stored.flightEnd + stored.lateWindow;
        if (statement.isFinal && block.timestamp < earliest) {
            revert FinalTooEarly(uint64(block.timestamp), earliest);
        }
    }

    /// @dev Anchors only grow by proven extensions, so every size up to the head is as good as
    /// anchored. Size 0 covers nothing.
    function _requireAnchored(uint64 treeSize) internal view {
        uint64 headSize = EVENT_LOG.headSize();
        if (treeSize == 0 || treeSize > headSize) revert TreeNotAnchored(treeSize, headSize);
    }

    /// @dev Only the latest statement can be pending; the one before it is then the active one.
    function _activeSequence(StoredCampaign storage stored) internal view returns (uint32) {
        uint32 sequence = stored.sequence;
        if (sequence == 0) return 0;
        bool isPending = block.timestamp < stored.statements[sequence & 1].activatesAt;
        return isPending ? sequence - 1 : sequence;
    }

    function _requireActive(uint32 id, StoredCampaign storage stored)
        internal
        view
        returns (StoredStatement storage)
    {
        uint32 sequence = _activeSequence(stored);
        if (sequence == 0) revert NoActiveStatement(id);
        return stored.statements[sequence & 1];
    }

    /// @return amount What the line is owed over what it was paid; 0 if nothing.
    /// @return paidTotal What it will have been paid then.
    function _requireLine(StoredCampaign storage stored, ClaimLine calldata line)
        internal
        view
        returns (uint128 amount, uint128 paidTotal)
    {
        StoredStatement storage active = _requireActive(line.campaign, stored);
        if (!_isProven(active.linesRoot, line)) {
            revert LineNotProven(line.campaign, line.publisher);
        }
        StoredOrder memory accepted = _orders[line.campaign][line.publisher];
        if (!accepted.isAccepted) revert OrderNotAccepted(line.campaign, line.publisher);
        paidTotal = LineMath.lineAmount(line.counts, accepted);
        if (paidTotal <= accepted.paid) return (0, accepted.paid);
        amount = paidTotal - accepted.paid;
        uint256 claimed = uint256(stored.claimed) + amount;
        if (claimed > active.linesTotal) revert LinesExceedTotal(claimed, active.linesTotal);
    }

    function _isProven(bytes32 root, ClaimLine calldata line) internal view returns (bool) {
        bytes32 leaf =
            LineMath.leaf(_domainSeparatorV4(), line.campaign, line.publisher, line.counts);
        return MerkleProof.verifyCalldata(line.proof, root, leaf);
    }

    function _statement(StoredCampaign storage stored, uint32 sequence)
        internal
        view
        returns (StatementView memory)
    {
        StoredStatement storage place = stored.statements[sequence & 1];
        if (sequence == 0) return StatementView(0, 0, 0, 0, 0, false);
        return StatementView({
            sequence: sequence,
            treeSize: place.treeSize,
            activatesAt: place.activatesAt,
            linesTotal: place.linesTotal,
            linesRoot: place.linesRoot,
            isFinal: stored.isFinal && sequence == stored.sequence
        });
    }

    // ---------------------------------------------------------------- internal: money

    function _fund(uint32 id, uint256 amount) internal {
        // Check
        StoredCampaign storage stored = _known(id);
        if (stored.isFinal) revert CampaignClosed(id);
        address token = stored.token;

        // Interaction
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;

        // Effect: after the interaction, because only now it is known what arrived.
        if (received == 0) revert AmountZero();
        uint128 fundedTotal = stored.funded + SafeCast.toUint128(received);
        stored.funded = fundedTotal;
        liabilities[token] += received;
        emit Funded(id, msg.sender, uint128(received), fundedTotal);
    }

    /// @return What a statement with `linesTotal` sets aside for lines and cuts.
    function _reserve(StoredCampaign storage stored, uint128 linesTotal)
        internal
        view
        returns (uint256)
    {
        uint256 sum = linesTotal;
        for (uint256 i = 0; i < MAX_CUTS; ++i) {
            sum += LineMath.cutOf(linesTotal, stored.cutBasisPoints[i]);
        }
        return sum;
    }

    function _unreserved(StoredCampaign storage stored) internal view returns (uint128) {
        uint128 linesTotal = stored.statements[stored.sequence & 1].linesTotal;
        // Fits and does not underflow: `settle` has checked it, and it has not risen since.
        return stored.funded - stored.refunded - uint128(_reserve(stored, linesTotal));
    }

    function _cutDue(StoredCampaign storage stored, uint256 index) internal view returns (uint128) {
        uint32 sequence = _activeSequence(stored);
        if (sequence == 0) return 0;
        uint128 linesTotal = stored.statements[sequence & 1].linesTotal;
        uint128 total = LineMath.cutOf(linesTotal, stored.cutBasisPoints[index]);
        return total - stored.cutPaid[index];
    }

    /// @dev Both moments are the flight's end plus bounded durations: far below 64 bits.
    function _refundOpensAt(StoredCampaign storage stored) internal view returns (uint64 opensAt) {
        opensAt = stored.flightEnd + stored.lateWindow + stored.grace;
        if (stored.isFinal) {
            uint64 activatesAt = stored.statements[stored.sequence & 1].activatesAt;
            if (activatesAt < opensAt) opensAt = activatesAt;
        }
    }
}
