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
        try escrow.claim(line) {
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

    function anyone_claimsMany(uint256 which, uint256 other) external counted("claimsMany") {
        uint32[2] memory ids = [_pick(which), _pick(other)];
        if (ids[0] == ids[1]) return;
        if (submissions[ids[0]].length == 0 || submissions[ids[1]].length == 0) return;
        ClaimLine[] memory lines = new ClaimLine[](4);
        uint256[2] memory before = [_balance(ids[0]), _balance(ids[1])];
        uint256[2] memory claimed = [_claimed(ids[0]), _claimed(ids[1])];
        for (uint256 i = 0; i < 2; ++i) {
            lines[2 * i] = _lastLine(ids[i], PUB_A);
            lines[2 * i + 1] = _lastLine(ids[i], PUB_B);
        }
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
        bytes memory call_ = abi.encodeCall(escrow.claim, (_lastLine(id, inner)));
        token.arm(address(escrow), call_, isBefore % 2 == 0);
        uint256 before = _balance(id);
        try escrow.claim(line) {
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
