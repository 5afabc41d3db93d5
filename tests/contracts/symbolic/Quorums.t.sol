// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Quorums} from "adtally/libraries/Quorums.sol";
import {Quorum} from "adtally/types/DataTypes.sol";

/// @notice Quorums of three attestors, for every digest, set and signature at once.
/// @dev ecrecover is any function to the prover: what is proven here holds whoever signs what.
contract QuorumsSymbolic {
    /// @dev secp256k1's order divided by two: a larger s is the other spelling of a signature.
    uint256 internal constant HALF_ORDER =
        0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    struct Signature {
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    function check_FewerThanThreshold_NeverPass(
        bytes32 digest,
        uint8 threshold,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        if (threshold <= 2) return;
        assert(!_passes(digest, threshold, set, _two(given)));
    }

    function check_OneOfTwo_NeverPasses(
        bytes32 digest,
        uint8 threshold,
        address[3] memory set,
        Signature memory given
    ) external view {
        if (threshold <= 1) return;
        assert(!_passes(digest, threshold, set, _bytes(given)));
    }

    function check_NoSignature_NeverPasses(bytes32 digest, uint8 threshold, address[3] memory set)
        external
        view
    {
        if (threshold == 0) return;
        assert(!_passes(digest, threshold, set, ""));
    }

    function check_RepeatedSigner_NeverPasses(
        bytes32 digest,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        if (!_isSorted(set)) return;
        if (_signer(digest, given[0]) != _signer(digest, given[1])) return;
        assert(!_passes(digest, 2, set, _two(given)));
    }

    function check_UnsortedSigners_NeverPass(
        bytes32 digest,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        if (!_isSorted(set)) return;
        if (_signer(digest, given[0]) < _signer(digest, given[1])) return;
        assert(!_passes(digest, 2, set, _two(given)));
    }

    function check_ForeignSigner_NeverPasses(
        bytes32 digest,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        address second = _signer(digest, given[1]);
        if (second == set[0] || second == set[1] || second == set[2]) return;
        assert(!_passes(digest, 2, set, _two(given)));
    }

    function check_HighS_NeverPasses(
        bytes32 digest,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        if (uint256(given[0].s) <= HALF_ORDER && uint256(given[1].s) <= HALF_ORDER) return;
        assert(!_passes(digest, 2, set, _two(given)));
    }

    function check_ZeroSigner_NeverPasses(
        bytes32 digest,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        if (_signer(digest, given[0]) != address(0)) return;
        assert(!_passes(digest, 2, set, _two(given)));
    }

    function check_TornSignature_NeverPasses(
        bytes32 digest,
        address[3] memory set,
        Signature[2] memory given
    ) external view {
        assert(!_passes(digest, 1, set, bytes.concat(_two(given), bytes1(0x1b))));
    }

    function check_ValidSet_IsASortedMajority(address[3] memory set, uint8 threshold)
        external
        view
    {
        try this.requireValid(_list(set), threshold) {
            assert(threshold == 2 || threshold == 3);
            assert(set[0] != address(0) && _isSorted(set));
        } catch {}
    }

    function requireValid(address[] memory attestors, uint8 threshold) external pure {
        Quorums.requireValid(attestors, threshold);
    }

    function requireSigned(bytes32 digest, Quorum calldata quorum) external pure {
        Quorums.requireSigned(digest, quorum);
    }

    function _passes(
        bytes32 digest,
        uint8 threshold,
        address[3] memory set,
        bytes memory signatures
    ) internal view returns (bool passes) {
        Quorum memory quorum = Quorum(threshold, _list(set), signatures);
        bytes memory data = abi.encodeCall(this.requireSigned, (digest, quorum));
        (passes,) = address(this).staticcall(data);
    }

    function _list(address[3] memory set) internal pure returns (address[] memory list) {
        list = new address[](3);
        (list[0], list[1], list[2]) = (set[0], set[1], set[2]);
    }

    function _isSorted(address[3] memory set) internal pure returns (bool) {
        return set[0] < set[1] && set[1] < set[2];
    }

    function _signer(bytes32 digest, Signature memory given) internal pure returns (address) {
        return ecrecover(digest, given.v, given.r, given.s);
    }

    function _bytes(Signature memory given) internal pure returns (bytes memory) {
        return abi.encodePacked(given.r, given.s, given.v);
    }

    function _two(Signature[2] memory given) internal pure returns (bytes memory) {
        return bytes.concat(_bytes(given[0]), _bytes(given[1]));
    }
}
