// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CampaignEscrow} from "adtally/CampaignEscrow.sol";
import {EventLog} from "adtally/EventLog.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {Checkpoint} from "adtally/types/DataTypes.sol";
import {Objection} from "adtally/types/EscrowStorage.sol";
import {Test} from "../support/Test.sol";
import {Actors} from "./Actors.sol";
import {Advertiser} from "./actors/Advertiser.sol";
import {Attestors} from "./actors/Attestors.sol";
import {Outsiders} from "./actors/Outsiders.sol";
import {Payees} from "./actors/Payees.sol";

/// @notice The numbered invariants of README.md, after any sequence of anyone's actions.
contract EscrowInvariants is Test {
    Actors internal actors;
    CampaignEscrow internal escrow;
    EventLog internal eventLog;

    function setUp() public {
        actors = new Actors();
        actors.setUp();
        (escrow, eventLog) = actors.parts();
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(actors);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        bytes4[] memory selectors = new bytes4[](42);
        selectors[0] = Actors.time_passes.selector;
        selectors[1] = Advertiser.advertiser_funds.selector;
        selectors[2] = Advertiser.advertiser_fundsByPermit.selector;
        selectors[3] = Advertiser.advertiser_refunds.selector;
        selectors[4] = Advertiser.advertiser_endsCampaign.selector;
        selectors[5] = Advertiser.advertiser_endsOrder.selector;
        selectors[6] = Advertiser.advertiser_changesTheOrder.selector;
        selectors[7] = Advertiser.advertiser_objects.selector;
        selectors[8] = Advertiser.anyone_releasesTheBond.selector;
        selectors[9] = Advertiser.anyone_books.selector;
        selectors[10] = Payees.anyone_claims.selector;
        selectors[11] = Payees.anyone_claimsMany.selector;
        selectors[12] = Payees.anyone_paysCut.selector;
        selectors[13] = Payees.token_reenters.selector;
        selectors[14] = Payees.publisher_changesPayout.selector;
        selectors[15] = Attestors.operator_anchors.selector;
        selectors[16] = Attestors.quorum_settles.selector;
        selectors[17] = Attestors.quorum_corrects.selector;
        selectors[18] = Attestors.quorum_namesSuccessor.selector;
        selectors[19] = Attestors.replacedAttestors_settle.selector;
        selectors[20] = Attestors.hostileQuorum_settles.selector;
        selectors[21] = Attestors.hostileQuorum_forks.selector;
        selectors[22] = Attestors.minority_settles.selector;
        selectors[23] = Outsiders.registrar_turnsHostile.selector;
        selectors[24] = Outsiders.registrar_namesAttestors.selector;
        selectors[25] = Outsiders.authority_pauses.selector;
        selectors[26] = Outsiders.authority_recoversSurplus.selector;
        selectors[27] = Outsiders.stranger_donates.selector;
        selectors[28] = Outsiders.stranger_refunds.selector;
        selectors[29] = Outsiders.stranger_claimsElsewhere.selector;
        selectors[30] = Outsiders.token_blocks.selector;
        selectors[31] = Outsiders.token_lies.selector;
        selectors[32] = Outsiders.token_shrinks.selector;
        // Money and statements are what everything else waits for: more likely.
        selectors[33] = Attestors.quorum_settles.selector;
        selectors[34] = Attestors.quorum_settles.selector;
        selectors[35] = Attestors.quorum_settles.selector;
        selectors[36] = Attestors.quorum_corrects.selector;
        selectors[37] = Advertiser.advertiser_funds.selector;
        selectors[38] = Advertiser.advertiser_objects.selector;
        selectors[39] = Actors.time_passes.selector;
        selectors[40] = Actors.time_reachesAClosing.selector;
        selectors[41] = Actors.everybody_rushesAtAClosing.selector;
        list = new FuzzSelector[](1);
        list[0] = FuzzSelector(address(actors), selectors);
    }

    /// @dev 1. Balance >= deposits - claims - cuts - refunds + bonds, per token; `liabilities` is
    /// that sum and what is not booked yet.
    function invariant_01_TokensCoverTheBooks() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            uint256 owed = 0;
            uint256 unbooked = 0;
            for (uint32 other = 1; other <= actors.campaigns(); ++other) {
                if (_token(other) != _token(id)) continue;
                Actors.Ghost memory ghost = actors.ghostOf(other);
                owed += _left(other) + ghost.bond;
                unbooked += ghost.claims + ghost.cuts - ghost.booked;
            }
            assertEq(escrow.liabilities(_token(id)), owed + unbooked, "liabilities");
            // A shrinking token goes broke alone: every other one is whole all the same.
            if (id == actors.rebasing()) continue;
            assertGe(actors.tokenOf(id).balanceOf(address(escrow)), owed, "solvent");
        }
    }

    /// @dev 2. Each campaign's books are what was seen to move.
    function invariant_02_BooksAreTheGhosts() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
            Actors.Ghost memory ghost = actors.ghostOf(id);
            assertEq(c.funded, ghost.deposits, "funded");
            assertEq(c.claimed, ghost.claims, "claimed");
            assertEq(c.cutsPaid, ghost.cuts, "cuts");
            assertEq(c.refunded, ghost.refunds, "refunded");
        }
    }

    /// @dev 3. Total claimed <= active and latest linesTotal; reserved <= funded left; cuts within
    /// their shares of the active total.
    function invariant_03_ClaimedWithinReserved() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
            assertLe(c.claimed, c.active.linesTotal, "claimed within active");
            assertLe(c.claimed, c.latest.linesTotal, "claimed within latest");
            assertLe(c.reserved, c.funded - c.refunded, "reserved is there");
            uint256 total = c.latest.linesTotal;
            assertLe(c.cutsPaid, total * 1000 / 10_000 + total * 333 / 10_000, "cuts");
        }
    }

    /// @dev 4. Paid never falls and stays within the order's cap.
    function invariant_04_PaidNeverFalls() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            uint256 sum = 0;
            for (uint32 publisher = 3; publisher <= 4; ++publisher) {
                ICampaignEscrow.Order memory order = escrow.order(id, publisher);
                assertGe(order.paid, actors.paidMost(id, publisher), "paid fell");
                assertLe(order.paid, order.cap, "above the cap");
                sum += order.paid;
            }
            assertEq(sum, escrow.campaign(id).claimed, "claimed is the sum of the paid");
        }
    }

    /// @dev 5. An activated statement never changes; a pending one stays until it activates.
    function invariant_05_StatementsStand() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
            assertEq(c.latest.sequence, actors.submissionCount(id), "one each");
            _stands(id, c.latest);
            _stands(id, c.active);
        }
    }

    /// @dev 6. The log only grows, and its head is the honest log's root at that size.
    function invariant_06_LogIsAPrefix() public view {
        uint64 size = eventLog.headSize();
        assertEq(size, actors.largestHead(), "head");
        if (size == 0) return;
        assertTrue(eventLog.isAnchored(Checkpoint(size, actors.trueRoot(size))), "true root");
    }

    /// @dev 7. Nothing that must not succeed has succeeded.
    function invariant_07_NoBreach() public view {
        uint256 count = actors.breachCount();
        assertTrue(count == 0, count == 0 ? "" : actors.breaches(0));
    }

    /// @dev 8. A total falls only by corrections: never below what any earlier statement released.
    function invariant_08_FallsStayWithinTheHoldback() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            uint256 count = actors.submissionCount(id);
            if (count == 0) continue;
            ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
            assertGe(c.latest.linesTotal, actors.ghostOf(id).released, "total");
            for (uint256 i = 1; i < count; ++i) {
                uint64 before = actors.submission(id, i - 1).statement.corrections;
                assertGe(actors.submission(id, i).statement.corrections, before, "corrections");
            }
        }
    }

    /// @dev 9. A bond is held exactly while an objection is open or waits for its release.
    function invariant_09_BondsAreHeldOrReleased() public view {
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            bool isHeld = escrow.campaign(id).objection != Objection.None;
            uint256 bond = escrow.terms(id).objectionBond;
            assertEq(actors.ghostOf(id).bond, isHeld ? bond : 0, "bond");
        }
    }

    /// @dev 10. With operator and registrar gone, every activated line is claimed and every
    /// unreserved unit refunded. Runs at the end of each sequence.
    function afterInvariant() external {
        actors.everybodyLeaves();
    }

    /// @dev A long random run gets to every kind of money movement: the invariants are not vacuous.
    function test_ActorsGetFar() public {
        bytes4[] memory selectors = this.targetSelectors()[0].selectors;
        for (uint256 i = 0; i < 3000; ++i) {
            bytes32 dice = keccak256(abi.encode("dice", i));
            // The last two selectors move time to a closing: at the end only, or the play is short.
            uint256 many = i < 2500 ? selectors.length - 2 : selectors.length;
            bytes memory call_ = abi.encodePacked(
                selectors[uint256(dice) % many],
                keccak256(abi.encode(dice, 1)),
                keccak256(abi.encode(dice, 2)),
                keccak256(abi.encode(dice, 3)),
                keccak256(abi.encode(dice, 4))
            );
            (bool success,) = address(actors).call(call_);
            assertTrue(success, "no action reverts");
        }
        uint256 deposits = 0;
        uint256 claims = 0;
        uint256 cuts = 0;
        uint256 refunds = 0;
        uint256 statements = 0;
        for (uint32 id = 1; id <= actors.campaigns(); ++id) {
            Actors.Ghost memory ghost = actors.ghostOf(id);
            deposits += ghost.deposits;
            claims += ghost.claims;
            cuts += ghost.cuts;
            refunds += ghost.refunds;
            statements += actors.submissionCount(id);
        }
        assertGe(deposits, 1, "deposits");
        assertGe(claims, 1, "claims");
        assertGe(cuts, 1, "cuts");
        assertGe(refunds, 1, "refunds");
        assertGe(statements, 10, "statements");
        assertGe(eventLog.anchorCount(), 5, "anchors");
        assertGe(actors.calls("objected"), 1, "objections");
        assertGe(actors.calls("released"), 1, "released bonds");
        assertGe(actors.calls("falls"), 1, "totals that fell");
        invariant_02_BooksAreTheGhosts();
        actors.everybodyLeaves();
    }

    function _token(uint32 id) internal view returns (address) {
        return address(actors.tokenOf(id));
    }

    function _left(uint32 id) internal view returns (uint256) {
        Actors.Ghost memory ghost = actors.ghostOf(id);
        return ghost.deposits - ghost.claims - ghost.cuts - ghost.refunds;
    }

    function _stands(uint32 id, ICampaignEscrow.StatementView memory view_) internal view {
        if (view_.sequence == 0) return;
        Actors.Submitted memory entry = actors.submission(id, view_.sequence - 1);
        assertEq(view_.linesRoot, entry.statement.linesRoot, "root");
        assertEq(view_.linesTotal, entry.statement.linesTotal, "total");
        assertEq(view_.treeSize, entry.statement.treeSize, "size");
        assertEq(view_.activatesAt, entry.activatesAt, "activation");
    }
}
