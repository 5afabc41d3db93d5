// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Play money for local chains and tests: anyone may mint
contract MockDollar is ERC20Permit {
    uint8 internal immutable DECIMALS;

    /// @param symbol_ Each token of a chain has its own.
    /// @param decimals_ 6 or 18, like the dollars in use.
    constructor(string memory symbol_, uint8 decimals_)
        ERC20("Mock Dollar", symbol_)
        ERC20Permit("Mock Dollar")
    {
        DECIMALS = decimals_;
    }

    /// @notice Create `amount` base units for `to`.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc ERC20
    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }
}
