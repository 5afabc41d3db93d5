// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {GoalType} from "adtally/types/DataTypes.sol";

/// @notice A submitted statement; two are kept per campaign, at `sequence & 1`.
/// @param linesRoot Root of the claim tree.
/// @param linesTotal Sum of the lines, in base units.
/// @param treeSize Size of the log that it covers.
/// @param activatesAt Second (UTC) from which its lines can be claimed.
struct StoredStatement {
    bytes32 linesRoot;
    uint128 linesTotal;
    uint64 treeSize;
    uint64 activatesAt;
}

/// @notice An order; packed into three slots because every claim reads all of it.
/// @param perMilleImpressions As in Rates.
/// @param perMilleViewables As in Rates.
/// @param endsAt Second (UTC) at which it ends early; 0 if nobody has ended it.
/// @param perClick As in Rates.
/// @param perConversion As in Rates.
/// @param isOffered Whether there is an offer.
/// @param isAccepted Whether the publisher has accepted it; then rates and cap never change.
/// @param cap Most that the line can reach, in base units.
/// @param paid What the line was paid, in base units; never falls, never above `cap`.
struct StoredOrder {
    uint96 perMilleImpressions;
    uint96 perMilleViewables;
    uint64 endsAt;
    // slot
    uint96 perClick;
    uint96 perConversion;
    bool isOffered;
    bool isAccepted;
    // slot
    uint128 cap;
    uint128 paid;
}

/// @notice A campaign; what is read or written together shares a slot.
/// @param token ERC-20 of all its money; nonzero for every campaign that exists.
/// @param sequence Sequence of the latest statement, 0 if none.
/// @param isFinal Whether the latest statement is the final one.
/// @param claimed What all lines were paid, in base units.
/// @param funded What was deposited, in base units; never falls.
/// @param refunded What went back to the advertiser, in base units; never falls.
/// @param flightEnd First second after the flight as it is now.
/// @param settleThreshold As in Terms, like all below up to the cuts.
/// @param openedFlightEnd First second after the flight as in the terms.
/// @param cutMembers Payees of the cuts; unused places have no basis points.
/// @param cutBasisPoints Shares of the cuts; they never add up to more than 10,000.
/// @param cutPaid What each cut was paid, in base units; never falls.
/// @param statements The latest two statements.
struct StoredCampaign {
    address token;
    uint32 sequence;
    bool isFinal;
    // slot
    uint128 claimed;
    // slot
    uint128 funded;
    uint128 refunded;
    // slot
    uint64 flightEnd;
    uint32 lateWindow;
    uint32 disputeWindow;
    uint32 grace;
    uint32 notice;
    uint32 attestorSet;
    // slot
    uint128 settleThreshold;
    uint64 flightStart;
    uint64 openedFlightEnd;
    // slot
    uint32 advertiser;
    GoalType goalType;
    uint64 goalCount;
    // slots
    uint32[4] cutMembers;
    uint16[4] cutBasisPoints;
    uint128[4] cutPaid;
    StoredStatement[2] statements;
}
