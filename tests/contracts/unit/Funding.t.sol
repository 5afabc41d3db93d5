// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {
    FalseReturnToken,
    FeeToken,
    RebasingToken,
    ReentrantToken
} from "../support/HostileTokens.sol";
import {World} from "../support/World.sol";

/// @notice Deposits, with and without permit, of honest and hostile tokens; surplus.
contract FundingTest is World {
    uint256 internal constant OWNER_KEY = 0xA11CE;
    bytes32 internal constant PERMIT_TYPEHASH = keccak256(
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    );

    function test_Fund_BooksWhatArrives() public {
        uint32 id = _open(_terms());
        _fund(id, 70);
        _fund(id, 30);
        assertEq(escrow.campaign(id).funded, 100, "funded");
        assertEq(escrow.liabilities(address(dollar)), 100, "liabilities");
        assertEq(dollar.balanceOf(address(escrow)), 100, "balance");
    }

    function test_Fund_ByAnyone() public {
        uint32 id = _open(_terms());
        dollar.mint(address(this), 5);
        dollar.approve(address(escrow), 5);
        escrow.fund(id, 5);
        assertEq(escrow.campaign(id).funded, 5, "funded");
    }

    function test_Fund_18Decimals() public {
        dollar = new MockDollar("DAIX", 18);
        assertEq(dollar.decimals(), 18, "decimals");
        assertEq(keccak256(bytes(dollar.symbol())), keccak256("DAIX"), "symbol");
        uint32 id = _open(_terms());
        _fund(id, 1e9 * 1e18);
        assertEq(escrow.campaign(id).funded, 1e27, "funded");
    }

    function test_RevertWhen_FundZeroOrUnknownOrTooMuch() public {
        uint32 id = _open(_terms());
        vm.expectRevert(ICampaignEscrow.AmountZero.selector);
        escrow.fund(id, 0);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.fund(9, 1);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.fundWithPermit(9, 1, 0, 0, 0, 0);
        uint256 tooMuch = uint256(type(uint128).max) + 1;
        dollar.mint(address(this), tooMuch);
        dollar.approve(address(escrow), tooMuch);
        vm.expectRevert();
        escrow.fund(id, tooMuch);
        escrow.fund(id, tooMuch - 1);
        vm.expectRevert();
        escrow.fund(id, 1);
    }

    function test_RevertWhen_FundAfterFinalStatement() public {
        uint32 id = _running();
        _anchor(3);
        vm.warp(_finalTime());
        _settle(_finalOf(id));
        dollar.mint(address(this), 1);
        dollar.approve(address(escrow), 1);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignClosed.selector, id));
        escrow.fund(id, 1);
    }

    // ---------------------------------------------------------------- permit

    function test_FundWithPermit_NeedsNoApproval() public {
        uint32 id = _open(_terms());
        address owner = vm.addr(OWNER_KEY);
        dollar.mint(owner, 100);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, 100);
        vm.prank(owner);
        escrow.fundWithPermit(id, 100, START, v, r, s);
        assertEq(escrow.campaign(id).funded, 100, "funded");
    }

    function test_FundWithPermit_FrontRunIsNoObstacle() public {
        uint32 id = _open(_terms());
        address owner = vm.addr(OWNER_KEY);
        dollar.mint(owner, 100);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, 100);
        dollar.permit(owner, address(escrow), 100, START, v, r, s);
        vm.prank(owner);
        escrow.fundWithPermit(id, 100, START, v, r, s);
        assertEq(escrow.campaign(id).funded, 100, "funded");
    }

    function test_RevertWhen_PermitOfAnother() public {
        uint32 id = _open(_terms());
        address owner = vm.addr(OWNER_KEY);
        dollar.mint(owner, 100);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, 100);
        vm.expectRevert();
        escrow.fundWithPermit(id, 100, START, v, r, s);
    }

    // ---------------------------------------------------------------- hostile tokens

    function test_Fund_FeeTokenIsBookedAsReceived() public {
        dollar = new FeeToken();
        uint32 id = _open(_terms());
        _fund(id, 1000);
        assertEq(escrow.campaign(id).funded, 990, "funded");
        assertEq(dollar.balanceOf(address(escrow)), 990, "balance");
    }

    function test_RevertWhen_TokenReturnsFalse() public {
        FalseReturnToken token = new FalseReturnToken();
        dollar = token;
        uint32 id = _open(_terms());
        token.setFailing(true);
        vm.expectRevert();
        escrow.fund(id, 10);
    }

    function test_Fund_ReentrantTokenCannotBookTwice() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        uint32 id = _open(_terms());
        token.mint(address(token), 100);
        token.allow(address(escrow));
        for (uint256 i = 0; i < 2; ++i) {
            _readyToFund(100);
            token.arm(address(escrow), abi.encodeCall(escrow.fund, (id, 50)), i == 0);
            vm.prank(accountOf(ADVERTISER));
            escrow.fund(id, 100);
            assertEq(token.target(), address(0), "called back");
            assertTrue(!token.hasReentered(), "guarded");
        }
        assertEq(escrow.campaign(id).funded, 200, "funded");
        assertEq(token.balanceOf(address(escrow)), 200, "balance");
    }

    // ---------------------------------------------------------------- surplus

    function test_RecoverSurplus_OnlyAboveLiabilities() public {
        uint32 id = _open(_terms());
        _fund(id, 100);
        vm.expectRevert(ICampaignEscrow.AmountZero.selector);
        escrow.recoverSurplus(address(dollar), address(this));
        dollar.mint(address(escrow), 307);
        assertEq(escrow.recoverSurplus(address(dollar), address(0xBEEF)), 307, "amount");
        assertEq(dollar.balanceOf(address(0xBEEF)), 307, "received");
        assertEq(dollar.balanceOf(address(escrow)), 100, "escrow untouched");
        RebasingToken shrinking = new RebasingToken();
        dollar = shrinking;
        _fund(_open(_terms()), 100);
        shrinking.shrink(address(escrow), 1);
        vm.expectRevert(ICampaignEscrow.AmountZero.selector);
        escrow.recoverSurplus(address(shrinking), address(this));
        dollar = MockDollar(escrow.terms(id).token);
        dollar.mint(address(escrow), 1);
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert();
        escrow.recoverSurplus(address(dollar), accountOf(ADVERTISER));
    }

    function test_RevertWhen_SurplusIsRecoveredDuringDeposit() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        uint32 id = _open(_terms());
        authority.grantRole(0, address(token), 0);
        _readyToFund(100);
        token.arm(
            address(escrow),
            abi.encodeCall(escrow.recoverSurplus, (address(token), address(token))),
            false
        );
        vm.prank(accountOf(ADVERTISER));
        escrow.fund(id, 100);
        assertEq(token.target(), address(0), "called back");
        assertTrue(!token.hasReentered(), "guarded");
        assertEq(token.balanceOf(address(escrow)), 100, "balance");
    }

    // ---------------------------------------------------------------- helpers

    /// @dev Before a token is armed: minting is a transfer, too.
    function _readyToFund(uint256 amount) internal {
        dollar.mint(accountOf(ADVERTISER), amount);
        vm.prank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), amount);
    }

    function _permit(address owner, uint256 amount)
        internal
        view
        returns (uint8, bytes32, bytes32)
    {
        bytes32 structHash = keccak256(
            abi.encode(PERMIT_TYPEHASH, owner, address(escrow), amount, dollar.nonces(owner), START)
        );
        return vm.sign(
            OWNER_KEY, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash))
        );
    }
}
