// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {LineMath} from "adtally/libraries/LineMath.sol";
import {Counts} from "adtally/types/DataTypes.sol";
import {StoredOrder} from "adtally/types/EscrowStorage.sol";

/// @notice Claim arithmetic, for every input at once: halmos proves each `check_` function.
/// @dev A product of unknowns divided by 1,000 or 10,000 is beyond the solvers (yices and z3 gave up
/// after 20 seconds): that amounts are floored and grow with the counts, and that cuts and released
/// parts never exceed their whole, is left to tests/contracts/fuzz/Money.t.sol.
contract LineMathSymbolic {
    function check_LineAmount_NeverAboveTheCap(Counts calldata counts, StoredOrder memory order)
        external
        pure
    {
        assert(LineMath.lineAmount(counts, order) <= order.cap);
    }

    function check_LineAmount_NothingForNothing(StoredOrder memory order) external view {
        assert(this.lineAmount(Counts(0, 0, 0, 0), order) == 0);
    }

    function check_LineAmount_NothingWithoutRates(Counts calldata counts, uint88 cap)
        external
        pure
    {
        StoredOrder memory order;
        order.cap = cap;
        assert(LineMath.lineAmount(counts, order) == 0);
    }

    function check_ReleasedPart_NothingOfNothing(uint16 holdback) external pure {
        if (holdback > 10_000) return;
        assert(LineMath.releasedPart(0, holdback) == 0);
    }

    function check_CutOf_NothingWithoutShare(uint128 linesTotal) external pure {
        assert(LineMath.cutOf(linesTotal, 0) == 0);
    }

    /// @dev A line proves in one campaign of one contract on one chain, for one publisher and one
    /// set of counts (as far as Keccak-256 has no collisions).
    function check_Leaf_BindsAllThatItIsOf(
        bytes32[2] calldata domains,
        uint32[2] calldata campaigns,
        uint32[2] calldata publishers,
        Counts calldata one,
        Counts calldata other
    ) external pure {
        if (
            LineMath.leaf(domains[0], campaigns[0], publishers[0], one)
                != LineMath.leaf(domains[1], campaigns[1], publishers[1], other)
        ) return;
        assert(domains[0] == domains[1]);
        assert(campaigns[0] == campaigns[1]);
        assert(publishers[0] == publishers[1]);
        assert(one.impressions == other.impressions && one.viewables == other.viewables);
        assert(one.clicks == other.clicks && one.conversions == other.conversions);
    }

    function lineAmount(Counts calldata counts, StoredOrder memory order)
        external
        pure
        returns (uint256)
    {
        return LineMath.lineAmount(counts, order);
    }
}
