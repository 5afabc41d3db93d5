// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Terms} from "adtally/types/DataTypes.sol";

/// @title What a campaign's terms must satisfy
/// @notice A contract of its own only because the escrow would be too large with it; it has no
/// state and the escrow creates it.
interface ITermsPolicy {
    /// @notice Revert with ICampaignEscrow.TermsInvalid unless a campaign may be opened with
    /// `terms` now.
    /// @dev The token is a contract. The flight is not empty, not over, and ends at most
    /// MAX_FLIGHT_AHEAD from now; every duration is at most MAX_DURATION, so that no sum of times
    /// comes near 40 bits. The grace is at least MIN_GRACE and three dispute windows: time for the
    /// final statement, an objection to it, and the statement that decides. At most MAX_HOLDBACK is
    /// held back. There is an objection bond exactly if there is a dispute window, and a goal count
    /// exactly if there is a goal. The attestor set exists. At most MAX_CUTS cuts, each above 0,
    /// for active intermediaries, together at most 10,000 basis points.
    function requireValid(Terms calldata terms) external view;

    /// @return Longest time from opening a campaign to its flight's end, in seconds.
    function MAX_FLIGHT_AHEAD() external view returns (uint64);

    /// @return Longest late, correction and dispute window, grace and notice, in seconds.
    function MAX_DURATION() external view returns (uint32);

    /// @return Shortest grace besides three dispute windows, in seconds: what was earned and not
    /// yet stated can still be stated then, whatever the advertiser does.
    function MIN_GRACE() external view returns (uint32);

    /// @return Highest holdback in basis points.
    function MAX_HOLDBACK() external view returns (uint16);

    /// @return Most cuts of a campaign.
    function MAX_CUTS() external view returns (uint256);
}
