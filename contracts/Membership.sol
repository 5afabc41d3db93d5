// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IMembership} from "adtally/interfaces/IMembership.sol";
import {Quorums} from "adtally/libraries/Quorums.sol";
import {Quorum} from "adtally/types/DataTypes.sol";

/// @title Members, their roles and keys, and attestor sets
contract Membership is IMembership, AccessManaged, EIP712 {
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
        address previousEventKey;
        uint64 previousEventKeyValidUntil;
        // slot
        bytes32 kycReference;
    }

    /// @dev The hash comes first and alone: it is all that a quorum check reads.
    struct AttestorSet {
        bytes32 setHash;
        uint32 version;
    }

    bytes32 internal constant SUCCESSOR_TYPEHASH = keccak256(
        "AttestorSetSuccessor(uint32 set,uint32 version,uint8 threshold,bytes32 attestorsHash)"
    );

    uint8 internal constant ALL_ROLES = 31;

    /// @inheritdoc IMembership
    uint32 public constant override PAYOUT_DELAY = 2 days;

    /// @inheritdoc IMembership
    uint32 public constant override MAX_KEY_OVERLAP = 7 days;

    /// @inheritdoc IMembership
    uint32 public override memberCount;

    /// @inheritdoc IMembership
    uint32 public override attestorSetCount;

    /// @inheritdoc IMembership
    mapping(address account => uint32 member) public override memberOf;

    mapping(uint32 id => StoredMember) internal _members;
    mapping(uint32 set => AttestorSet) internal _attestorSets;

    /// @param authority AccessManager that names the registrar.
    constructor(address authority) AccessManaged(authority) EIP712("adtally Membership", "1") {}

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
        stored.eventKey = eventKey;
        stored.kycReference = kycReference;
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
        stored.eventKey = eventKey;
        stored.previousEventKey = previous;
        stored.previousEventKeyValidUntil = validUntil;
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

    // ---------------------------------------------------------------- attestor sets

    /// @inheritdoc IMembership
    function createAttestorSet(address[] calldata attestors, uint8 threshold)
        external
        override
        returns (uint32 set)
    {
        // Check
        Quorums.requireValid(attestors, threshold);

        // Effect
        set = ++attestorSetCount;
        _attestorSets[set] = AttestorSet(Quorums.setHash(threshold, attestors), 1);
        emit AttestorSetNamed(set, 1, threshold, attestors);
    }

    /// @inheritdoc IMembership
    function nameSuccessor(
        uint32 set,
        address[] calldata attestors,
        uint8 threshold,
        Quorum calldata quorum
    ) external override {
        // Check
        Quorums.requireValid(attestors, threshold);
        uint32 version = _attestorSets[set].version + 1;
        requireQuorum(set, successorDigest(set, version, attestors, threshold), quorum);

        // Effect
        _attestorSets[set] = AttestorSet(Quorums.setHash(threshold, attestors), version);
        emit AttestorSetNamed(set, version, threshold, attestors);
    }

    /// @inheritdoc IMembership
    function requireQuorum(uint32 set, bytes32 digest, Quorum calldata quorum)
        public
        view
        override
    {
        bytes32 expected = _attestorSets[set].setHash;
        if (expected == 0) revert AttestorSetUnknown(set);
        bytes32 found = Quorums.setHash(quorum.threshold, quorum.attestors);
        if (found != expected) revert AttestorSetMismatch(set, expected, found);
        Quorums.requireSigned(digest, quorum);
    }

    /// @inheritdoc IMembership
    function successorDigest(
        uint32 set,
        uint32 version,
        address[] calldata attestors,
        uint8 threshold
    ) public view override returns (bytes32) {
        bytes32 attestorsHash = keccak256(abi.encode(attestors));
        return _hashTypedDataV4(
            keccak256(abi.encode(SUCCESSOR_TYPEHASH, set, version, threshold, attestorsHash))
        );
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
            previousEventKey: stored.previousEventKey,
            previousEventKeyValidUntil: stored.previousEventKeyValidUntil,
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

    /// @inheritdoc IMembership
    function attestorSet(uint32 set)
        external
        view
        override
        returns (uint32 version, bytes32 setHash)
    {
        AttestorSet storage stored = _attestorSets[set];
        return (stored.version, stored.setHash);
    }

    // ---------------------------------------------------------------- internal

    function _known(uint32 id) internal view returns (StoredMember storage stored) {
        stored = _members[id];
        if (stored.account == address(0)) revert MemberUnknown(id);
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
