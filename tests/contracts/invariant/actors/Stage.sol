// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {ClaimLine, Counts, Quorum, Statement, Terms} from "adtally/types/DataTypes.sol";
import {
    BlocklistToken,
    FalseReturnToken,
    FeeToken,
    RebasingToken,
    ReentrantToken
} from "../../support/HostileTokens.sol";
import {World} from "../../support/World.sol";

/// @notice Where the actors play: one campaign per kind of token and of terms, ghost accounts kept
/// from what balances were seen to do, and the list of what must never happen.
abstract contract Stage is World {
    /// @dev Sums of what was seen to move, in base units.
    struct Ghost {
        uint256 deposits;
        uint256 claims;
        uint256 cuts;
        uint256 refunds;
        uint256 booked;
        uint256 bond;
        Counts a;
        Counts b;
        uint64 corrections;
        uint256 peakA;
        uint256 peakB;
        uint256 released;
    }

    struct Submitted {
        Statement statement;
        uint64 activatesAt;
        uint256 objections;
        Counts a;
        Counts b;
        bool isHonest;
    }

    uint32 internal constant PLAIN = 1;
    /// @dev Its attestors turn hostile; elsewhere lines add up.
    uint32 internal constant BETRAYED = 2;
    uint32 internal constant BLOCKING = 3;
    uint32 internal constant FEE = 4;
    uint32 internal constant FALSE_RETURN = 5;
    uint32 internal constant REENTRANT = 6;
    uint32 internal constant EIGHTEEN = 7;
    /// @dev Its token's balances shrink: it may go broke, and nobody else.
    uint32 internal constant REBASING = 8;
    /// @dev Holds back without a dispute window, in the same token as the first two.
    uint32 internal constant IMMEDIATE = 9;
    uint32 internal constant CAMPAIGNS = 9;

    uint16 internal constant HOLDBACK = 1000;

    MockDollar[CAMPAIGNS] internal tokens;
    mapping(uint32 campaign => Ghost) internal ghosts;
    mapping(uint32 campaign => Submitted[]) internal submissions;
    mapping(uint32 campaign => mapping(uint32 publisher => uint256)) internal mostPaid;

    /// @notice What must never happen, by name.
    string[] public breaches;
    mapping(string action => uint256) public calls;

    modifier counted(string memory action) {
        ++calls[action];
        _;
    }

    function setUp() public virtual override {
        super.setUp();
        tokens = [
            dollar,
            dollar,
            MockDollar(new BlocklistToken()),
            MockDollar(new FeeToken()),
            MockDollar(new FalseReturnToken()),
            MockDollar(new ReentrantToken()),
            new MockDollar("DAIX", 18),
            MockDollar(new RebasingToken()),
            dollar
        ];
        for (uint32 id = 1; id <= CAMPAIGNS; ++id) {
            _open(_termsOf(id));
            _order(id, PUB_A, CAP);
            _order(id, PUB_B, uint128(50 * DOLLAR));
        }
    }

    /// @dev Every second campaign holds back and can be corrected; one has no dispute window.
    function _termsOf(uint32 id) internal view returns (Terms memory terms) {
        terms = _terms();
        terms.token = address(tokens[id - 1]);
        if (id % 2 == 1) (terms.holdbackBasisPoints, terms.correctionWindow) = (HOLDBACK, 2 days);
        // A fee on transfer leaves less than the bond: no objections there.
        if (id == BETRAYED || id == FEE || id == IMMEDIATE) {
            (terms.disputeWindow, terms.objectionBond) = (0, 0);
        }
    }

    // ---------------------------------------------------------------- for the invariants

    function ghostOf(uint32 id) external view returns (Ghost memory) {
        return ghosts[id];
    }

    function submissionCount(uint32 id) external view returns (uint256) {
        return submissions[id].length;
    }

    function submission(uint32 id, uint256 index) external view returns (Submitted memory) {
        return submissions[id][index];
    }

    function breachCount() external view returns (uint256) {
        return breaches.length;
    }

    function paidMost(uint32 id, uint32 publisher) external view returns (uint256) {
        return mostPaid[id][publisher];
    }

    function tokenOf(uint32 id) external view returns (MockDollar) {
        return tokens[id - 1];
    }

    function campaigns() external pure returns (uint32) {
        return CAMPAIGNS;
    }

    function rebasing() external pure returns (uint32) {
        return REBASING;
    }

    // ---------------------------------------------------------------- helpers

    function _pick(uint256 which) internal pure returns (uint32) {
        return uint32(1 + which % CAMPAIGNS);
    }

    function _next(uint32 id) internal view returns (uint32) {
        return escrow.campaign(id).latest.sequence + 1;
    }

    function _balance(uint32 id) internal view returns (uint256) {
        return tokens[id - 1].balanceOf(address(escrow));
    }

    function _claimed(uint32 id) internal view returns (uint256) {
        return escrow.campaign(id).claimed;
    }

    function _due(uint32 id, uint32 publisher, Counts memory counts)
        internal
        view
        returns (uint256)
    {
        uint256 cap = escrow.order(id, publisher).cap;
        uint256 amount = _amount(counts);
        return amount < cap ? amount : cap;
    }

    /// @dev What an honest machine still pays of `amount`: rounded against the advertiser.
    function _lowest(uint32 id, uint256 amount) internal pure returns (uint256) {
        return id % 2 == 1 ? (amount * (10_000 - HOLDBACK) + 9999) / 10_000 : amount;
    }

    /// @dev What the contract pays of `amount` now; the oracle of its holdback.
    function _released(uint32 id, uint256 amount) internal view returns (uint256) {
        bool isClosed = block.timestamp >= escrow.campaign(id).closesAt;
        return isClosed || id % 2 == 0 ? amount : amount * (10_000 - HOLDBACK) / 10_000;
    }

    function _notePaid(uint32 id, uint32 publisher) internal {
        uint256 paid = escrow.order(id, publisher).paid;
        if (paid < mostPaid[id][publisher]) breaches.push("paid fell");
        mostPaid[id][publisher] = paid;
    }

    function _lastLine(uint32 id, uint32 publisher) internal view returns (ClaimLine memory) {
        Submitted storage last = submissions[id][submissions[id].length - 1];
        return _line(id, publisher, last.a, last.b);
    }

    /// @dev Submits what a quorum signed; notes what must not have been taken.
    function _submit(
        uint32 id,
        Statement memory statement,
        Counts memory a,
        Counts memory b,
        bool isHonest
    ) internal returns (bool) {
        ICampaignEscrow.CampaignView memory before = escrow.campaign(id);
        Quorum memory quorum = _quorum(escrow.statementDigest(statement), THRESHOLD);
        try escrow.settle(statement, quorum) {}
        catch {
            return false;
        }
        if (before.latest.sequence != before.active.sequence) {
            breaches.push("a pending statement was overwritten");
        }
        if (before.latest.isFinal) breaches.push("a statement followed the final one");
        if (statement.linesTotal < before.latest.linesTotal) _noteFall(id, statement, before);
        uint256 released = uint256(statement.linesTotal) * (10_000 - HOLDBACK) / 10_000;
        if (id % 2 == 0) released = statement.linesTotal;
        if (released > ghosts[id].released) ghosts[id].released = released;
        uint64 activatesAt = uint64(block.timestamp) + escrow.terms(id).disputeWindow;
        submissions[id].push(Submitted(statement, activatesAt, 0, a, b, isHonest));
        return true;
    }

    function _noteFall(
        uint32 id,
        Statement memory statement,
        ICampaignEscrow.CampaignView memory before
    ) internal {
        ++calls["falls"];
        if (statement.linesTotal < ghosts[id].released) {
            breaches.push("a total fell below what an earlier statement released");
        }
        if (statement.linesTotal < before.claimed) breaches.push("a total fell below its claims");
        if (block.timestamp >= before.closesAt) breaches.push("a total fell after closing");
    }
}
