// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice Size and RFC 9162 root hash of the log at one moment.
/// @param treeSize Number of entries.
/// @param rootHash Merkle tree hash over the first `treeSize` entries.
struct Checkpoint {
    uint64 treeSize;
    bytes32 rootHash;
}

/// @notice Signatures of an attestor set over one digest.
/// @param threshold Signatures needed, as registered for the set.
/// @param attestors The whole set, sorted ascending, as registered; checked against its stored
/// hash.
/// @param signatures At least `threshold` signatures of 65 bytes (r || s || v) back to back, sorted
/// ascending by signer.
struct Quorum {
    uint8 threshold;
    address[] attestors;
    bytes signatures;
}

/// @notice Billable events, cumulative.
struct Counts {
    uint64 impressions;
    uint64 viewables;
    uint64 clicks;
    uint64 conversions;
}

/// @notice Prices in token base units.
/// @param perMilleImpressions For 1,000 impressions.
/// @param perMilleViewables For 1,000 viewable impressions.
/// @param perClick For one click.
/// @param perConversion For one conversion.
struct Rates {
    uint96 perMilleImpressions;
    uint96 perMilleViewables;
    uint96 perClick;
    uint96 perConversion;
}

/// @notice An intermediary's share, charged on top of the lines and visible to all.
/// @param member Payee; its payout address in Membership receives the money.
/// @param basisPoints Share of the lines' total in 1/10,000.
struct Cut {
    uint32 member;
    uint16 basisPoints;
}

/// @notice What triggers a settlement besides the amount.
enum GoalType {
    None,
    Impressions,
    Viewables,
    Clicks,
    Conversions
}

/// @notice A campaign's terms; they never change.
/// @param token ERC-20 that everything in the campaign is paid in.
/// @param flightStart First second of the flight (UTC).
/// @param flightEnd First second after the flight (UTC).
/// @param lateWindow Seconds after the flight in which events of the flight may still arrive.
/// @param disputeWindow Seconds between submission and activation of a statement; 0 is allowed.
/// @param grace Seconds after flight end and late window in which the advertiser can't yet take
/// the rest without a final statement, so that anyone can still submit anchors and statements.
/// @param notice Seconds between ending the campaign or an order early and its effect.
/// @param attestorSet Set in Membership whose quorum signs this campaign's statements.
/// @param goalType Count that triggers a settlement, or None.
/// @param goalCount Unsettled events of `goalType` that trigger a settlement.
/// @param settleThreshold Unsettled base units that trigger a settlement; 0 for none.
/// @param cuts Intermediaries' shares.
struct Terms {
    address token;
    uint64 flightStart;
    uint64 flightEnd;
    uint32 lateWindow;
    uint32 disputeWindow;
    uint32 grace;
    uint32 notice;
    uint32 attestorSet;
    GoalType goalType;
    uint64 goalCount;
    uint128 settleThreshold;
    Cut[] cuts;
}

/// @notice What a campaign owes over the log's first `treeSize` entries, cumulative.
/// @param campaign Campaign id.
/// @param sequence 1 for the first statement of the campaign, then one more each.
/// @param treeSize Size of the log that it covers; must be anchored.
/// @param linesTotal Sum of the lines' floored amounts, in base units.
/// @param counts Sum of the lines' counts.
/// @param linesRoot Root of the claim tree (OpenZeppelin standard tree over the lines).
/// @param isFinal No further statement follows.
struct Statement {
    uint32 campaign;
    uint32 sequence;
    uint64 treeSize;
    uint128 linesTotal;
    Counts counts;
    bytes32 linesRoot;
    bool isFinal;
}

/// @notice One publisher's line, with its proof, for claiming.
struct ClaimLine {
    uint32 campaign;
    uint32 publisher;
    Counts counts;
    bytes32[] proof;
}
