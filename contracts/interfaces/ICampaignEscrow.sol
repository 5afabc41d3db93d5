// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ClaimLine, Counts, Quorum, Rates, Statement, Terms} from "adtally/types/DataTypes.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {ITermsPolicy} from "adtally/interfaces/ITermsPolicy.sol";
import {Objection} from "adtally/types/EscrowStorage.sol";

/// @title Money of campaigns, from deposit to payout
/// @notice Advertisers' deposits leave only as publishers' claims, intermediaries' cuts, and the
/// advertiser's refund of what is not owed. No role can move them elsewhere. All amounts are in
/// base units of the campaign's token; every division rounds down and the rest stays with the
/// advertiser.
///
/// A campaign *closes* when its final statement is active, at the latest when its grace is over.
/// Before that, the holdback of its terms is kept back from every line and cut, corrections may
/// lower what is owed by as much, and the advertiser can't take anything back. After it, everything
/// stated is payable and the rest is the advertiser's.
/// @dev Tokens must move exactly what transfer says *out of* the escrow; deposits are booked by
/// the balance received. A token whose balances fall by themselves (rebasing) can make its own
/// campaigns insolvent and must not be used; campaigns in other tokens are not touched by it.
/// A line is `counts x rates`, computed here and capped at the order's cap, so no statement can
/// overprice it. Reserved at submission: `linesTotal` and every cut of it.
interface ICampaignEscrow {
    enum OrderState {
        None,
        Offered,
        Accepted
    }

    /// @dev `endsAt` is 0 while nobody has ended the order: it then runs to the flight's end.
    struct Order {
        Rates rates;
        uint128 cap;
        uint128 paid;
        uint64 endsAt;
        OrderState state;
    }

    struct StatementView {
        uint32 sequence;
        uint64 treeSize;
        uint64 activatesAt;
        uint128 linesTotal;
        uint64 corrections;
        bytes32 linesRoot;
        bool isFinal;
    }

    /// @dev `closesAt`: when the refund opens and the holdback ends, as things stand.
    /// `unbooked`: payouts that `liabilities` still counts, see `bookPayouts`.
    struct CampaignView {
        uint32 advertiser;
        uint64 flightEnd;
        uint64 closesAt;
        uint128 funded;
        uint128 refunded;
        uint128 claimed;
        uint128 cutsPaid;
        uint128 unbooked;
        uint128 reserved;
        Objection objection;
        StatementView latest;
        StatementView active;
    }

    event CampaignOpened(uint32 indexed campaign, uint32 indexed advertiser, Terms terms);
    event CampaignEnded(uint32 indexed campaign, uint64 flightEnd);
    event Funded(
        uint32 indexed campaign, address indexed from, uint128 amount, uint128 fundedTotal
    );
    event OrderOffered(uint32 indexed campaign, uint32 indexed publisher, Rates rates, uint128 cap);
    event OrderAccepted(
        uint32 indexed campaign, uint32 indexed publisher, Rates rates, uint128 cap
    );
    event OrderEnded(uint32 indexed campaign, uint32 indexed publisher, uint64 endsAt);
    event StatementSubmitted(
        uint32 indexed campaign, uint32 indexed sequence, Statement statement, uint64 activatesAt
    );
    event ObjectionRaised(
        uint32 indexed campaign,
        uint32 indexed sequence,
        uint128 bond,
        uint64 activatesAt,
        string reason
    );
    event ObjectionDecided(uint32 indexed campaign, uint32 indexed sequence, bool isUpheld);
    event ObjectionBondReleased(uint32 indexed campaign, address to, uint128 amount);
    event Claimed(
        uint32 indexed campaign,
        uint32 indexed publisher,
        address payout,
        uint128 amount,
        uint128 paidTotal
    );
    event ClaimSkipped(uint32 indexed campaign, uint32 indexed publisher, bytes reason);
    event CutPaid(
        uint32 indexed campaign,
        uint32 indexed member,
        address payout,
        uint128 amount,
        uint128 paidTotal
    );
    event Refunded(uint32 indexed campaign, address to, uint128 amount, uint128 refundedTotal);
    event SurplusRecovered(address indexed token, address to, uint256 amount);

    error CampaignUnknown(uint32 campaign);
    error CampaignClosed(uint32 campaign);
    error NotAdvertiser(uint32 campaign, address caller);
    error NotActiveMember(address caller, uint8 rolesNeeded);
    error NotPublisher(uint32 publisher);
    error CampaignIdZero();
    error TermsInvalid(string reason);
    error CapTooLarge(uint128 cap, uint128 maximum);
    error OrderNotOffered(uint32 campaign, uint32 publisher);
    error OrderAlreadyAccepted(uint32 campaign, uint32 publisher);
    error OrderNotAccepted(uint32 campaign, uint32 publisher);
    error OrderDiffers(uint32 campaign, uint32 publisher);
    error EndsAlready(uint64 current, uint64 requested);
    error AmountZero();
    error SequenceWrong(uint32 campaign, uint32 expected, uint32 found);
    error StatementPending(uint32 campaign, uint64 activatesAt);
    error StatementFinal(uint32 campaign);
    error TreeShrinks(uint64 previous, uint64 found);
    error CorrectionsFall(uint64 previous, uint64 found);
    error LinesTotalFalls(uint128 lowest, uint128 found);
    error FallTooLate(uint64 now_, uint64 latest);
    error FinalTooEarly(uint64 now_, uint64 earliest);
    error EscrowInsufficient(uint256 needed, uint256 available);
    error ObjectionTooLate(uint32 campaign, uint64 activatesAt, uint64 closesAt);
    error ObjectionBondHeld(uint32 campaign);
    error ObjectionUndecided(uint32 campaign, uint64 closesAt);
    error ObjectionUnknown(uint32 campaign);
    error BondNotReceived(uint128 bond, uint256 received);
    error ReasonTooLong(uint256 found, uint256 maximum);
    error NoActiveStatement(uint32 campaign);
    error LineNotProven(uint32 campaign, uint32 publisher);
    error NodeNotProven(uint32 campaign, bytes32 node);
    error LinesExceedTotal(uint256 claimed, uint256 linesTotal);
    error PayoutIsEscrow(uint32 member);
    error CutUnknown(uint32 campaign, uint256 index);
    error RefundNotOpen(uint64 now_, uint64 opensAt);

    /// @notice Open a campaign. Caller: an active advertiser. Ids are sequential.
    /// @dev What terms must satisfy is written in ITermsPolicy.
    function openCampaign(Terms calldata terms) external returns (uint32 campaign);

    /// @notice End a campaign early: its flight ends after the notice in its terms, if that is
    /// sooner.
    function endCampaign(uint32 campaign) external;

    /// @notice Deposit. Anyone may, until a final statement exists; what the escrow receives is
    /// booked.
    function fund(uint32 campaign, uint256 amount) external;

    /// @notice Deposit with an ERC-2612 permit; a permit already used by a front-runner is no
    /// obstacle.
    function fundWithPermit(
        uint32 campaign,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Offer an order, or replace an offer not yet accepted. One order per campaign and
    /// publisher.
    /// @param cap Most that the line can ever reach, in base units; at most 2^88 - 1 (309 million
    /// tokens of 18 decimals).
    function offerOrder(uint32 campaign, uint32 publisher, Rates calldata rates, uint128 cap)
        external;

    /// @notice Accept an offer; rates and cap are repeated so that no replaced offer is accepted.
    function acceptOrder(uint32 campaign, Rates calldata rates, uint128 cap) external;

    /// @notice End an accepted order after the campaign's notice. Caller: the advertiser.
    /// @dev What the order earned until then, and its line, are untouched.
    function endOrder(uint32 campaign, uint32 publisher) external;

    /// @notice Submit the next statement. Anyone may, as long as the money lasts; the campaign's
    /// attestor set must have signed it.
    /// @dev Its total may be lower than the one before (by corrections), but never lower than what
    /// any earlier statement has released or what was claimed, and only while the campaign is open
    /// for so long that it is active before the campaign closes.
    function settle(Statement calldata statement, Quorum calldata quorum) external;

    /// @notice Object to the latest statement while it is pending. Caller: the advertiser, who pays
    /// `objectionBond` of the terms. The statement's activation moves by one more dispute window,
    /// once; it is no longer final. The next statement decides: if it contains more corrections,
    /// the objection was right.
    /// @param sequence Of the statement objected to, so that it can't hit another one.
    /// @param reason What is wrong, for all to read; at most 512 bytes.
    function objectTo(uint32 campaign, uint32 sequence, string calldata reason) external;

    /// @notice Pay out the bond of a decided objection: to the advertiser if it was right or the
    /// campaign closed without a decision, else to the burn address. Anyone may.
    function releaseObjectionBond(uint32 campaign) external returns (address to);

    /// @notice Pay a publisher what its line in the active statement, less the holdback until the
    /// campaign closes, is over what it was paid. Anyone may; the money goes to the publisher's
    /// payout address. Paying nothing is no error.
    /// @dev What a correction takes back below what was paid is kept. Honest attestors correct no
    /// line by more than its holdback; where colluding ones do, others' lines are limited by the
    /// total.
    function claim(uint32 campaign, ClaimLine calldata line) external returns (uint128 amount);

    /// @notice Claim many lines; a line that fails is skipped with ClaimSkipped.
    /// @dev Proofs of neighbours in the claim tree end alike: that end is given and checked once.
    /// @param node Node of the claim tree that the lines' proofs lead to; the root if all do.
    /// @param nodeProof Leads from `node` to the root.
    function claimMany(
        uint32 campaign,
        bytes32 node,
        bytes32[] calldata nodeProof,
        ClaimLine[] calldata lines
    ) external returns (uint128 total);

    /// @notice Pay an intermediary what its cut of the active statement, less the holdback until
    /// the campaign closes, is over what it was paid.
    function payCut(uint32 campaign, uint256 index) external returns (uint128 amount);

    /// @notice Pay the advertiser everything unreserved, once the campaign is closed. Caller: the
    /// advertiser; the money goes to its payout address. May be repeated; paying nothing is no
    /// error.
    function refund(uint32 campaign) external returns (uint128 amount);

    /// @notice Take a campaign's claims and cuts off `liabilities`. Anyone may; `refund` does it
    /// too.
    function bookPayouts(uint32 campaign) external;

    /// @notice Take out tokens above all liabilities (sent here by mistake). Restricted; can't
    /// touch escrow.
    function recoverSurplus(address token, address to) external returns (uint256 amount);

    /// @notice Stop (or resume) opening, funding, offering and accepting. Never settling,
    /// objecting, claiming, refunding.
    function pause() external;

    function unpause() external;

    /// @return Terms as opened; `flightEnd` in `campaign()` is the current one.
    function terms(uint32 campaign) external view returns (Terms memory);

    function campaign(uint32 campaign_) external view returns (CampaignView memory);

    function order(uint32 campaign, uint32 publisher) external view returns (Order memory);

    /// @return Number of campaigns; ids run from FIRST_CAMPAIGN.
    function campaignCount() external view returns (uint32);

    /// @return What the line would pay now, 0 if not proven or nothing is due.
    function claimable(uint32 campaign, ClaimLine calldata line) external view returns (uint128);

    /// @return What cut `index` would pay now.
    function cutPayable(uint32 campaign, uint256 index) external view returns (uint128);

    /// @return What `refund` would pay now; 0 while not open.
    function refundable(uint32 campaign) external view returns (uint128);

    /// @return Deposits and bonds less refunds and booked payouts, per token. Never less than what
    /// is owed; more by the payouts that are not booked yet (`unbooked` of each campaign).
    function liabilities(address token) external view returns (uint256);

    /// @return The leaf of a line in the claim tree:
    /// keccak256(keccak256(abi.encode(domainSeparator, campaign, publisher, impressions, viewables,
    /// clicks, conversions))).
    function lineLeaf(uint32 campaign, uint32 publisher, Counts calldata counts)
        external
        view
        returns (bytes32);

    /// @return The EIP-712 digest that attestors sign for `statement`.
    function statementDigest(Statement calldata statement) external view returns (bytes32);

    /// @return The EIP-712 domain separator.
    function DOMAIN_SEPARATOR() external view returns (bytes32);

    function MEMBERSHIP() external view returns (IMembership);

    function EVENT_LOG() external view returns (IEventLog);

    /// @return Id of the first campaign opened here; several escrows on one log use disjoint
    /// ranges.
    function FIRST_CAMPAIGN() external view returns (uint32);

    /// @return What decides whether terms are valid.
    function TERMS_POLICY() external view returns (ITermsPolicy);
}
