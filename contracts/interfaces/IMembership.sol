// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Members, their roles and keys
/// @notice Registration is the registrar's (AccessManager) right; keys and payout addresses are the
/// member's own.
/// @dev Roles are a bit set: bit (role - 1) with ADVERTISER 1, PUBLISHER 2, INTERMEDIARY 3,
/// COLLECTOR 4, OPERATOR 5, i.e. masks 1, 2, 4, 8, 16. Nothing here can hinder money already
/// earned.
interface IMembership {
    struct Member {
        address account;
        uint8 roles;
        uint64 kycExpires;
        bytes32 kycReference;
        address eventKey;
        address payout;
        address pendingPayout;
        uint64 pendingPayoutFrom;
    }

    event MemberRegistered(
        uint32 indexed member,
        address indexed account,
        uint8 roles,
        bytes32 kycReference,
        uint64 kycExpires,
        address eventKey,
        address payout
    );
    event RolesChanged(uint32 indexed member, uint8 roles);
    event KycRenewed(uint32 indexed member, bytes32 kycReference, uint64 kycExpires);
    event EventKeyChanged(
        uint32 indexed member, address eventKey, address previousEventKey, uint64 previousValidUntil
    );
    event PayoutChangeRequested(uint32 indexed member, address payout, uint64 effectiveFrom);
    event PayoutChangeCancelled(uint32 indexed member, address payout);

    error MemberUnknown(uint32 member);
    error AccountUnknown(address account);
    error AccountTaken(address account, uint32 member);
    error AddressZero();
    error RolesInvalid(uint8 roles);
    error KycExpiryInPast(uint64 kycExpires, uint64 now_);
    error OverlapTooLong(uint32 overlap, uint32 maximum);
    error EventKeyUnchanged(address eventKey);
    error NoPendingPayout(uint32 member);

    /// @notice Register a member. Registrar only.
    /// @param eventKey Key that signs its batches; may be zero for members that send none.
    /// @param payout Address that receives its money.
    function register(
        address account,
        uint8 roles,
        bytes32 kycReference,
        uint64 kycExpires,
        address eventKey,
        address payout
    ) external returns (uint32 member);

    /// @notice Change a member's roles. Registrar only.
    function setRoles(uint32 member, uint8 roles) external;

    /// @notice Renew (or expire) a member's KYC. Registrar only.
    function renewKyc(uint32 member, bytes32 kycReference, uint64 kycExpires) external;

    /// @notice Replace the caller's event key; the old one stays valid for `overlap` seconds.
    function changeEventKey(address eventKey, uint32 overlap) external;

    /// @notice Ask for another payout address; it takes effect after PAYOUT_DELAY.
    function requestPayoutChange(address payout) external;

    /// @notice Withdraw a pending payout change.
    function cancelPayoutChange() external;

    /// @return The member, all fields; reverts if unknown. A payout change that is due shows as
    /// `payout`, and `pendingPayout` and `pendingPayoutFrom` are zero.
    function member(uint32 id) external view returns (Member memory);

    /// @notice Until when an event key is good for what it signs, in seconds (UTC).
    /// @dev Kept for every key there ever was: what it signed while it was good can be proven
    /// however often the key is changed afterwards.
    /// @return 0 if `key` never was the member's, type(uint64).max if it is now, else the end of
    /// its overlap.
    function eventKeyValidUntil(uint32 member, address key) external view returns (uint64);

    /// @return id of the member with this account, 0 if none.
    function memberOf(address account) external view returns (uint32 id);

    /// @return Whether the member has any role of `mask` and an unexpired KYC.
    function isActive(uint32 id, uint8 mask) external view returns (bool);

    /// @return Where the member's money goes now (a due payout change included).
    function payoutOf(uint32 id) external view returns (address);

    /// @return Number of members; ids run from 1 to it.
    function memberCount() external view returns (uint32);

    /// @return Longest time in seconds that a replaced event key may stay valid.
    function MAX_KEY_OVERLAP() external view returns (uint32);

    /// @return Seconds between a payout change's request and its effect.
    function PAYOUT_DELAY() external view returns (uint32);
}
