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

/// @notice Prices in token base units; 80 bits are 1.2 million tokens of 18 decimals.
/// @param perMilleImpressions For 1,000 impressions.
/// @param perMilleViewables For 1,000 viewable impressions.
/// @param perClick For one click.
/// @param perConversion For one conversion.
struct Rates {
    uint80 perMilleImpressions;
    uint80 perMilleViewables;
    uint80 perClick;
    uint80 perConversion;
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
/// @param correctionWindow Seconds after the late window in which corrections may still be entered.
/// @param disputeWindow Seconds between submission and activation of a statement, in which the
/// advertiser may object; 0 is allowed.
/// @param grace Seconds after all of these in which the advertiser can't yet take the rest without
/// a final statement, so that anyone can still submit anchors and statements.
/// @param notice Seconds between ending the campaign or an order early and its effect.
/// @param attestorSet Set in EventLog whose quorum signs this campaign's statements.
/// @param holdbackBasisPoints Share of every line and cut, in 1/10,000, that is paid only when the
/// campaign closes. Corrections can take back that much and no more.
/// @param objectionBond Base units that an objection costs unless it leads to a correction.
/// @param goalType Count that triggers a settlement, or None.
/// @param goalCount Unsettled events of `goalType` that trigger a settlement.
/// @param settleThreshold Unsettled base units that trigger a settlement; 0 for none.
/// @param cuts Intermediaries' shares.
struct Terms {
    address token;
    uint64 flightStart;
    uint64 flightEnd;
    uint32 lateWindow;
    uint32 correctionWindow;
    uint32 disputeWindow;
    uint32 grace;
    uint32 notice;
    uint32 attestorSet;
    uint16 holdbackBasisPoints;
    uint128 objectionBond;
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
/// @param corrections Number of corrections in the log that these lines contain.
/// @param linesRoot Root of the claim tree (OpenZeppelin standard tree over the lines).
/// @param isFinal No further statement follows.
struct Statement {
    uint32 campaign;
    uint32 sequence;
    uint64 treeSize;
    uint128 linesTotal;
    Counts counts;
    uint64 corrections;
    bytes32 linesRoot;
    bool isFinal;
}

/// @notice One publisher's line, with its proof, for claiming.
struct ClaimLine {
    uint32 publisher;
    Counts counts;
    bytes32[] proof;
}

/// @notice The operator's promise for one batch, as in docs/spec/receipt.md.
/// @param member Sender of the batch.
/// @param sequence The sender's batch number.
/// @param recordsRoot RFC 9162 tree root over the batch's records with verdict 0.
/// @param firstIndex Leaf index of the batch's envelope; record i (from 0) is `firstIndex + 1 + i`.
/// @param count Number of records.
/// @param treeSize Size of the log that contains the batch.
/// @param rootHash Root hash of the log at that size.
/// @param anchorDeadline Second (UTC) by which an anchor of at least `treeSize` stands.
struct Receipt {
    uint32 member;
    uint64 sequence;
    bytes32 recordsRoot;
    uint64 firstIndex;
    uint32 count;
    uint64 treeSize;
    bytes32 rootHash;
    uint64 anchorDeadline;
}

/// @notice An entry of the log with its inclusion proof.
/// @param index Leaf index.
/// @param entry The entry's bytes.
/// @param proof RFC 9162 inclusion proof under the checkpoint that it is shown for.
struct ProvenEntry {
    uint64 index;
    bytes entry;
    bytes32[] proof;
}
