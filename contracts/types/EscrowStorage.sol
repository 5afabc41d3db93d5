// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {GoalType} from "adtally/types/DataTypes.sol";

/// @notice What became of the objection that a campaign's bond is held for.
/// @dev None: no bond is held. Open: against the latest statement, undecided. Upheld and Rejected:
/// decided by the statement after it, the bond waits to be released.
enum Objection {
    None,
    Open,
    Upheld,
    Rejected
}

/// @notice A submitted statement; two are kept per campaign, at `sequence & 1`.
/// @param linesRoot Root of the claim tree.
/// @param linesTotal Sum of the lines, in base units.
/// @param treeSize Size of the log that it covers.
/// @param activatesAt Second (UTC) from which its lines can be claimed.
/// @param corrections Number of corrections in it.
struct StoredStatement {
    bytes32 linesRoot;
    // slot
    uint128 linesTotal;
    uint48 treeSize;
    uint40 activatesAt;
    uint40 corrections;
}

/// @notice An offer or order: all that a claim reads and writes of it.
/// @param perMilleImpressions As in Rates, like the next two and `perConversion`.
/// @param isAccepted Whether the publisher has accepted; then rates and cap never change.
/// @param cap Most that the line can reach, in base units; 0 if nothing was offered.
/// @param paid What the line was paid, in base units; never falls, never above `cap`.
struct StoredOrder {
    uint80 perMilleImpressions;
    uint80 perMilleViewables;
    uint80 perClick;
    bool isAccepted;
    // slot
    uint80 perConversion;
    uint88 cap;
    uint88 paid;
}

/// @notice A campaign; what is read or written together shares a slot.
/// @param token ERC-20 of all its money; nonzero for every campaign that exists.
/// @param sequence Sequence of the latest statement, 0 if none.
/// @param closesAt Second (UTC) at which it closes without a final statement: the rest is
/// refundable, nothing is held back any more, and no statement's total may fall.
/// @param holdbackBasisPoints As in Terms.
/// @param isFinal Whether the latest statement is the final one.
/// @param claimed What all lines were paid, in base units; never falls.
/// @param deposit What was funded less what was refunded, in base units.
/// @param refunded What went back to the advertiser, in base units; never falls.
/// @param booked How much of the payouts `liabilities` knows already, in base units.
/// @param flightEnd First second after the flight as it is now.
/// @param objection What the held bond is for.
/// @param totalFloor What no statement's total may fall below after one has fallen; see
/// CampaignStatements.
/// @param objectionBond As in Terms, like all below up to the cuts.
/// @param openedFlightEnd First second after the flight as in the terms.
/// @param cutMembers Payees of the cuts; unused places have no basis points.
/// @param cutBasisPoints Shares of the cuts; they never add up to more than 10,000.
/// @param cutPaid What each cut was paid, in base units; never falls.
/// @param statements The latest two statements.
struct StoredCampaign {
    address token;
    uint32 sequence;
    uint40 closesAt;
    uint16 holdbackBasisPoints;
    bool isFinal;
    // slot
    uint128 claimed;
    uint128 deposit;
    // slot
    uint128 refunded;
    uint128 booked;
    // slot
    uint40 flightEnd;
    uint32 lateWindow;
    uint32 correctionWindow;
    uint32 disputeWindow;
    uint32 notice;
    uint32 attestorSet;
    Objection objection;
    // slot
    uint128 totalFloor;
    uint128 objectionBond;
    // slot
    uint128 settleThreshold;
    uint40 flightStart;
    uint40 openedFlightEnd;
    uint32 grace;
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
