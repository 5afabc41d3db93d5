// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {MockDollar} from "adtally/mocks/MockDollar.sol";

/// @notice Keeps 1 % of every transfer.
contract FeeToken is MockDollar("FEE", 6) {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : value / 100;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// @notice Refuses transfers to listed addresses.
contract BlocklistToken is MockDollar("BLOCK", 6) {
    mapping(address account => bool) public isBlocked;

    error Blocked(address account);

    function setBlocked(address account, bool blocked) external {
        isBlocked[account] = blocked;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (isBlocked[to]) revert Blocked(to);
        super._update(from, to, value);
    }
}

/// @notice Answers false instead of reverting while `isFailing`.
contract FalseReturnToken is MockDollar("FALSE", 6) {
    bool public isFailing;

    function setFailing(bool failing) external {
        isFailing = failing;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return !isFailing && super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        return !isFailing && super.transferFrom(from, to, value);
    }
}

/// @notice Calls back into a target once during every transfer, before and after the money moves.
contract ReentrantToken is MockDollar("AGAIN", 6) {
    address public target;
    bytes public call_;
    bool public hasReentered;
    bool public isBefore;

    function arm(address target_, bytes calldata call, bool before) external {
        target = target_;
        call_ = call;
        isBefore = before;
        hasReentered = false;
    }

    /// @dev So that what it calls back for can be paid by the token itself.
    function allow(address spender) external {
        _approve(address(this), spender, type(uint256).max);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (isBefore) _reenter();
        super._update(from, to, value);
        if (!isBefore) _reenter();
    }

    function _reenter() private {
        if (target == address(0)) return;
        address callee = target;
        target = address(0);
        // The outcome is the test's business.
        (hasReentered,) = callee.call(call_);
    }
}

/// @notice Calls back during a transfer, then says that it failed.
contract LyingReentrantToken is MockDollar("LATE", 6) {
    address public target;
    bytes public call_;

    function arm(address target_, bytes calldata call) external {
        target = target_;
        call_ = call;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        if (target == address(0)) return super.transfer(to, value);
        address callee = target;
        target = address(0);
        (bool success,) = callee.call(call_);
        return !success && super.transfer(to, value);
    }
}

/// @notice Gives one unit more than was asked for.
contract GenerousToken is MockDollar("MORE", 6) {
    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        _mint(to, 1);
        return super.transferFrom(from, to, value);
    }
}

/// @notice Balances shrink by themselves.
contract RebasingToken is MockDollar("SHRINK", 6) {
    function shrink(address holder, uint256 amount) external {
        uint256 balance = balanceOf(holder);
        _burn(holder, amount < balance ? amount : balance);
    }
}
