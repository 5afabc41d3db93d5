// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {ITermsPolicy} from "adtally/interfaces/ITermsPolicy.sol";
import {Cut, GoalType, Terms} from "adtally/types/DataTypes.sol";

/// @title What a campaign's terms must satisfy
contract TermsPolicy is ITermsPolicy {
    uint8 internal constant INTERMEDIARY = 4;
    uint256 internal constant BASIS_POINTS = 10_000;

    /// @inheritdoc ITermsPolicy
    uint64 public constant override MAX_FLIGHT_AHEAD = 3650 days;

    /// @inheritdoc ITermsPolicy
    uint32 public constant override MAX_DURATION = 365 days;

    /// @inheritdoc ITermsPolicy
    uint256 public constant override MAX_CUTS = 4;

    /// @inheritdoc ITermsPolicy
    uint32 public constant override MIN_GRACE = 1 days;

    /// @inheritdoc ITermsPolicy
    uint16 public constant override MAX_HOLDBACK = 5000;

    IEventLog internal immutable EVENT_LOG;

    /// @param eventLog Where attestor sets are, and which Membership members are in.
    constructor(IEventLog eventLog) {
        EVENT_LOG = eventLog;
    }

    /// @inheritdoc ITermsPolicy
    function requireValid(Terms calldata terms) external view override {
        if (terms.token.code.length == 0) {
            revert ICampaignEscrow.TermsInvalid("token is no contract");
        }
        _requireValidTimes(terms);
        if ((terms.goalType == GoalType.None) != (terms.goalCount == 0)) {
            revert ICampaignEscrow.TermsInvalid("goal without count or count without goal");
        }
        if (terms.holdbackBasisPoints > MAX_HOLDBACK) {
            revert ICampaignEscrow.TermsInvalid("holdback too high");
        }
        if ((terms.disputeWindow == 0) != (terms.objectionBond == 0)) {
            revert ICampaignEscrow.TermsInvalid("dispute window and objection bond go together");
        }
        // Whether the set exists is all that matters.
        // slither-disable-next-line unused-return
        (uint32 version,) = EVENT_LOG.attestorSet(terms.attestorSet);
        if (version == 0) revert ICampaignEscrow.TermsInvalid("attestor set unknown");
        _requireValidCuts(terms.cuts);
    }

    function _requireValidTimes(Terms calldata terms) internal view {
        if (terms.flightStart >= terms.flightEnd) {
            revert ICampaignEscrow.TermsInvalid("flight is empty");
        }
        if (terms.flightEnd <= block.timestamp) {
            revert ICampaignEscrow.TermsInvalid("flight is over");
        }
        if (terms.flightEnd > block.timestamp + MAX_FLIGHT_AHEAD) {
            revert ICampaignEscrow.TermsInvalid("flight ends too late");
        }
        _requireValidDurations(terms);
    }

    function _requireValidDurations(Terms calldata terms) internal pure {
        if (terms.lateWindow > MAX_DURATION) {
            revert ICampaignEscrow.TermsInvalid("late window too long");
        }
        if (terms.correctionWindow > MAX_DURATION) {
            revert ICampaignEscrow.TermsInvalid("correction window too long");
        }
        if (terms.disputeWindow > MAX_DURATION) {
            revert ICampaignEscrow.TermsInvalid("dispute window too long");
        }
        if (terms.grace > MAX_DURATION) revert ICampaignEscrow.TermsInvalid("grace too long");
        if (terms.grace < MIN_GRACE + 3 * uint256(terms.disputeWindow)) {
            revert ICampaignEscrow.TermsInvalid("grace too short");
        }
        if (terms.notice > MAX_DURATION) revert ICampaignEscrow.TermsInvalid("notice too long");
    }

    function _requireValidCuts(Cut[] calldata cuts) internal view {
        if (cuts.length > MAX_CUTS) revert ICampaignEscrow.TermsInvalid("too many cuts");
        uint256 sum = 0;
        for (uint256 i = 0; i < cuts.length; ++i) {
            if (cuts[i].basisPoints == 0) revert ICampaignEscrow.TermsInvalid("cut of nothing");
            // At most MAX_CUTS views of our own contracts; a failing one refuses the terms.
            // slither-disable-next-line calls-loop
            if (!EVENT_LOG.MEMBERSHIP().isActive(cuts[i].member, INTERMEDIARY)) {
                revert ICampaignEscrow.TermsInvalid("cut for no active intermediary");
            }
            sum += cuts[i].basisPoints;
        }
        if (sum > BASIS_POINTS) {
            revert ICampaignEscrow.TermsInvalid("cuts over 10,000 basis points");
        }
    }
}
