// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CampaignEscrow} from "adtally/CampaignEscrow.sol";
import {EventLog} from "adtally/EventLog.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {Checkpoint, ClaimLine, Counts, Quorum, Statement} from "adtally/types/DataTypes.sol";
import {LogTree} from "../support/LogTree.sol";
import {World} from "../support/World.sol";

/// @notice Two escrows on one log, and old campaigns on a log that was taken over.
contract SharedLogTest is World {
    Counts internal a;
    Counts internal b;

    function setUp() public override {
        super.setUp();
        a = _counts(1001, 10);
        b = _counts(2001, 3);
    }

    /// @dev One anchor serves both; neither takes the other's statements, lines or money.
    function test_TwoEscrows_ShareAnchorsAndNothingElse() public {
        CampaignEscrow first = escrow;
        CampaignEscrow second = new CampaignEscrow(address(authority), eventLog, 1000);
        uint32 id = _running();
        escrow = second;
        assertEq(_running(), 1000, "ids from a range of its own");
        _anchor(5);

        Statement memory statement = _statement(1000, 1, a, b);
        Quorum memory quorum = _quorum(second.statementDigest(statement), THRESHOLD);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 1000));
        first.settle(statement, quorum);
        second.settle(statement, quorum);
        ClaimLine memory line = _line(1000, PUB_A, a, b);

        escrow = first;
        Statement memory other = _statement(id, 1, a, b);
        quorum = _quorum(second.statementDigest(other), THRESHOLD);
        vm.expectRevert();
        first.settle(other, quorum);
        _settle(other);
        vm.warp(block.timestamp + DISPUTE);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.LineNotProven.selector, id, PUB_A));
        first.claim(id, line);
        assertEq(second.claim(1000, line), _amount(a), "its own line");
        assertEq(first.campaign(id).claimed, 0, "the other's money is untouched");
    }

    /// @dev After a takeover old campaigns run out on the old contracts, new ones use the new log.
    function test_Takeover_OldCampaignsRunOut() public {
        uint32 id = _running();
        _anchor(5);
        _settle(_statement(id, 1, a, b));
        EventLog old = eventLog;
        CampaignEscrow oldEscrow = escrow;

        eventLog = _newLog(_checkpoint(5));
        escrow = new CampaignEscrow(address(authority), eventLog, 1000);
        uint32 next = _running();
        _anchor(9);
        _settle(_statement(next, 1, a, b));
        vm.warp(block.timestamp + DISPUTE);
        assertEq(escrow.claim(next, _line(next, PUB_A, a, b)), _amount(a), "new");
        escrow = oldEscrow;
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), _amount(a), "old");
        assertEq(old.headSize(), 5, "the old log stands where it was");

        // Entries behind the takeover are not in the old log, until somebody anchors them there.
        Statement memory late = _statement(id, 2, a, b);
        late.treeSize = 9;
        _settleReverts(late, abi.encodeWithSelector(IEventLog.TreeNotAnchored.selector, 9, 5));
        Checkpoint memory head = _checkpoint(9);
        old.anchor(
            _checkpoint(5),
            head,
            LogTree.consistencyProof(logLeaves, 5, 9),
            _quorum(old.checkpointDigest(head), THRESHOLD)
        );
        _settle(late);
    }
}
