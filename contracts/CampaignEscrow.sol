// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {CampaignOrders} from "adtally/escrow/CampaignOrders.sol";
import {CampaignPayouts} from "adtally/escrow/CampaignPayouts.sol";
import {CampaignStore} from "adtally/escrow/CampaignStore.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {LineMath} from "adtally/libraries/LineMath.sol";
import {TermsPolicy} from "adtally/TermsPolicy.sol";
import {Counts, Cut, Rates, Terms} from "adtally/types/DataTypes.sol";
import {StoredCampaign, StoredOrder, StoredStatement} from "adtally/types/EscrowStorage.sol";

/// @title Money of campaigns, from deposit to payout
/// @dev The parts, in the order in which money passes them: CampaignStore (what is kept),
/// CampaignOrders (what is agreed), CampaignFunding (money in), CampaignStatements (what is owed),
/// CampaignPayouts (money out). Here: the pause and the views.
contract CampaignEscrow is CampaignOrders, CampaignPayouts {
    /// @param accessManager Contract whose officers may pause new business and recover surplus.
    /// @param eventLog Log whose anchors and attestor sets statements refer to, and whose
    /// Membership members are in.
    /// @param firstCampaign Id of the first campaign; escrows on one log use disjoint ranges.
    constructor(address accessManager, IEventLog eventLog, uint32 firstCampaign)
        CampaignStore(eventLog, new TermsPolicy(eventLog), firstCampaign)
        AccessManaged(accessManager)
        EIP712("adtally CampaignEscrow", "1")
    {}

    /// @inheritdoc ICampaignEscrow
    function pause() external override restricted {
        _pause();
    }

    /// @inheritdoc ICampaignEscrow
    function unpause() external override restricted {
        _unpause();
    }

    /// @inheritdoc ICampaignEscrow
    function terms(uint32 id) external view override returns (Terms memory result) {
        StoredCampaign storage stored = _known(id);
        result.token = stored.token;
        result.flightStart = stored.flightStart;
        result.flightEnd = stored.openedFlightEnd;
        result.lateWindow = stored.lateWindow;
        result.correctionWindow = stored.correctionWindow;
        result.disputeWindow = stored.disputeWindow;
        result.grace = stored.grace;
        result.notice = stored.notice;
        result.attestorSet = stored.attestorSet;
        result.holdbackBasisPoints = stored.holdbackBasisPoints;
        result.objectionBond = stored.objectionBond;
        result.goalType = stored.goalType;
        result.goalCount = stored.goalCount;
        result.settleThreshold = stored.settleThreshold;
        result.cuts = _cuts(stored);
    }

    /// @inheritdoc ICampaignEscrow
    function campaign(uint32 id) external view override returns (CampaignView memory result) {
        StoredCampaign storage stored = _known(id);
        uint32 sequence = stored.sequence;
        result.advertiser = stored.advertiser;
        result.flightEnd = stored.flightEnd;
        result.closesAt = _closesAt(stored);
        result.funded = stored.deposit + stored.refunded;
        result.refunded = stored.refunded;
        result.claimed = stored.claimed;
        result.cutsPaid = _cutsPaid(stored);
        result.unbooked = result.claimed + result.cutsPaid - stored.booked;
        result.reserved = SafeCast.toUint128(_reserve(stored, _latest(stored).linesTotal));
        result.objection = stored.objection;
        result.latest = _statement(stored, sequence);
        result.active = _statement(stored, _activeSequence(stored));
    }

    /// @inheritdoc ICampaignEscrow
    function order(uint32 id, uint32 publisher) external view override returns (Order memory) {
        StoredOrder memory stored = _orders[id][publisher];
        OrderState state = stored.isAccepted
            ? OrderState.Accepted
            : stored.cap != 0 ? OrderState.Offered : OrderState.None;
        return Order({
            rates: Rates({
                perMilleImpressions: stored.perMilleImpressions,
                perMilleViewables: stored.perMilleViewables,
                perClick: stored.perClick,
                perConversion: stored.perConversion
            }),
            cap: stored.cap,
            paid: stored.paid,
            endsAt: _orderEnds[id][publisher],
            state: state
        });
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
    function DOMAIN_SEPARATOR() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _cuts(StoredCampaign storage stored) internal view returns (Cut[] memory cuts) {
        uint256 count = 0;
        while (count < MAX_CUTS && stored.cutBasisPoints[count] != 0) ++count;
        cuts = new Cut[](count);
        for (uint256 i = 0; i < count; ++i) {
            cuts[i] = Cut(stored.cutMembers[i], stored.cutBasisPoints[i]);
        }
    }

    function _statement(StoredCampaign storage stored, uint32 sequence)
        internal
        view
        returns (StatementView memory result)
    {
        StoredStatement memory place = stored.statements[sequence & 1];
        return StatementView({
            sequence: sequence,
            treeSize: place.treeSize,
            activatesAt: place.activatesAt,
            linesTotal: place.linesTotal,
            corrections: place.corrections,
            linesRoot: place.linesRoot,
            isFinal: stored.isFinal && sequence == stored.sequence
        });
    }
}
