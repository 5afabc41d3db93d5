// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {CampaignStore} from "adtally/escrow/CampaignStore.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {Rates, Terms} from "adtally/types/DataTypes.sol";
import {StoredCampaign, StoredOrder} from "adtally/types/EscrowStorage.sol";

/// @title What advertiser and publishers agree on: campaigns and orders
abstract contract CampaignOrders is CampaignStore, Pausable {
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
        uint40 current = stored.flightEnd;
        uint40 requested = uint40(block.timestamp) + stored.notice;
        if (requested >= current) revert EndsAlready(current, requested);

        // Effect
        stored.flightEnd = requested;
        stored.closesAt -= current - requested;
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
        if (cap > type(uint88).max) revert CapTooLarge(cap, type(uint88).max);
        StoredOrder storage offered = _orders[id][publisher];
        if (offered.isAccepted) revert OrderAlreadyAccepted(id, publisher);

        // Effect
        offered.perMilleImpressions = rates.perMilleImpressions;
        offered.perMilleViewables = rates.perMilleViewables;
        offered.perClick = rates.perClick;
        offered.perConversion = rates.perConversion;
        offered.cap = uint88(cap);
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
        if (offered.cap == 0) revert OrderNotOffered(id, publisher);
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
        if (!_orders[id][publisher].isAccepted) revert OrderNotAccepted(id, publisher);
        uint64 current = _orderEnds[id][publisher];
        if (current == 0) current = stored.flightEnd;
        uint64 requested = uint64(block.timestamp) + stored.notice;
        if (requested >= current) revert EndsAlready(current, requested);

        // Effect
        _orderEnds[id][publisher] = requested;
        emit OrderEnded(id, publisher, requested);
    }

    /// @dev New orders are pointless after the flight.
    function _inFlight(uint32 id) internal view returns (StoredCampaign storage stored) {
        stored = _known(id);
        if (stored.isFinal || block.timestamp >= stored.flightEnd) revert CampaignClosed(id);
    }

    /// @dev TermsPolicy has bounded all times: none comes near 40 bits.
    function _store(StoredCampaign storage stored, uint32 advertiser, Terms calldata terms_)
        internal
    {
        uint40 flightEnd = uint40(terms_.flightEnd);
        stored.token = terms_.token;
        stored.closesAt = flightEnd + terms_.lateWindow + terms_.correctionWindow + terms_.grace;
        stored.holdbackBasisPoints = terms_.holdbackBasisPoints;
        stored.flightEnd = flightEnd;
        stored.lateWindow = terms_.lateWindow;
        stored.correctionWindow = terms_.correctionWindow;
        stored.disputeWindow = terms_.disputeWindow;
        stored.notice = terms_.notice;
        stored.attestorSet = terms_.attestorSet;
        stored.objectionBond = terms_.objectionBond;
        stored.settleThreshold = terms_.settleThreshold;
        stored.flightStart = uint40(terms_.flightStart);
        stored.openedFlightEnd = flightEnd;
        stored.grace = terms_.grace;
        stored.advertiser = advertiser;
        stored.goalType = terms_.goalType;
        stored.goalCount = terms_.goalCount;
        for (uint256 i = 0; i < terms_.cuts.length; ++i) {
            stored.cutMembers[i] = terms_.cuts[i].member;
            stored.cutBasisPoints[i] = terms_.cuts[i].basisPoints;
        }
    }
}
