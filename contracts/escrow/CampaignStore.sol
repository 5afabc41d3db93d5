// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {ITermsPolicy} from "adtally/interfaces/ITermsPolicy.sol";
import {LineMath} from "adtally/libraries/LineMath.sol";
import {StoredCampaign, StoredOrder, StoredStatement} from "adtally/types/EscrowStorage.sol";

/// @title What the escrow keeps, and the questions that all of its parts ask
/// @dev Solvency of a campaign rests on one inequality, kept by `settle` and `refund`:
/// deposit >= latest linesTotal + its cuts. Claims stay within both the active and the
/// latest linesTotal, cuts within their floored shares of what is released of them.
abstract contract CampaignStore is ICampaignEscrow {
    uint8 internal constant ADVERTISER = 1;
    uint8 internal constant PUBLISHER = 2;

    /// @dev As many as StoredCampaign has places for.
    uint256 internal constant MAX_CUTS = 4;

    /// @inheritdoc ICampaignEscrow
    IMembership public immutable override MEMBERSHIP;

    /// @inheritdoc ICampaignEscrow
    IEventLog public immutable override EVENT_LOG;

    /// @inheritdoc ICampaignEscrow
    ITermsPolicy public immutable override TERMS_POLICY;

    /// @inheritdoc ICampaignEscrow
    uint32 public immutable override FIRST_CAMPAIGN;

    /// @inheritdoc ICampaignEscrow
    uint32 public override campaignCount;

    /// @inheritdoc ICampaignEscrow
    mapping(address token => uint256 baseUnits) public override liabilities;

    mapping(uint32 id => StoredCampaign) internal _campaigns;
    mapping(uint32 id => mapping(uint32 publisher => StoredOrder)) internal _orders;

    /// @dev Second (UTC) at which the advertiser ended an order; 0 if it did not.
    mapping(uint32 id => mapping(uint32 publisher => uint64)) internal _orderEnds;

    constructor(IEventLog eventLog, ITermsPolicy termsPolicy, uint32 firstCampaign) {
        if (firstCampaign == 0) revert CampaignIdZero();
        MEMBERSHIP = eventLog.MEMBERSHIP();
        EVENT_LOG = eventLog;
        TERMS_POLICY = termsPolicy;
        FIRST_CAMPAIGN = firstCampaign;
    }

    // ---------------------------------------------------------------- members

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

    // ---------------------------------------------------------------- campaigns

    function _known(uint32 id) internal view returns (StoredCampaign storage stored) {
        stored = _campaigns[id];
        if (stored.token == address(0)) revert CampaignUnknown(id);
    }

    /// @dev The place of sequence 0 is empty: never pending, covers nothing, owes nothing.
    function _latest(StoredCampaign storage stored)
        internal
        view
        returns (StoredStatement storage)
    {
        return stored.statements[stored.sequence & 1];
    }

    /// @dev Only the latest statement can be pending; the one before it is then the active one.
    function _activeSequence(StoredCampaign storage stored) internal view returns (uint32) {
        uint32 sequence = stored.sequence;
        bool isPending = block.timestamp < stored.statements[sequence & 1].activatesAt;
        return isPending ? sequence - 1 : sequence;
    }

    /// @dev From then on nothing is held back and the rest is the advertiser's: the final
    /// statement is active, or the grace is over.
    function _closesAt(StoredCampaign storage stored) internal view returns (uint64 closesAt) {
        closesAt = stored.closesAt;
        if (stored.isFinal) {
            uint64 activatesAt = _latest(stored).activatesAt;
            if (activatesAt < closesAt) closesAt = activatesAt;
        }
    }

    /// @return Basis points that are held back now.
    function _holdback(StoredCampaign storage stored) internal view returns (uint16) {
        uint16 agreed = stored.holdbackBasisPoints;
        return agreed == 0 || block.timestamp >= _closesAt(stored) ? 0 : agreed;
    }

    // ---------------------------------------------------------------- money

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

    function _cutsPaid(StoredCampaign storage stored) internal view returns (uint128 sum) {
        for (uint256 i = 0; i < MAX_CUTS; ++i) {
            sum += stored.cutPaid[i];
        }
    }
}
