// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {Counts, Quorum, Statement, Terms} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

/// @notice Submitting statements: order, anchoring, funds, quorum, activation.
contract SettleTest is World {
    uint32 internal id;
    Counts internal a;
    Counts internal b;

    function setUp() public override {
        super.setUp();
        id = _running();
        a = _counts(1000, 10);
        b = _counts(2001, 3);
        _anchor(5);
    }

    function test_Settle_StoresAndReserves() public {
        Statement memory statement = _statement(id, 1, a, b);
        _settle(statement);
        ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
        assertEq(c.latest.sequence, 1, "sequence");
        assertEq(c.latest.treeSize, 5, "treeSize");
        assertEq(c.latest.linesTotal, statement.linesTotal, "linesTotal");
        assertEq(c.latest.linesRoot, statement.linesRoot, "linesRoot");
        assertEq(c.latest.activatesAt, START + DISPUTE, "activatesAt");
        assertEq(c.active.sequence, 0, "not yet active");
        uint256 total = statement.linesTotal;
        uint256 cuts = total * 1000 / 10_000 + total * 333 / 10_000;
        assertEq(c.reserved, total + cuts, "reserved");

        vm.warp(START + DISPUTE);
        assertEq(escrow.campaign(id).active.sequence, 1, "active");
    }

    function test_Settle_ByAnyoneWhilePaused() public {
        escrow.pause();
        membership.setRoles(ADVERTISER, 0);
        membership.setRoles(OPERATOR, 0);
        Statement memory statement = _statement(id, 1, a, b);
        Quorum memory quorum = _quorum(escrow.statementDigest(statement), 3);
        vm.prank(address(0xBEEF));
        escrow.settle(statement, quorum);
        assertEq(escrow.campaign(id).latest.sequence, 1, "sequence");
    }

    function test_Settle_WithoutDisputeWindowIsActiveAtOnce() public {
        Terms memory terms = _terms();
        terms.disputeWindow = 0;
        terms.objectionBond = 0;
        uint32 other = _open(terms);
        _fund(other, 10_000 * DOLLAR);
        _settle(_statement(other, 1, a, b));
        assertEq(escrow.campaign(other).active.sequence, 1, "active");
        _settle(_statement(other, 2, a, b));
        assertEq(escrow.campaign(other).active.sequence, 2, "next in the same block");
    }

    function test_Settle_PendingLeavesEarlierActive() public {
        _settle(_statement(id, 1, a, b));
        vm.warp(START + DISPUTE);
        _settle(_statement(id, 2, _counts(1500, 10), b));
        ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
        assertEq(c.latest.sequence, 2, "latest");
        assertEq(c.active.sequence, 1, "active");
        assertEq(c.active.linesTotal, _amount(a) + _amount(b), "active amount");
        vm.warp(START + 2 * DISPUTE);
        assertEq(escrow.campaign(id).active.sequence, 2, "activated");
    }

    function test_RevertWhen_PendingWouldBeOverwritten() public {
        _settle(_statement(id, 1, a, b));
        vm.warp(START + DISPUTE - 1);
        _settleReverts(
            _statement(id, 2, a, b),
            abi.encodeWithSelector(ICampaignEscrow.StatementPending.selector, id, START + DISPUTE)
        );
    }

    function test_RevertWhen_SequenceWrong() public {
        _settleReverts(_statement(id, 0, a, b), _sequenceWrong(1, 0));
        _settleReverts(_statement(id, 2, a, b), _sequenceWrong(1, 2));
        _settle(_statement(id, 1, a, b));
        vm.warp(START + DISPUTE);
        _settleReverts(_statement(id, 1, a, b), _sequenceWrong(2, 1));
    }

    function test_RevertWhen_CampaignUnknown() public {
        _settleReverts(
            _statement(9, 1, a, b),
            abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9)
        );
    }

    function test_RevertWhen_TreeNotAnchoredOrShrinks() public {
        Statement memory statement = _statement(id, 1, a, b);
        statement.treeSize = 6;
        _settleReverts(statement, abi.encodeWithSelector(IEventLog.TreeNotAnchored.selector, 6, 5));
        statement.treeSize = 0;
        _settleReverts(statement, abi.encodeWithSelector(IEventLog.TreeNotAnchored.selector, 0, 5));
        statement.treeSize = 6;
        _anchor(9);
        _settle(statement);
        vm.warp(START + DISPUTE);
        statement = _statement(id, 2, a, b);
        statement.treeSize = 5;
        _settleReverts(
            statement, abi.encodeWithSelector(ICampaignEscrow.TreeShrinks.selector, 6, 5)
        );
    }

    function test_RevertWhen_LinesTotalFalls() public {
        Statement memory statement = _statement(id, 1, a, b);
        _settle(statement);
        vm.warp(START + DISPUTE);
        Statement memory next = _statement(id, 2, a, b);
        next.linesTotal -= 1;
        _settleReverts(
            next,
            abi.encodeWithSelector(
                ICampaignEscrow.LinesTotalFalls.selector, statement.linesTotal, next.linesTotal
            )
        );
    }

    /// @dev 8,823.788936 and its cuts of 882.378893 and 293.832171 are the 10,000 exactly.
    function test_Settle_UpToTheLastFundedUnit() public {
        Statement memory statement = _statement(id, 1, a, b);
        statement.linesTotal = 8_823_788_937;
        _settleReverts(
            statement,
            abi.encodeWithSelector(
                ICampaignEscrow.EscrowInsufficient.selector, 10_000_000_001, 10_000_000_000
            )
        );
        statement.linesTotal = 8_823_788_936;
        _settle(statement);
        assertEq(escrow.campaign(id).reserved, 10_000 * DOLLAR, "reserved");
    }

    function test_RevertWhen_FinalTooEarly() public {
        Statement memory statement = _statement(id, 1, a, b);
        statement.isFinal = true;
        vm.warp(_finalTime() - 1);
        _settleReverts(
            statement,
            abi.encodeWithSelector(
                ICampaignEscrow.FinalTooEarly.selector, _finalTime() - 1, _finalTime()
            )
        );
        vm.warp(_finalTime());
        _settle(statement);
        assertTrue(escrow.campaign(id).latest.isFinal, "final");
    }

    function test_RevertWhen_AfterFinal() public {
        vm.warp(_finalTime());
        _settle(_finalOf(id));
        vm.warp(_finalTime() + DISPUTE);
        _settleReverts(
            _statement(id, 2, a, b),
            abi.encodeWithSelector(ICampaignEscrow.StatementFinal.selector, id)
        );
    }

    function test_RevertWhen_QuorumIsForAnotherStatement() public {
        Statement memory statement = _statement(id, 1, a, b);
        Quorum memory quorum = _quorum(escrow.statementDigest(statement), 2);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.SignaturesTooFew.selector, 2, 3));
        escrow.settle(statement, quorum);
        quorum = _quorum(escrow.statementDigest(statement), 3);
        statement.linesTotal += 1;
        vm.expectRevert();
        escrow.settle(statement, quorum);
    }

    /// @dev The quorum is the campaign's own set's, not the log's.
    function test_RevertWhen_SignedByAnotherSet() public {
        Terms memory terms = _terms();
        terms.attestorSet = eventLog.createAttestorSet(_newAttestors("own", 3), 2);
        uint32 other = _open(terms);
        _fund(other, 10_000 * DOLLAR);
        Statement memory statement = _statement(other, 1, a, b);
        Quorum memory quorum = _quorum(escrow.statementDigest(statement), 5);
        vm.expectRevert();
        escrow.settle(statement, quorum);
    }

    function _sequenceWrong(uint32 expected, uint32 found) internal view returns (bytes memory) {
        return abi.encodeWithSelector(ICampaignEscrow.SequenceWrong.selector, id, expected, found);
    }
}
