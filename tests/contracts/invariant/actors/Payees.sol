// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ClaimLine} from "adtally/types/DataTypes.sol";
import {ReentrantToken} from "../../support/HostileTokens.sol";
import {Stage} from "./Stage.sol";

/// @notice What publishers, intermediaries and whoever pushes their money do.
abstract contract Payees is Stage {
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
        uint256 paid = escrow.order(id, publisher).paid;
        try escrow.claim(id, line) {
            uint256 moved = before - _balance(id);
            ghosts[id].claims += moved;
            // Two statements may have the same lines; then either one's is in both.
            if (escrow.campaign(id).active.linesRoot != entry.statement.linesRoot) {
                breaches.push("a line of a statement that is not active was paid");
            }
            uint256 due = _released(id, _due(id, publisher, line.counts));
            if (moved != (due > paid ? due - paid : 0)) breaches.push("a claim paid another sum");
            _notePaid(id, publisher);
        } catch {}
    }

    /// @dev With proofs whole, or with the second half of A's given for all.
    function anyone_claimsMany(uint256 which, uint256 isHalved) external counted("claimsMany") {
        uint32 id = _pick(which);
        if (submissions[id].length == 0) return;
        ClaimLine[] memory lines = new ClaimLine[](2);
        lines[0] = _lastLine(id, PUB_A);
        lines[1] = _lastLine(id, PUB_B);
        bytes32[] memory nodeProof = new bytes32[](0);
        bytes32 node = escrow.campaign(id).latest.linesRoot;
        if (isHalved % 2 == 0) {
            node = escrow.lineLeaf(id, PUB_A, lines[0].counts);
            (nodeProof, lines[0].proof) = (lines[0].proof, nodeProof);
        }
        uint256 before = _balance(id);
        uint256 claimed = _claimed(id);
        uint256 paidB = escrow.order(id, PUB_B).paid;
        try escrow.claimMany(id, node, nodeProof, lines) returns (uint128 total) {
            uint256 paid = _claimed(id) - claimed;
            ghosts[id].claims += paid;
            _notePaid(id, PUB_A);
            _notePaid(id, PUB_B);
            if (paid != total || before - _balance(id) != total) {
                breaches.push("claimMany moved another sum");
            }
            if (isHalved % 2 == 0 && escrow.order(id, PUB_B).paid != paidB) {
                breaches.push("a line was paid that leads elsewhere");
            }
        } catch {}
    }

    /// @dev The token calls back with the other publisher's line, or the same one again.
    function token_reenters(uint256 isA, uint256 isSame, uint256 isBefore)
        external
        counted("reentries")
    {
        uint32 id = REENTRANT;
        if (submissions[id].length == 0) return;
        ReentrantToken token = ReentrantToken(address(tokens[id - 1]));
        uint32 outer = isA % 2 == 0 ? PUB_A : PUB_B;
        uint32 inner = isSame % 2 == 0 ? outer : outer == PUB_A ? PUB_B : PUB_A;
        ClaimLine memory line = _lastLine(id, outer);
        bytes memory call_ = abi.encodeCall(escrow.claim, (id, _lastLine(id, inner)));
        token.arm(address(escrow), call_, isBefore % 2 == 0);
        uint256 before = _balance(id);
        try escrow.claim(id, line) {
            ghosts[id].claims += before - _balance(id);
            _notePaid(id, PUB_A);
            _notePaid(id, PUB_B);
        } catch {}
        token.arm(address(0), "", false);
    }

    function anyone_paysCut(uint256 which, uint256 index) external counted("cuts") {
        _payCut(_pick(which), index % 2);
    }

    function _payCut(uint32 id, uint256 index) internal {
        uint256 before = _balance(id);
        try escrow.payCut(id, index) {
            ghosts[id].cuts += before - _balance(id);
        } catch {}
    }

    function publisher_changesPayout(uint256 isA, uint256 to) external {
        uint32 publisher = isA % 2 == 0 ? PUB_A : PUB_B;
        address payout = to % 8 == 0 ? address(escrow) : address(uint160(0xDD00 + to % 64));
        vm.prank(accountOf(publisher));
        membership.requestPayoutChange(payout);
    }
}
