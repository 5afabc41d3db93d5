// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OperatorBond} from "adtally/OperatorBond.sol";
import {IOperatorBond} from "adtally/interfaces/IOperatorBond.sol";
import {Checkpoint, Receipt} from "adtally/types/DataTypes.sol";
import {FeeToken, ReentrantToken} from "../support/HostileTokens.sol";
import {BondWorld} from "../support/BondWorld.sol";

/// @notice The bond itself: deposits, withdrawals, who is paid what for a breach.
contract OperatorBondTest is BondWorld {
    function test_Deployment_IsReadable() public view {
        assertEq(address(bond.EVENT_LOG()), address(eventLog), "log");
        assertEq(bond.TOKEN(), address(dollar), "token");
        assertEq(bond.PENALTY(), PENALTY, "penalty");
        assertEq(bond.bond(), BOND, "bond");
        (uint256 amount, uint64 due) = bond.withdrawal();
        assertEq(amount + due, 0, "no withdrawal");
    }

    function test_RevertWhen_DeployedWithoutPenalty() public {
        vm.expectRevert(IOperatorBond.AmountZero.selector);
        new OperatorBond(eventLog, address(dollar), 0);
        vm.expectRevert(abi.encodeWithSelector(IOperatorBond.NotAToken.selector, address(0xBEEF)));
        new OperatorBond(eventLog, address(0xBEEF), PENALTY);
    }

    // ---------------------------------------------------------------- deposits

    function test_Deposit_ByAnyoneBooksWhatArrives() public {
        dollar = new FeeToken();
        bond = new OperatorBond(eventLog, address(dollar), PENALTY);
        dollar.mint(address(0xBEEF), 1000);
        vm.startPrank(address(0xBEEF));
        dollar.approve(address(bond), 1000);
        assertEq(bond.deposit(1000), 990, "received");
        vm.stopPrank();
        assertEq(bond.bond(), 990, "bond");
    }

    function test_Deposit_MayBeWide() public {
        uint256 wide = 1e9 * 1e18;
        _deposit(wide);
        assertEq(bond.bond(), BOND + wide, "bond");
        dollar.mint(address(this), type(uint128).max);
        dollar.approve(address(bond), type(uint128).max);
        vm.expectRevert();
        bond.deposit(type(uint128).max);
    }

    function test_RevertWhen_DepositBringsNothing() public {
        vm.expectRevert(IOperatorBond.AmountZero.selector);
        bond.deposit(0);
    }

    function test_Deposit_ReentrancyCountsOnce() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        bond = new OperatorBond(eventLog, address(dollar), PENALTY);
        dollar.mint(address(this), 100);
        dollar.approve(address(bond), 100);
        dollar.mint(address(token), 50);
        token.allow(address(bond));
        token.arm(address(bond), abi.encodeCall(bond.deposit, (50)), true);
        bond.deposit(100);
        assertEq(bond.bond(), 100, "once");
        assertEq(token.target(), address(0), "called back");
        assertTrue(!token.hasReentered(), "refused");
    }

    // ---------------------------------------------------------------- withdrawals

    function test_Withdraw_AfterTheDelay() public {
        vm.startPrank(accountOf(OPERATOR));
        bond.requestWithdrawal(uint128(4000 * DOLLAR));
        (uint256 amount, uint64 due) = bond.withdrawal();
        assertEq(amount, 4000 * DOLLAR, "announced");
        assertEq(due, START + 45 days, "from");
        vm.warp(due - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorBond.WithdrawalNotDue.selector, due - 1, due)
        );
        bond.withdraw();
        vm.warp(due);
        assertEq(bond.withdraw(), 4000 * DOLLAR, "amount");
        assertEq(dollar.balanceOf(payoutOf(OPERATOR)), 4000 * DOLLAR, "received");
        assertEq(bond.bond(), 6000 * DOLLAR, "left");
        vm.expectRevert(IOperatorBond.NothingRequested.selector);
        bond.withdraw();
        vm.stopPrank();
    }

    /// @dev What is announced stays liable: a proof in between takes it first.
    function test_Withdraw_OnlyWhatBreachesLeft() public {
        vm.prank(accountOf(OPERATOR));
        bond.requestWithdrawal(BOND);
        _breach();
        vm.warp(START + 45 days);
        vm.prank(accountOf(OPERATOR));
        assertEq(bond.withdraw(), BOND - PENALTY, "the rest");
        assertEq(bond.bond(), 0, "empty");
        assertEq(dollar.balanceOf(address(bond)), PENALTY / 2, "what is burned stays for good");
    }

    /// @dev A request can't be kept in store for the day on which a breach becomes known.
    function test_RevertWhen_TheWithdrawalLapsed() public {
        vm.startPrank(accountOf(OPERATOR));
        bond.requestWithdrawal(BOND);
        uint256 lapses = START + 52 days;
        vm.warp(lapses);
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorBond.WithdrawalLapsed.selector, lapses, lapses)
        );
        bond.withdraw();
        vm.warp(lapses + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorBond.WithdrawalLapsed.selector, lapses + 1, lapses)
        );
        bond.withdraw();
        vm.warp(lapses - 1);
        assertEq(bond.withdraw(), BOND, "in its window");
        vm.stopPrank();
    }

    function test_RequestWithdrawal_ReplacesAndCancels() public {
        vm.startPrank(accountOf(OPERATOR));
        bond.requestWithdrawal(5);
        vm.warp(START + 1 days);
        bond.requestWithdrawal(7);
        (uint256 amount, uint64 due) = bond.withdrawal();
        assertEq(amount, 7, "replaced");
        assertEq(due, START + 46 days, "and the delay starts anew");
        bond.requestWithdrawal(0);
        (amount, due) = bond.withdrawal();
        assertEq(amount + due, 0, "cancelled");
        vm.warp(START + 100 days);
        vm.expectRevert(IOperatorBond.NothingRequested.selector);
        bond.withdraw();
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorBond.BondInsufficient.selector, BOND, BOND + 1)
        );
        bond.requestWithdrawal(BOND + 1);
        vm.stopPrank();
    }

    function test_RevertWhen_NotTheOperator() public {
        bytes memory reason =
            abi.encodeWithSelector(IOperatorBond.NotOperator.selector, address(this));
        vm.expectRevert(reason);
        bond.requestWithdrawal(1);
        vm.expectRevert(reason);
        bond.withdraw();
    }

    // ---------------------------------------------------------------- penalties

    function test_Breach_HalfToTheFinderHalfBurned() public {
        _breach();
        assertEq(dollar.balanceOf(FINDER), PENALTY / 2, "finder");
        assertEq(bond.burned(), PENALTY / 2, "burned");
        assertEq(bond.bond(), BOND - PENALTY, "left");
    }

    /// @dev An odd penalty: the odd unit is burned, so the finder never has more than half.
    function test_Breach_OddUnitIsBurned() public {
        bond = new OperatorBond(eventLog, address(dollar), 7);
        _deposit(7);
        _breach();
        assertEq(dollar.balanceOf(FINDER), 3, "finder");
        assertEq(bond.burned(), 4, "burned");
    }

    function test_Breach_TakesWhatIsLeftAndNoMore() public {
        bond = new OperatorBond(eventLog, address(dollar), PENALTY);
        _deposit(PENALTY / 4);
        _breach();
        assertEq(dollar.balanceOf(FINDER), PENALTY / 8, "half of what was there");
        assertEq(bond.bond(), 0, "empty");
        Receipt memory other = _lie(2);
        bytes memory signature = _signed(other);
        Checkpoint memory head = _head();
        vm.expectRevert(abi.encodeWithSelector(IOperatorBond.BondInsufficient.selector, 0, PENALTY));
        bond.proveOtherRoot(other, signature, head, head.rootHash, new bytes32[](0));
    }

    /// @dev Reporting oneself while next to nothing is bonded buys no peace for later.
    function test_Breach_NotPaidInFullIsNotTheEndOfIt() public {
        bond = new OperatorBond(eventLog, address(dollar), PENALTY);
        _deposit(1);
        _breach();
        _deposit(BOND);
        Receipt memory lie = _lie(1);
        bytes memory signature = _signed(lie);
        Checkpoint memory head = _head();
        bond.proveOtherRoot(lie, signature, head, head.rootHash, new bytes32[](0));
        assertEq(bond.bond(), BOND - PENALTY, "punished in full");
        assertTrue(bond.isPunished(bond.receiptDigest(lie)), "noted");
    }

    /// @dev Self-reporting: what the operator gets back is less than what it loses.
    function test_Breach_ReportingOneselfNeverPays() public {
        Receipt memory lie = _lie(1);
        _anchor(RECEIPT_SIZE);
        bytes memory signature = _signed(lie);
        uint256 before = dollar.balanceOf(accountOf(OPERATOR)) + bond.bond();
        Checkpoint memory head = _head();
        vm.prank(accountOf(OPERATOR));
        bond.proveOtherRoot(lie, signature, head, head.rootHash, new bytes32[](0));
        uint256 left = dollar.balanceOf(accountOf(OPERATOR)) + bond.bond();
        assertEq(before - left, PENALTY / 2, "half of it is gone for good");
    }

    // ---------------------------------------------------------------- helpers

    /// @dev A receipt with a root that the log never had.
    function _lie(uint256 salt) internal view returns (Receipt memory receipt) {
        receipt = _receipt();
        receipt.rootHash = keccak256(abi.encode("another root", salt));
    }

    function _breach() internal {
        Receipt memory lie = _lie(1);
        bytes memory signature = _signed(lie);
        _anchor(RECEIPT_SIZE);
        Checkpoint memory head = _head();
        vm.prank(FINDER);
        bond.proveOtherRoot(lie, signature, head, head.rootHash, new bytes32[](0));
    }
}
