// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CampaignEscrow} from "adtally/CampaignEscrow.sol";
import {EventLog} from "adtally/EventLog.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {ClaimLine} from "adtally/types/DataTypes.sol";
import {BlocklistToken, FalseReturnToken} from "../support/HostileTokens.sol";
import {Advertiser} from "./actors/Advertiser.sol";
import {Attestors} from "./actors/Attestors.sol";
import {Outsiders} from "./actors/Outsiders.sol";
import {Payees} from "./actors/Payees.sol";

/// @notice Everybody on one stage, and the end of the play.
/// @dev Inputs are bounded so that most calls succeed; what must never succeed counts in
/// `breaches`.
contract Actors is Advertiser, Payees, Attestors, Outsiders {
    function time_passes(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 18 hours));
    }

    /// @dev The seconds around a campaign's closing are where rules meet. Seldom, because most of
    /// the play is before.
    function time_reachesAClosing(uint256 which, uint256 around) external {
        if (around % 64 > 2) return;
        uint256 moment = escrow.campaign(_pick(which)).closesAt + around % 64;
        if (moment > block.timestamp) vm.warp(moment - 1);
    }

    /// @dev Everything in one second: cuts are paid as high as they go, then a total falls.
    function everybody_rushesAtAClosing(uint256 which, uint256 around, uint256 shows)
        external
        counted("rushes")
    {
        if (around % 8 > 2) return;
        // Mostly where no dispute window comes between.
        uint32 id = which % 4 == 0 ? _pick(which / 4) : IMMEDIATE;
        uint256 moment = escrow.campaign(id).closesAt + around % 8;
        if (moment > block.timestamp) vm.warp(moment - 1);
        _payCut(id, 0);
        _payCut(id, 1);
        _correct(id, shows, shows, false);
    }

    function parts() external view returns (CampaignEscrow, EventLog) {
        return (escrow, eventLog);
    }

    /// @dev Operator, registrar, authority gone and hostile; time passes; everybody leaves.
    function everybodyLeaves() external {
        if (!escrow.paused()) escrow.pause();
        BlocklistToken blocklist = BlocklistToken(address(tokens[BLOCKING - 1]));
        FalseReturnToken(address(tokens[FALSE_RETURN - 1])).setFailing(false);
        blocklist.setBlocked(membership.payoutOf(PUB_A), false);
        for (uint32 id = 1; id <= 6; ++id) {
            membership.setRoles(id, 0);
            membership.renewKyc(id, 0, 0);
        }
        for (uint32 i = 0; i < 2; ++i) {
            vm.prank(accountOf(i == 0 ? PUB_A : PUB_B));
            membership.requestPayoutChange(payoutOf(i == 0 ? PUB_A : PUB_B));
        }
        vm.warp(block.timestamp + 365 days);
        blocklist.setBlocked(payoutOf(PUB_A), false);
        for (uint32 id = 1; id <= CAMPAIGNS; ++id) {
            // A token that shrank may not have enough left; its campaign is on its own.
            if (id != REBASING) _leave(id);
        }
        for (uint32 id = 1; id <= CAMPAIGNS; ++id) {
            escrow.bookPayouts(id);
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
        if (ghosts[id].bond != 0) escrow.releaseObjectionBond(id);
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
        try escrow.claim(id, line) {}
        catch {
            assertTrue(!last.isHonest, "an honest line must be payable");
        }
    }
}
