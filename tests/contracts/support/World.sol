// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

import {CampaignEscrow} from "adtally/CampaignEscrow.sol";
import {EventLog} from "adtally/EventLog.sol";
import {Membership} from "adtally/Membership.sol";
import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {
    Checkpoint,
    ClaimLine,
    Counts,
    Cut,
    GoalType,
    Quorum,
    Rates,
    Statement,
    Terms
} from "adtally/types/DataTypes.sol";
import {ClaimTree} from "./ClaimTree.sol";
import {LogTree} from "./LogTree.sol";
import {Test} from "./Test.sol";

/// @title Deployed contracts and a small consortium: what unit, fuzz and invariant tests start from
/// @dev This contract is the AccessManager's admin, hence registrar. Members' keys equal nothing
/// on chain; attestors have keys because they sign.
abstract contract World is Test {
    /// @dev In the year 2128: no time may be cut to 32 bits.
    uint64 internal constant START = 5_000_000_000;
    uint64 internal constant FLIGHT_END = START + 10 days;
    uint32 internal constant LATE = 1 days;
    uint32 internal constant DISPUTE = 1 hours;
    uint32 internal constant GRACE = 3 days;
    uint32 internal constant NOTICE = 6 hours;
    uint64 internal constant KYC_EXPIRES = START + 365 days;

    uint8 internal constant ADVERTISER_ROLE = 1;
    uint8 internal constant PUBLISHER_ROLE = 2;
    uint8 internal constant INTERMEDIARY_ROLE = 4;
    uint8 internal constant OPERATOR_ROLE = 16;

    uint32 internal constant OPERATOR = 1;
    uint32 internal constant ADVERTISER = 2;
    uint32 internal constant PUB_A = 3;
    uint32 internal constant PUB_B = 4;
    uint32 internal constant AGENCY = 5;
    uint32 internal constant PLATFORM = 6;

    uint8 internal constant THRESHOLD = 3;
    uint256 internal constant DOLLAR = 1e6;
    uint128 internal constant OBJECTION_BOND = uint128(50 * DOLLAR);
    uint128 internal constant CAP = uint128(1_000_000 * DOLLAR);

    AccessManager internal authority;
    Membership internal membership;
    EventLog internal eventLog;
    CampaignEscrow internal escrow;
    MockDollar internal dollar;

    address[] internal attestors;
    mapping(address attestor => uint256 key) internal keyOf;
    uint32 internal attestorSet;

    /// @dev Leaf hashes of the log, and the size of its last anchor.
    bytes32[] internal logLeaves;
    uint64 internal anchoredSize;

    function setUp() public virtual {
        vm.warp(START);
        authority = new AccessManager(address(this));
        membership = new Membership(address(authority));
        _register(OPERATOR, OPERATOR_ROLE);
        _register(ADVERTISER, ADVERTISER_ROLE);
        _register(PUB_A, PUBLISHER_ROLE);
        _register(PUB_B, PUBLISHER_ROLE);
        _register(AGENCY, INTERMEDIARY_ROLE);
        _register(PLATFORM, INTERMEDIARY_ROLE);
        attestors = _newAttestors("attestor", 5);
        eventLog = _newLog(Checkpoint(0, 0));
        attestorSet = eventLog.ATTESTOR_SET();
        escrow = new CampaignEscrow(address(authority), eventLog, 1);
        dollar = new MockDollar("USDX", 6);
    }

    // ---------------------------------------------------------------- members

    function accountOf(uint32 id) internal pure returns (address) {
        return address(uint160(0xACC00000 + id));
    }

    function payoutOf(uint32 id) internal pure returns (address) {
        return address(uint160(0xFA100000 + id));
    }

    function _register(uint32 expected, uint8 roles) internal {
        uint32 id = membership.register(
            accountOf(expected),
            roles,
            keccak256(abi.encode("kyc", expected)),
            KYC_EXPIRES,
            address(uint160(0xE0000000 + expected)),
            payoutOf(expected)
        );
        assertEq(id, expected, "member ids are sequential");
    }

    // ---------------------------------------------------------------- attestors

    function _newAttestors(string memory name, uint256 count)
        internal
        returns (address[] memory list)
    {
        list = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode(name, i)));
            address signer = vm.addr(key);
            keyOf[signer] = key;
            uint256 j = i;
            for (; j > 0 && list[j - 1] > signer; --j) {
                list[j] = list[j - 1];
            }
            list[j] = signer;
        }
    }

    function _sign(bytes32 digest, address signer) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf[signer], digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The first `count` attestors sign.
    function _quorum(bytes32 digest, uint256 count) internal view returns (Quorum memory quorum) {
        quorum.threshold = THRESHOLD;
        quorum.attestors = attestors;
        for (uint256 i = 0; i < count; ++i) {
            quorum.signatures = abi.encodePacked(quorum.signatures, _sign(digest, attestors[i]));
        }
    }

    // ---------------------------------------------------------------- log

    function _newLog(Checkpoint memory taken) internal returns (EventLog) {
        return new EventLog(membership, OPERATOR, attestors, THRESHOLD, taken);
    }

    function _grow(uint64 size) internal {
        for (uint256 i = logLeaves.length; i < size; ++i) {
            logLeaves.push(LogTree.leaf(0, i));
        }
    }

    function _checkpoint(uint64 size) internal view returns (Checkpoint memory) {
        return Checkpoint(size, size == 0 ? bytes32(0) : LogTree.root(logLeaves, size));
    }

    function _anchor(uint64 size) internal {
        _grow(size);
        Checkpoint memory next = _checkpoint(size);
        bytes32[] memory proof = anchoredSize == 0
            ? new bytes32[](0)
            : LogTree.consistencyProof(logLeaves, anchoredSize, size);
        eventLog.anchor(
            _checkpoint(anchoredSize), next, proof, _quorum(eventLog.checkpointDigest(next), 3)
        );
        anchoredSize = size;
    }

    // ---------------------------------------------------------------- campaigns

    function _cuts() internal pure returns (Cut[] memory cuts) {
        cuts = new Cut[](2);
        cuts[0] = Cut(AGENCY, 1000);
        cuts[1] = Cut(PLATFORM, 333);
    }

    function _terms() internal view returns (Terms memory) {
        return Terms({
            token: address(dollar),
            flightStart: START,
            flightEnd: FLIGHT_END,
            lateWindow: LATE,
            correctionWindow: 0,
            disputeWindow: DISPUTE,
            grace: GRACE,
            notice: NOTICE,
            attestorSet: attestorSet,
            holdbackBasisPoints: 0,
            objectionBond: OBJECTION_BOND,
            goalType: GoalType.Clicks,
            goalCount: 100,
            settleThreshold: uint128(1000 * DOLLAR),
            cuts: _cuts()
        });
    }

    function _rates() internal pure returns (Rates memory) {
        return Rates({
            perMilleImpressions: uint80(2 * DOLLAR),
            perMilleViewables: uint80(DOLLAR / 2),
            perClick: uint80(DOLLAR / 4),
            perConversion: uint80(5 * DOLLAR)
        });
    }

    function _open(Terms memory terms) internal returns (uint32 id) {
        vm.prank(accountOf(ADVERTISER));
        return escrow.openCampaign(terms);
    }

    function _order(uint32 id, uint32 publisher, uint128 cap) internal {
        vm.prank(accountOf(ADVERTISER));
        escrow.offerOrder(id, publisher, _rates(), cap);
        vm.prank(accountOf(publisher));
        escrow.acceptOrder(id, _rates(), cap);
    }

    function _fund(uint32 id, uint256 amount) internal {
        address from = accountOf(ADVERTISER);
        dollar.mint(from, amount);
        vm.startPrank(from);
        dollar.approve(address(escrow), amount);
        escrow.fund(id, amount);
        vm.stopPrank();
    }

    /// @dev A campaign with orders of A and B and 10,000 dollars.
    function _running() internal returns (uint32 id) {
        id = _open(_terms());
        _order(id, PUB_A, CAP);
        _order(id, PUB_B, CAP);
        _fund(id, 10_000 * DOLLAR);
    }

    // ---------------------------------------------------------------- statements

    function _counts(uint64 impressions, uint64 clicks) internal pure returns (Counts memory) {
        return Counts(impressions, 0, clicks, 0);
    }

    /// @dev By the rates of `_rates`: the reference that the contract's arithmetic must match.
    function _amount(Counts memory counts) internal pure returns (uint128) {
        Rates memory rates = _rates();
        uint256 milli = uint256(counts.impressions) * rates.perMilleImpressions
            + uint256(counts.viewables) * rates.perMilleViewables + uint256(counts.clicks) * 1000
            * rates.perClick + uint256(counts.conversions) * 1000 * rates.perConversion;
        return uint128(milli / 1000);
    }

    function _tree(uint32 id, Counts memory a, Counts memory b)
        internal
        view
        returns (bytes32[] memory)
    {
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = escrow.lineLeaf(id, PUB_A, a);
        leaves[1] = escrow.lineLeaf(id, PUB_B, b);
        return ClaimTree.build(leaves);
    }

    function _line(uint32 id, uint32 publisher, Counts memory a, Counts memory b)
        internal
        view
        returns (ClaimLine memory)
    {
        Counts memory own = publisher == PUB_A ? a : b;
        bytes32 leaf = escrow.lineLeaf(id, publisher, own);
        return ClaimLine(publisher, own, ClaimTree.proof(_tree(id, a, b), leaf));
    }

    /// @dev With proofs that share nothing.
    function _claimMany(uint32 id, ClaimLine[] memory lines) internal returns (uint128) {
        bytes32 root = escrow.campaign(id).active.linesRoot;
        return escrow.claimMany(id, root, new bytes32[](0), lines);
    }

    function _statement(uint32 id, uint32 sequence, Counts memory a, Counts memory b)
        internal
        view
        returns (Statement memory)
    {
        return Statement({
            campaign: id,
            sequence: sequence,
            treeSize: anchoredSize,
            linesTotal: _amount(a) + _amount(b),
            counts: Counts(
                a.impressions + b.impressions,
                a.viewables + b.viewables,
                a.clicks + b.clicks,
                a.conversions + b.conversions
            ),
            corrections: 0,
            linesRoot: _tree(id, a, b)[0],
            isFinal: false
        });
    }

    /// @dev A first and final statement that owes nothing.
    function _finalOf(uint32 id) internal view returns (Statement memory statement) {
        statement.campaign = id;
        statement.sequence = 1;
        statement.treeSize = anchoredSize;
        statement.isFinal = true;
    }

    function _settle(Statement memory statement) internal {
        escrow.settle(statement, _quorum(escrow.statementDigest(statement), THRESHOLD));
    }

    /// @dev Quorum first, so that `vm.expectRevert` meets `settle` itself.
    function _settleReverts(Statement memory statement, bytes memory reason) internal {
        Quorum memory quorum = _quorum(escrow.statementDigest(statement), THRESHOLD);
        vm.expectRevert(reason);
        escrow.settle(statement, quorum);
    }

    function _finalTime() internal pure returns (uint256) {
        return FLIGHT_END + LATE;
    }
}
