// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {CampaignStore} from "adtally/escrow/CampaignStore.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {StoredCampaign} from "adtally/types/EscrowStorage.sol";

/// @title Money in, and tokens that nobody is owed
/// @dev What a deposit brings is known only after the transfer, so the effect follows the
/// interaction; a guard keeps two measurements apart.
abstract contract CampaignFunding is CampaignStore, AccessManaged, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// @inheritdoc ICampaignEscrow
    function fund(uint32 id, uint256 amount) external override whenNotPaused nonReentrant {
        _fund(id, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function fundWithPermit(
        uint32 id,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external override whenNotPaused nonReentrant {
        // Interaction: whether the permit was needed shows when the transfer is tried. Effects
        // follow in _fund, under the same guard.
        address token = _known(id).token;
        // solhint-disable no-empty-blocks
        // slither-disable-next-line reentrancy-no-eth,reentrancy-benign
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {}
            catch {}
        // solhint-enable no-empty-blocks
        _fund(id, amount);
    }

    /// @inheritdoc ICampaignEscrow
    function bookPayouts(uint32 id) external override {
        _bookPayouts(_known(id));
    }

    /// @inheritdoc ICampaignEscrow
    function recoverSurplus(address token, address to)
        external
        override
        restricted
        nonReentrant
        returns (uint256 amount)
    {
        // Check
        uint256 balance = IERC20(token).balanceOf(address(this));
        uint256 owed = liabilities[token];
        if (balance <= owed) revert AmountZero();
        amount = balance - owed;

        // Effect
        emit SurplusRecovered(token, to, amount);

        // Interaction
        IERC20(token).safeTransfer(to, amount);
    }

    function _fund(uint32 id, uint256 amount) internal {
        // Check
        StoredCampaign storage stored = _known(id);
        if (stored.isFinal) revert CampaignClosed(id);

        // Interaction
        uint256 received = _receive(stored.token, amount);

        // Effect: after the interaction, because only now it is known what arrived.
        // Strictly nothing: any unit is a deposit.
        // slither-disable-next-line incorrect-equality
        if (received == 0) revert AmountZero();
        uint128 deposit = stored.deposit + SafeCast.toUint128(received);
        stored.deposit = deposit;
        emit Funded(id, msg.sender, uint128(received), deposit + stored.refunded);
    }

    /// @dev The caller's tokens, owed from now on. Only under the reentrancy guard.
    /// @return received What the balance has grown by.
    function _receive(address token, uint256 amount) internal returns (uint256 received) {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        received = IERC20(token).balanceOf(address(this)) - before;
        liabilities[token] += received;
    }

    /// @dev Claims and cuts write their campaign only; the token's total follows here. Until then
    /// it is too high, so that no surplus is seen where there is none.
    function _bookPayouts(StoredCampaign storage stored) internal {
        uint128 paidOut = stored.claimed + _cutsPaid(stored);
        uint128 unbooked = paidOut - stored.booked;
        if (unbooked == 0) return;
        stored.booked = paidOut;
        liabilities[stored.token] -= unbooked;
    }

    /// @dev A payout that is undone may have been booked meanwhile, by a token that called back.
    function _unbook(StoredCampaign storage stored) internal {
        uint128 paidOut = stored.claimed + _cutsPaid(stored);
        if (stored.booked <= paidOut) return;
        liabilities[stored.token] += stored.booked - paidOut;
        stored.booked = paidOut;
    }
}
