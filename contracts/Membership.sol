// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IMembership} from "adtally/interfaces/IMembership.sol";

/// @title Members, their roles and keys
contract Membership is IMembership, AccessManaged {
    /// @dev One slot each for what is read together: activity, and the payout of a claim.
    struct StoredMember {
        address account;
        uint8 roles;
        uint64 kycExpires;
        // slot
        address payout;
        uint64 pendingPayoutFrom;
        // slot
        address pendingPayout;
        // slot
        address eventKey;
        // slot
        bytes32 kycReference;
    }

    uint8 internal constant ALL_ROLES = 31;

    /// @inheritdoc IMembership
    uint32 public constant override PAYOUT_DELAY = 2 days;

    /// @inheritdoc IMembership
    uint32 public constant override MAX_KEY_OVERLAP = 7 days;

    /// @inheritdoc IMembership
    uint32 public override memberCount;

    /// @inheritdoc IMembership
    mapping(address account => uint32 member) public override memberOf;

    /// @inheritdoc IMembership
    mapping(uint32 member => mapping(address key => uint64 second))
        public
        override eventKeyValidUntil;

    mapping(uint32 id => StoredMember) internal _members;

    /// @param accessManager Contract that names the registrar.
    constructor(address accessManager) AccessManaged(accessManager) {}

    // ---------------------------------------------------------------- registrar

    /// @inheritdoc IMembership
    function register(
        address account,
        uint8 roles,
        bytes32 kycReference,
        uint64 kycExpires,
        address eventKey,
        address payout
    ) external override restricted returns (uint32 id) {
        // Check
        if (account == address(0) || payout == address(0)) revert AddressZero();
        if (memberOf[account] != 0) revert AccountTaken(account, memberOf[account]);
        if (roles == 0 || roles > ALL_ROLES) revert RolesInvalid(roles);
        if (kycExpires <= block.timestamp) {
            revert KycExpiryInPast(kycExpires, uint64(block.timestamp));
        }

        // Effect
        id = ++memberCount;
        memberOf[account] = id;
        StoredMember storage stored = _members[id];
        stored.account = account;
        stored.roles = roles;
        stored.kycExpires = kycExpires;
        stored.payout = payout;
        stored.kycReference = kycReference;
        _useEventKey(id, stored, eventKey);
        emit MemberRegistered(id, account, roles, kycReference, kycExpires, eventKey, payout);
    }

    /// @inheritdoc IMembership
    function setRoles(uint32 id, uint8 roles) external override restricted {
        // Check
        StoredMember storage stored = _known(id);
        if (roles > ALL_ROLES) revert RolesInvalid(roles);

        // Effect
        stored.roles = roles;
        emit RolesChanged(id, roles);
    }

    /// @inheritdoc IMembership
    function renewKyc(uint32 id, bytes32 kycReference, uint64 kycExpires)
        external
        override
        restricted
    {
        // Check
        StoredMember storage stored = _known(id);

        // Effect
        stored.kycReference = kycReference;
        stored.kycExpires = kycExpires;
        emit KycRenewed(id, kycReference, kycExpires);
    }

    // ---------------------------------------------------------------- the member itself

    /// @inheritdoc IMembership
    function changeEventKey(address eventKey, uint32 overlap) external override {
        // Check
        uint32 id = _caller();
        StoredMember storage stored = _members[id];
        address previous = stored.eventKey;
        if (eventKey == previous) revert EventKeyUnchanged(eventKey);
        if (overlap > MAX_KEY_OVERLAP) revert OverlapTooLong(overlap, MAX_KEY_OVERLAP);

        // Effect
        uint64 validUntil = uint64(block.timestamp) + overlap;
        if (previous != address(0)) eventKeyValidUntil[id][previous] = validUntil;
        _useEventKey(id, stored, eventKey);
        emit EventKeyChanged(id, eventKey, previous, validUntil);
    }

    /// @inheritdoc IMembership
    function requestPayoutChange(address payout) external override {
        // Check
        uint32 id = _caller();
        if (payout == address(0)) revert AddressZero();

        // Effect: an earlier change that is due takes effect before it is replaced.
        StoredMember storage stored = _members[id];
        stored.payout = _payout(stored);
        stored.pendingPayout = payout;
        uint64 effectiveFrom = uint64(block.timestamp) + PAYOUT_DELAY;
        stored.pendingPayoutFrom = effectiveFrom;
        emit PayoutChangeRequested(id, payout, effectiveFrom);
    }

    /// @inheritdoc IMembership
    function cancelPayoutChange() external override {
        // Check
        uint32 id = _caller();
        StoredMember storage stored = _members[id];
        if (stored.pendingPayoutFrom <= block.timestamp) revert NoPendingPayout(id);

        // Effect
        stored.pendingPayout = address(0);
        stored.pendingPayoutFrom = 0;
        emit PayoutChangeCancelled(id, stored.payout);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IMembership
    function member(uint32 id) external view override returns (Member memory) {
        StoredMember storage stored = _known(id);
        bool isPending = stored.pendingPayoutFrom > block.timestamp;
        return Member({
            account: stored.account,
            roles: stored.roles,
            kycExpires: stored.kycExpires,
            kycReference: stored.kycReference,
            eventKey: stored.eventKey,
            payout: _payout(stored),
            pendingPayout: isPending ? stored.pendingPayout : address(0),
            pendingPayoutFrom: isPending ? stored.pendingPayoutFrom : 0
        });
    }

    /// @inheritdoc IMembership
    function isActive(uint32 id, uint8 mask) external view override returns (bool) {
        StoredMember storage stored = _members[id];
        return stored.roles & mask != 0 && stored.kycExpires > block.timestamp;
    }

    /// @inheritdoc IMembership
    function payoutOf(uint32 id) external view override returns (address payout) {
        payout = _payout(_members[id]);
        if (payout == address(0)) revert MemberUnknown(id);
    }

    // ---------------------------------------------------------------- internal

    function _known(uint32 id) internal view returns (StoredMember storage stored) {
        stored = _members[id];
        if (stored.account == address(0)) revert MemberUnknown(id);
    }

    function _useEventKey(uint32 id, StoredMember storage stored, address eventKey) internal {
        stored.eventKey = eventKey;
        if (eventKey != address(0)) eventKeyValidUntil[id][eventKey] = type(uint64).max;
    }

    function _caller() internal view returns (uint32 id) {
        id = memberOf[msg.sender];
        if (id == 0) revert AccountUnknown(msg.sender);
    }

    function _payout(StoredMember storage stored) internal view returns (address) {
        uint64 from = stored.pendingPayoutFrom;
        return from != 0 && from <= block.timestamp ? stored.pendingPayout : stored.payout;
    }
}
