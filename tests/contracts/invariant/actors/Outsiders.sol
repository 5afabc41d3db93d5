// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {ClaimLine, Quorum} from "adtally/types/DataTypes.sol";
import {BlocklistToken, FalseReturnToken, RebasingToken} from "../../support/HostileTokens.sol";
import {Stage} from "./Stage.sol";

/// @notice Registrar and authority turned hostile, strangers, and tokens with a will of their own.
abstract contract Outsiders is Stage {
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
        MockDollar token = tokens[_pick(which) - 1];
        uint256 owed = escrow.liabilities(address(token));
        try escrow.recoverSurplus(address(token), address(0x5757)) {
            if (token.balanceOf(address(escrow)) != owed) {
                breaches.push("surplus recovery touched the escrow");
            }
        } catch {}
    }

    function stranger_donates(uint256 which, uint256 amount) external {
        tokens[_pick(which) - 1].mint(address(escrow), amount % DOLLAR);
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
        if (submissions[id].length == 0 || id == wrong) return;
        ClaimLine memory line = _lastLine(id, PUB_A);
        try escrow.claim(wrong, line) {
            breaches.push("a line was paid in another campaign");
        } catch {}
    }

    function token_blocks(uint256 dice) external {
        BlocklistToken token = BlocklistToken(address(tokens[BLOCKING - 1]));
        address payee = membership.payoutOf(PUB_A);
        // The escrow itself blocked: nothing of that token could come in, which concerns nobody.
        if (payee != address(escrow)) token.setBlocked(payee, dice % 2 == 0);
    }

    function token_lies(uint256 dice) external {
        FalseReturnToken(address(tokens[FALSE_RETURN - 1])).setFailing(dice % 2 == 0);
    }

    function token_shrinks(uint256 amount) external {
        uint256 some = bound(amount, 0, 100 * DOLLAR);
        RebasingToken(address(tokens[REBASING - 1])).shrink(address(escrow), some);
    }
}
