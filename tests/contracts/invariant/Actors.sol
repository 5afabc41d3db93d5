// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {
    Checkpoint,
    ClaimLine,
    Counts,
    Quorum,
    Rates,
    Statement,
    Terms
} from "adtally/types/DataTypes.sol";
import {BlocklistToken} from "../support/HostileTokens.sol";
import {LogTree} from "../support/LogTree.sol";
import {World} from "../support/World.sol";

/// @notice Everything that anyone can do, each actor's calls under its name, with ghost accounts
/// kept from what the calls were seen to do to balances.
/// @dev Inputs are bounded so that most calls succeed; what must never succeed counts in `breaches`.
contract Actors is World {
    struct Ghost {
        uint256 deposits;
        uint256 claims;
        uint256 cuts;
        uint256 refunds;
        Counts a;
        Counts b;
    }

    struct Submitted {
        Statement statement;
        uint64 activatesAt;
        Counts a;
        Counts b;
        bool isHonest;
    }

    uint32 internal constant CAMPAIGNS = 3;
    /// @dev The one campaign whose attestors turn hostile; elsewhere lines must add up.
    uint32 internal constant BETRAYED = 2;
    uint64 internal constant MAX_LOG = 60;

    MockDollar[CAMPAIGNS] internal tokens;
    BlocklistToken internal blocklist;

    mapping(uint32 campaign => Ghost) internal ghosts;
    mapping(uint32 campaign => Submitted[]) internal submissions;
    mapping(uint32 campaign => mapping(uint32 publisher => uint256)) internal mostPaid;
    uint256 public mostClaimed;

    /// @notice What must never happen, by name.
    string[] public breaches;
    uint64 public largestHead;
    mapping(string action => uint256) public calls;

    function setUp() public override {
        super.setUp();
        blocklist = new BlocklistToken();
        tokens = [dollar, dollar, MockDollar(blocklist)];
        for (uint32 i = 0; i < CAMPAIGNS; ++i) {
            Terms memory terms = _terms();
            terms.token = address(tokens[i]);
            if (i == 1) (terms.disputeWindow, terms.objectionBond) = (0, 0);
            uint32 id = _open(terms);
            _order(id, PUB_A, CAP);
            _order(id, PUB_B, uint128(50 * DOLLAR));
        }
    }

    // ---------------------------------------------------------------- time

    function time_passes(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 18 hours));
    }

    // ---------------------------------------------------------------- advertiser

    function advertiser_funds(uint256 which, uint256 amount) external counted("funds") {
        uint32 id = _pick(which);
        if (escrow.paused() || escrow.campaign(id).latest.isFinal) return;
        dollar = tokens[id - 1];
        amount = bound(amount, 1, 10_000 * DOLLAR);
        _fund(id, amount);
        ghosts[id].deposits += amount;
    }

    function advertiser_refunds(uint256 which) external counted("refunds") {
        uint32 id = _pick(which);
        uint256 before = _balance(id);
        vm.prank(accountOf(ADVERTISER));
        try escrow.refund(id) {
            ghosts[id].refunds += before - _balance(id);
        } catch {}
    }

    function advertiser_endsCampaign(uint256 which, uint256 dice) external {
        if (dice % 4 != 0) return;
        vm.prank(accountOf(ADVERTISER));
        try escrow.endCampaign(_pick(which)) {} catch {}
    }

    function advertiser_endsOrder(uint256 which, uint256 isA) external {
        vm.prank(accountOf(ADVERTISER));
        try escrow.endOrder(_pick(which), isA % 2 == 0 ? PUB_A : PUB_B) {} catch {}
    }

    function advertiser_changesTheOrder(uint256 which, uint256 rate) external {
        vm.prank(accountOf(ADVERTISER));
        try escrow.offerOrder(_pick(which), PUB_A, Rates(uint80(rate), 1, 1, 1), 1) {
            breaches.push("an accepted order was replaced");
        } catch {}
    }

    // ---------------------------------------------------------------- publishers and payees

    function anyone_claims(uint256 which, uint256 statement, uint256 isA)
        external
        counted("claims")
    {
        uint32 id = _pick(which);
        uint256 count = submissions[id].length;
        if (count == 0) return;
        uint256 active = escrow.campaign(id).active.sequence;
        bool isAny = statement % 4 == 0 || active == 0;
        Submitted storage entry = submissions[id][isAny ? statement % count : active - 1];
        uint32 publisher = isA % 2 == 0 ? PUB_A : PUB_B;
        ClaimLine memory line = _line(id, publisher, entry.a, entry.b);
        uint256 before = _balance(id);
        try escrow.claim(line) {
            ghosts[id].claims += before - _balance(id);
            if (escrow.campaign(id).active.sequence != entry.statement.sequence) {
                breaches.push("a line of a statement that is not active was paid");
            }
            _notePaid(id, publisher);
        } catch {}
    }

    function anyone_claimsMany(uint256 which, uint256 other) external counted("claimsMany") {
        uint32[2] memory ids = [_pick(which), _pick(other)];
        ClaimLine[] memory lines = new ClaimLine[](4);
        uint256[2] memory before = [_balance(ids[0]), _balance(ids[1])];
        if (ids[0] == ids[1]) return;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 count = submissions[ids[i]].length;
            if (count == 0) return;
            Submitted storage last = submissions[ids[i]][count - 1];
            lines[2 * i] = _line(ids[i], PUB_A, last.a, last.b);
            lines[2 * i + 1] = _line(ids[i], PUB_B, last.a, last.b);
        }
        uint256[2] memory claimed = [_claimed(ids[0]), _claimed(ids[1])];
        uint256 total = escrow.claimMany(lines);
        uint256 moved = 0;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 paid = _claimed(ids[i]) - claimed[i];
            ghosts[ids[i]].claims += paid;
            moved += paid;
            _notePaid(ids[i], PUB_A);
            _notePaid(ids[i], PUB_B);
        }
        bool isSameToken = address(tokens[ids[0] - 1]) == address(tokens[ids[1] - 1]);
        uint256 left = before[0] - _balance(ids[0]);
        if (!isSameToken) left += before[1] - _balance(ids[1]);
        if (moved != total || left != total) breaches.push("claimMany moved another sum");
    }

    function anyone_paysCut(uint256 which, uint256 index) external counted("cuts") {
        uint32 id = _pick(which);
        uint256 before = _balance(id);
        try escrow.payCut(id, index % 2) {
            ghosts[id].cuts += before - _balance(id);
        } catch {}
    }

    function publisher_changesPayout(uint256 isA, uint256 to) external {
        uint32 publisher = isA % 2 == 0 ? PUB_A : PUB_B;
        address payout = to % 8 == 0 ? address(escrow) : address(uint160(0xDD00 + to % 64));
        vm.prank(accountOf(publisher));
        membership.requestPayoutChange(payout);
    }

    // ---------------------------------------------------------------- operator and attestors

    function operator_anchors(uint256 growth) external counted("anchors") {
        uint64 size = anchoredSize + uint64(bound(growth, 1, 5));
        if (size > MAX_LOG) return;
        _anchor(size);
        largestHead = size;
    }

    function quorum_settles(uint256 which, uint256 shows, uint256 clicks, uint256 dice)
        external
        counted("settles")
    {
        uint32 id = _pick(which);
        Ghost storage ghost = ghosts[id];
        Counts memory a = ghost.a;
        Counts memory b = ghost.b;
        a.impressions += uint64(shows % 60_000);
        b.viewables += uint64(shows % 40_000);
        b.clicks += uint64(clicks % 200);
        Statement memory statement = _statement(id, _next(id), a, b);
        statement.linesTotal = uint128(_due(id, PUB_A, a) + _due(id, PUB_B, b));
        statement.isFinal = dice % 8 == 0;
        if (_submit(id, statement, a, b, true)) {
            ghost.a = a;
            ghost.b = b;
        }
    }

    /// @dev k attestors collude: any sum, lines that no event ever backed.
    function hostileQuorum_settles(uint256 total, uint256 shows, uint256 dice)
        external
        counted("hostile settles")
    {
        uint32 id = BETRAYED;
        Counts memory a = Counts(uint32(shows), 1, uint16(shows), 1);
        Counts memory b = Counts(uint16(shows), 1, 2, 3);
        Statement memory statement = _statement(id, _next(id), a, b);
        statement.linesTotal = uint128(bound(total, 0, 20_000 * DOLLAR));
        statement.isFinal = dice % 8 == 0;
        _submit(id, statement, a, b, false);
    }

    /// @dev k attestors sign a log that differs in an old entry.
    function hostileQuorum_forks(uint256 where, uint256 growth) external {
        if (anchoredSize == 0) return;
        uint64 size = anchoredSize + uint64(bound(growth, 0, 5));
        _grow(size);
        bytes32[] memory forged = logLeaves;
        forged[bound(where, 0, anchoredSize - 1)] = keccak256("forged");
        Checkpoint memory next = Checkpoint(size, LogTree.root(forged, size));
        bytes32[] memory proof = LogTree.consistencyProof(forged, anchoredSize, size);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 5);
        try eventLog.anchor(_checkpoint(anchoredSize), next, proof, quorum) {
            breaches.push("a fork was anchored");
        } catch {}
    }

    /// @dev Fewer than k, repeated, or unsorted.
    function minority_settles(uint256 which, uint256 how) external {
        uint32 id = _pick(which);
        Statement memory statement = _statement(id, _next(id), ghosts[id].a, ghosts[id].b);
        bytes32 digest = escrow.statementDigest(statement);
        Quorum memory quorum = _quorum(digest, 2);
        bytes memory first = _sign(digest, attestors[0]);
        if (how % 3 == 1) quorum.signatures = abi.encodePacked(quorum.signatures, first);
        if (how % 3 == 2) quorum.threshold = 2;
        try escrow.settle(statement, quorum) {
            breaches.push("a minority settled");
        } catch {}
    }

    // ---------------------------------------------------------------- registrar and strangers

    function registrar_turnsHostile(uint256 who, uint256 roles, uint256 expires) external {
        uint32 id = uint32(bound(who, 1, 6));
        membership.setRoles(id, uint8(roles % 32));
        membership.renewKyc(id, 0, uint64(bound(expires, 0, KYC_EXPIRES)));
    }

    function registrar_namesAttestors() external {
        address[] memory own = _newAttestors("registrar", 3);
        Quorum memory quorum = Quorum(THRESHOLD, attestors, "");
        try eventLog.nameSuccessor(attestorSet, own, 2, quorum) {
            breaches.push("the registrar named attestors");
        } catch {}
    }

    function authority_pauses(uint256 dice) external {
        bool on = dice % 3 == 0;
        if (on && !escrow.paused()) escrow.pause();
        if (!on && escrow.paused()) escrow.unpause();
    }

    function authority_recoversSurplus(uint256 which) external {
        address token = address(tokens[_pick(which) - 1]);
        uint256 owed = escrow.liabilities(token);
        try escrow.recoverSurplus(token, address(0x5757)) {
            if (MockDollar(token).balanceOf(address(escrow)) != owed) {
                breaches.push("surplus recovery touched the escrow");
            }
        } catch {}
    }

    function stranger_donates(uint256 which, uint256 amount) external {
        tokens[_pick(which) - 1].mint(address(escrow), amount % DOLLAR);
    }

    function stranger_blocks(uint256 dice) external {
        blocklist.setBlocked(membership.payoutOf(PUB_A), dice % 2 == 0);
    }

    function stranger_refunds(uint256 which, uint256 who) external {
        address caller = address(uint160(who));
        if (caller == accountOf(ADVERTISER)) return;
        vm.prank(caller);
        try escrow.refund(_pick(which)) {
            breaches.push("a stranger took a refund");
        } catch {}
    }

    /// @dev A proof of one campaign tried in another; a node tried as a leaf.
    function stranger_claimsElsewhere(uint256 which, uint256 other) external {
        uint32 id = _pick(which);
        uint32 wrong = _pick(other);
        uint256 count = submissions[id].length;
        if (count == 0 || id == wrong) return;
        Submitted storage last = submissions[id][count - 1];
        ClaimLine memory line = _line(id, PUB_A, last.a, last.b);
        line.campaign = wrong;
        try escrow.claim(line) {
            breaches.push("a line was paid in another campaign");
        } catch {}
    }

    // ---------------------------------------------------------------- the end

    /// @dev Operator, registrar, authority gone and hostile; time passes; everybody leaves.
    function everybodyLeaves() external {
        if (!escrow.paused()) escrow.pause();
        for (uint32 id = 1; id <= 6; ++id) {
            membership.setRoles(id, 0);
            membership.renewKyc(id, 0, 0);
        }
        blocklist.setBlocked(membership.payoutOf(PUB_A), false);
        for (uint32 i = 0; i < 2; ++i) {
            vm.prank(accountOf(i == 0 ? PUB_A : PUB_B));
            membership.requestPayoutChange(payoutOf(i == 0 ? PUB_A : PUB_B));
        }
        vm.warp(block.timestamp + 365 days);
        blocklist.setBlocked(payoutOf(PUB_A), false);
        for (uint32 id = 1; id <= CAMPAIGNS; ++id) {
            _leave(id);
        }
    }

    function _leave(uint32 id) internal {
        uint256 count = submissions[id].length;
        Submitted memory last;
        if (count != 0) {
            last = submissions[id][count - 1];
            // A statement of colluders may add up wrongly; then not every line fits.
            _leaveLine(id, PUB_A, last);
            _leaveLine(id, PUB_B, last);
            escrow.payCut(id, 0);
            escrow.payCut(id, 1);
        }
        vm.prank(accountOf(ADVERTISER));
        escrow.refund(id);
        assertEq(escrow.refundable(id), 0, "everything unreserved is refunded");
        ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
        uint256 left = uint256(c.funded) - c.refunded - c.claimed - c.cutsPaid;
        assertEq(left, c.latest.linesTotal - c.claimed, "only unclaimed lines stay");
        if (count == 0 || last.isHonest) assertEq(left, 0, "honest campaigns end empty");
    }

    function _leaveLine(uint32 id, uint32 publisher, Submitted memory last) internal {
        ClaimLine memory line = _line(id, publisher, last.a, last.b);
        try escrow.claim(line) {}
        catch {
            assertTrue(!last.isHonest, "an honest line must be payable");
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

    function parts() external view returns (address, address, address) {
        return (address(escrow), address(eventLog), address(membership));
    }

    function tokenOf(uint32 id) external view returns (MockDollar) {
        return tokens[id - 1];
    }

    function trueRoot(uint64 size) external view returns (bytes32) {
        return _checkpoint(size).rootHash;
    }

    function campaigns() external pure returns (uint32) {
        return CAMPAIGNS;
    }

    // ---------------------------------------------------------------- internal

    modifier counted(string memory action) {
        ++calls[action];
        _;
    }

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

    function _notePaid(uint32 id, uint32 publisher) internal {
        uint256 paid = escrow.order(id, publisher).paid;
        if (paid < mostPaid[id][publisher]) breaches.push("paid fell");
        mostPaid[id][publisher] = paid;
    }

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
        uint64 activatesAt = uint64(block.timestamp) + escrow.terms(id).disputeWindow;
        submissions[id].push(Submitted(statement, activatesAt, a, b, isHonest));
        return true;
    }
}
