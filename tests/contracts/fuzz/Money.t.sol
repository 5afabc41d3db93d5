// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {LineMath} from "adtally/libraries/LineMath.sol";
import {ClaimLine, Counts, Statement} from "adtally/types/DataTypes.sol";
import {StoredOrder} from "adtally/types/EscrowStorage.sol";
import {ClaimTree} from "../support/ClaimTree.sol";
import {World} from "../support/World.sol";

contract LineMathHarness {
    function lineAmount(Counts calldata counts, StoredOrder memory order)
        external
        pure
        returns (uint128)
    {
        return LineMath.lineAmount(counts, order);
    }
}

/// @notice Amounts over their whole range, and a campaign's money from deposit to the last unit.
contract MoneyFuzzTest is World {
    LineMathHarness internal math;

    function setUp() public override {
        super.setUp();
        math = new LineMathHarness();
        _anchor(5);
    }

    /// @dev Any counts and rates: no overflow, never above the cap, floored once.
    function testFuzz_LineAmount_IsFlooredAndCapped(
        Counts calldata counts,
        StoredOrder memory order
    ) public view {
        uint256 milli = uint256(counts.impressions) * order.perMilleImpressions
            + uint256(counts.viewables) * order.perMilleViewables + uint256(counts.clicks) * 1000
            * order.perClick + uint256(counts.conversions) * 1000 * order.perConversion;
        uint256 amount = math.lineAmount(counts, order);
        assertLe(amount, order.cap, "cap");
        if (amount < order.cap) {
            assertLe(amount * 1000, milli, "not above");
            assertGe(amount * 1000 + 999, milli, "less than a unit below");
        } else {
            assertGe(milli / 1000, order.cap, "capped only if reached");
        }
    }

    /// @dev More events never make a line smaller.
    function testFuzz_LineAmount_NeverFallsAsCountsGrow(
        Counts memory counts,
        uint64 more,
        StoredOrder memory order
    ) public view {
        uint256 before = math.lineAmount(counts, order);
        counts.clicks = uint64(bound(more, counts.clicks, type(uint64).max));
        assertGe(math.lineAmount(counts, order), before, "monotonic");
    }

    function testFuzz_Cuts_NeverExceedTheirTotal(uint128 total, uint16 first, uint16 second)
        public
        pure
    {
        first = uint16(bound(first, 0, 10_000));
        second = uint16(bound(second, 0, 10_000 - first));
        uint256 sum = uint256(LineMath.cutOf(total, first)) + LineMath.cutOf(total, second);
        assertLe(sum, total, "sum of cuts");
    }

    /// @dev Funded = claims + cuts + refund to the unit, and the escrow ends empty.
    function testFuzz_Campaign_EndsEmpty(uint32 shows, uint16 clicks, uint64 extra) public {
        uint32 id = _open(_terms());
        _order(id, PUB_A, CAP);
        _order(id, PUB_B, CAP);
        Counts memory a = Counts(shows, shows / 3, clicks, clicks / 7);
        Counts memory b = Counts(shows / 2, 0, clicks / 5, 0);
        uint256 total = _capped(a) + _capped(b);
        uint256 funded =
            total + total * 1000 / 10_000 + total * 333 / 10_000 + bound(extra, 1, 1e15);
        _fund(id, funded);
        vm.warp(_finalTime());
        Statement memory statement = _statement(id, 1, a, b);
        statement.linesTotal = uint128(total);
        statement.isFinal = true;
        _settle(statement);
        vm.warp(_finalTime() + DISPUTE);

        uint256 paid =
            escrow.claim(id, _line(id, PUB_A, a, b)) + escrow.claim(id, _line(id, PUB_B, a, b));
        assertEq(paid, total, "lines");
        paid += escrow.payCut(id, 0) + escrow.payCut(id, 1);
        vm.prank(accountOf(ADVERTISER));
        paid += escrow.refund(id);
        assertEq(paid, funded, "to the unit");
        assertEq(dollar.balanceOf(address(escrow)), 0, "empty");
        escrow.bookPayouts(id);
        assertEq(escrow.liabilities(address(dollar)), 0, "no liabilities");
    }

    /// @dev Neither a random proof nor a node of the tree proves a line.
    function testFuzz_Claim_NothingElseProves(uint64 shows, uint256 node, bytes32[] memory proof)
        public
    {
        uint32 id = _running();
        Counts memory a = _counts(1000, 1);
        Counts memory b = _counts(2000, 2);
        _settle(_statement(id, 1, a, b));
        vm.warp(START + DISPUTE);
        vm.assume(shows != a.impressions);
        ClaimLine memory line = ClaimLine(PUB_A, _counts(shows, 1), proof);
        vm.expectRevert();
        escrow.claim(id, line);
        line = _line(id, PUB_A, a, b);
        line.counts.impressions = shows;
        bytes32[] memory tree = _tree(id, a, b);
        line.proof[0] = tree[node % tree.length];
        vm.expectRevert();
        escrow.claim(id, line);
    }

    /// @dev The tests' tree is sound for any number of lines.
    function testFuzz_ClaimTree_EveryLeafProves(uint8 count) public pure {
        bytes32[] memory leaves = new bytes32[](bound(count, 1, 40));
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(abi.encode(count, i));
        }
        bytes32[] memory tree = ClaimTree.build(leaves);
        for (uint256 i = 0; i < leaves.length; ++i) {
            bytes32[] memory proof = ClaimTree.proof(tree, leaves[i]);
            bytes32 node = leaves[i];
            for (uint256 j = 0; j < proof.length; ++j) {
                (bytes32 low, bytes32 high) = node < proof[j] ? (node, proof[j]) : (proof[j], node);
                node = keccak256(abi.encode(low, high));
            }
            assertEq(node, tree[0], "root");
        }
    }

    function _capped(Counts memory counts) internal pure returns (uint256) {
        uint128 amount = _amount(counts);
        return amount < CAP ? amount : CAP;
    }
}
