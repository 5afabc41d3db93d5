// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {Rates} from "adtally/types/DataTypes.sol";
import {Objection} from "adtally/types/EscrowStorage.sol";
import {Stage} from "./Stage.sol";

/// @notice What the advertiser does, honest and not.
abstract contract Advertiser is Stage {
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;
    uint256 internal constant FUNDER_KEY = 0xF00D;

    function advertiser_funds(uint256 which, uint256 amount) external counted("funds") {
        uint32 id = _pick(which);
        if (escrow.paused() || escrow.campaign(id).latest.isFinal) return;
        MockDollar token = tokens[id - 1];
        address from = accountOf(ADVERTISER);
        amount = bound(amount, 1, 10_000 * DOLLAR);
        token.mint(from, amount);
        vm.prank(from);
        token.approve(address(escrow), amount);
        uint256 before = _balance(id);
        vm.prank(from);
        try escrow.fund(id, amount) {
            ghosts[id].deposits += _balance(id) - before;
        } catch {}
    }

    /// @dev Somebody who sees the permit uses it first: the deposit goes through all the same.
    function advertiser_fundsByPermit(uint256 which, uint256 amount, uint256 isFrontRun)
        external
        counted("permits")
    {
        uint32 id = _pick(which);
        bool isPlain = id == PLAIN || id == BETRAYED || id == EIGHTEEN || id == BLOCKING;
        if (!isPlain || escrow.paused() || escrow.campaign(id).latest.isFinal) return;
        MockDollar token = tokens[id - 1];
        amount = bound(amount, 1, 10_000 * DOLLAR);
        address funder = vm.addr(FUNDER_KEY);
        token.mint(funder, amount);
        (uint8 v, bytes32 r, bytes32 s) = _permit(token, funder, amount);
        if (isFrontRun % 2 == 0) {
            token.permit(funder, address(escrow), amount, block.timestamp, v, r, s);
        }
        vm.prank(funder);
        try escrow.fundWithPermit(id, amount, block.timestamp, v, r, s) {
            ghosts[id].deposits += amount;
        } catch {
            breaches.push("a permit was griefed");
        }
    }

    function advertiser_refunds(uint256 which) external counted("refunds") {
        uint32 id = _pick(which);
        uint256 before = _balance(id);
        vm.prank(accountOf(ADVERTISER));
        try escrow.refund(id) {
            ghosts[id].refunds += before - _balance(id);
            _noteBooked(id);
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

    function advertiser_objects(uint256 which) external counted("objections") {
        uint32 id = _pick(which);
        uint256 count = submissions[id].length;
        if (count == 0) return;
        ICampaignEscrow.CampaignView memory before = escrow.campaign(id);
        MockDollar token = tokens[id - 1];
        address from = accountOf(ADVERTISER);
        token.mint(from, OBJECTION_BOND);
        uint256 balance = _balance(id);
        vm.prank(from);
        token.approve(address(escrow), OBJECTION_BOND);
        vm.prank(from);
        try escrow.objectTo(id, before.latest.sequence, "why") {
            ++calls["objected"];
            ghosts[id].bond += _balance(id) - balance;
            Submitted storage last = submissions[id][count - 1];
            last.activatesAt += DISPUTE;
            if (++last.objections > 1) breaches.push("a window was extended twice");
            if (block.timestamp >= before.closesAt) breaches.push("objected after closing");
        } catch {}
    }

    function anyone_releasesTheBond(uint256 which) external counted("releases") {
        uint32 id = _pick(which);
        Objection objection = escrow.campaign(id).objection;
        uint256 before = _balance(id);
        try escrow.releaseObjectionBond(id) returns (address to) {
            ++calls["released"];
            ghosts[id].bond -= before - _balance(id);
            bool isBurned = to == BURN;
            if (isBurned != (objection == Objection.Rejected)) {
                breaches.push("a bond went to the wrong side");
            }
        } catch {}
    }

    function anyone_books(uint256 which) external {
        uint32 id = _pick(which);
        escrow.bookPayouts(id);
        _noteBooked(id);
    }

    function _noteBooked(uint32 id) internal {
        ghosts[id].booked = ghosts[id].claims + ghosts[id].cuts;
    }

    function _permit(MockDollar token, address owner, uint256 amount)
        internal
        view
        returns (uint8, bytes32, bytes32)
    {
        bytes32 typeHash = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        bytes32 structHash = keccak256(
            abi.encode(
                typeHash, owner, address(escrow), amount, token.nonces(owner), block.timestamp
            )
        );
        return vm.sign(
            FUNDER_KEY, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash))
        );
    }
}
