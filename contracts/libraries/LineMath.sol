// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Counts} from "adtally/types/DataTypes.sol";
import {StoredOrder} from "adtally/types/EscrowStorage.sol";

/// @title What counts and rates amount to
/// @dev All amounts in base units. Counts are 64 and rates 80 bits wide, so no product or sum here
/// comes near 256 bits.
library LineMath {
    uint256 internal constant MILLE = 1000;
    uint256 internal constant BASIS_POINTS = 10_000;

    /// @return A line's amount: counts x rates, rounded down once over the whole line, at most the
    /// order's cap.
    function lineAmount(Counts calldata counts, StoredOrder memory order)
        internal
        pure
        returns (uint88)
    {
        unchecked {
            uint256 milli = uint256(counts.impressions) * order.perMilleImpressions
                + uint256(counts.viewables) * order.perMilleViewables
                + (uint256(counts.clicks)
                    * order.perClick
                    + uint256(counts.conversions)
                    * order.perConversion) * MILLE;
            uint256 amount = milli / MILLE;
            return amount < order.cap ? uint88(amount) : order.cap;
        }
    }

    /// @return What is paid of `amount` while `holdback` basis points of it are held back, rounded
    /// down. Fits, as a holdback is at most 10,000.
    function releasedPart(uint256 amount, uint16 holdback) internal pure returns (uint256) {
        return amount * (BASIS_POINTS - holdback) / BASIS_POINTS;
    }

    /// @return One cut of `linesTotal`, rounded down. Fits, as shares are at most 10,000.
    function cutOf(uint256 linesTotal, uint16 basisPoints) internal pure returns (uint128) {
        return uint128(linesTotal * basisPoints / BASIS_POINTS);
    }

    /// @return A line's leaf in an OpenZeppelin standard tree, bound to chain, contract, campaign.
    function leaf(bytes32 domain, uint32 campaign, uint32 publisher, Counts calldata counts)
        internal
        pure
        returns (bytes32)
    {
        bytes32 inner = keccak256(abi.encode(domain, campaign, publisher, counts));
        return keccak256(abi.encode(inner));
    }
}
