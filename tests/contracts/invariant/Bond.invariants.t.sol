// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OperatorBond} from "adtally/OperatorBond.sol";
import {Test} from "../support/Test.sol";
import {BondActors} from "./actors/BondActors.sol";

/// @notice The numbered invariants of README.md about the operator's bond.
contract BondInvariants is Test {
    BondActors internal actors;

    function setUp() public {
        actors = new BondActors();
        actors.setUp();
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(actors);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        bytes4[] memory selectors = new bytes4[](13);
        selectors[0] = BondActors.time_passes.selector;
        selectors[1] = BondActors.operator_logsABatch.selector;
        selectors[2] = BondActors.operator_anchors.selector;
        selectors[3] = BondActors.operator_changesItsKey.selector;
        selectors[4] = BondActors.operator_lies.selector;
        selectors[5] = BondActors.operator_requestsWithdrawal.selector;
        selectors[6] = BondActors.operator_withdraws.selector;
        selectors[7] = BondActors.anyone_deposits.selector;
        selectors[8] = BondActors.stranger_donates.selector;
        selectors[9] = BondActors.finder_provesALie.selector;
        selectors[10] = BondActors.stranger_accuses.selector;
        selectors[11] = BondActors.anyone_reportsLateness.selector;
        // Nothing can be accused before something was promised and anchored.
        selectors[12] = BondActors.operator_logsABatch.selector;
        list = new FuzzSelector[](1);
        list[0] = FuzzSelector(address(actors), selectors);
    }

    /// @dev 11. The contract holds the bond and what was burned; the bond is what was deposited
    /// less penalties and withdrawals.
    function invariant_11_TheBondIsThere() public view {
        (OperatorBond bond, uint256 balance) = actors.parts();
        uint256 left = actors.deposited() - actors.penalties() - actors.withdrawn();
        assertEq(bond.bond(), left, "bond");
        assertGe(balance, left + bond.burned(), "balance");
    }

    /// @dev 12. At least half of every penalty is burned: no finder, the operator neither, gains
    /// by a breach.
    function invariant_12_HalfIsBurned() public view {
        (OperatorBond bond,) = actors.parts();
        uint256 penalties = actors.penalties();
        assertGe(2 * uint256(bond.burned()), penalties, "burned");
        assertLe(2 * uint256(bond.burned()), penalties + actors.proven(), "an odd unit each");
    }

    /// @dev 13. Nothing that an honest operator signed and logged is ever punished.
    function invariant_13_HonestyIsNeverPunished() public view {
        uint256 count = actors.breachCount();
        assertTrue(count == 0, count == 0 ? "" : actors.breaches(0));
    }

    /// @dev A long random run proves lies: the invariants are not vacuous.
    function test_ActorsGetFar() public {
        bytes4[] memory selectors = this.targetSelectors()[0].selectors;
        for (uint256 i = 0; i < 1500; ++i) {
            bytes32 dice = keccak256(abi.encode("dice", i));
            bytes memory call_ = abi.encodePacked(
                selectors[uint256(dice) % selectors.length],
                keccak256(abi.encode(dice, 1)),
                keccak256(abi.encode(dice, 2)),
                keccak256(abi.encode(dice, 3)),
                keccak256(abi.encode(dice, 4))
            );
            (bool success,) = address(actors).call(call_);
            assertTrue(success, "no action reverts");
        }
        assertGe(actors.proven(), 5, "breaches");
        assertGe(actors.withdrawn(), 1, "withdrawals");
        invariant_11_TheBondIsThere();
        invariant_12_HalfIsBurned();
        invariant_13_HonestyIsNeverPunished();
    }
}
