"""Frames: layout, and telling torn from corrupt from stale."""

from __future__ import annotations

import random

import google_crc32c
import pytest

from adtally.errors import StorageCorrupt
from adtally.log.bundle import encode_bundle
from adtally.log.segment import (
    HEADER_SIZE,
    OVERHEAD,
    FrameHeader,
    Position,
    UnsealedFrame,
    read_frame,
    read_header,
    scan_segment,
)

NAME = "segment-0000000000000000.log"
ZEROS = bytes(4096)


def encode_frame(epoch: int, sequence: int, first_index: int, count: int, payload: bytes) -> bytes:
    return bytes(UnsealedFrame.of(payload).seal(epoch, sequence, first_index, count))


def frame(sequence: int, first: int, sizes: list[int], epoch: int = 1, seed: int = 0) -> bytes:
    content = random.Random(seed * 1000 + sequence)
    entries = [content.randbytes(size) for size in sizes]
    return encode_frame(epoch, sequence, first, len(entries), encode_bundle(entries))


FIRST = frame(1, 0, [109, 112, 112])
SECOND = frame(2, 3, [7])
THIRD = frame(3, 4, [109, 112])
THREE = FIRST + SECOND + THIRD


def test_seal__known_content__has_the_documented_layout() -> None:
    payload = b"\0\3abc"
    made = encode_frame(5, 6, 7, 1, payload)
    fields = (
        b"ADTF"
        + (5).to_bytes(4, "big")
        + (6).to_bytes(8, "big")
        + (7).to_bytes(8, "big")
        + (1).to_bytes(4, "big")
        + (5).to_bytes(4, "big")
        + google_crc32c.value(payload).to_bytes(4, "big")
    )
    header = fields + google_crc32c.value(fields).to_bytes(4, "big") + b"\xa5\x5a\xa5\x5a"
    assert made == header + payload + b"\x3c\xc3\x3c\xc3"
    assert (len(header), len(made)) == (HEADER_SIZE, OVERHEAD + 5)
    assert google_crc32c.value(b"123456789") == 0xE3069283  # RFC 3720, the CRC32C check value


def test_read_frame__round_trip__same_header_and_payload() -> None:
    found = read_frame(b"xx" + FIRST, 2)
    assert found is not None
    assert (found[0].epoch, found[0].sequence, found[0].first_index) == (1, 1, 0)
    assert (found[0].count, found[0].end_index) == (3, 3)
    assert found[0].size == len(FIRST)
    assert encode_frame(1, 1, 0, 3, found[1]) == FIRST


def test_read_header__any_bytes__never_raises() -> None:
    noise = random.Random(1).randbytes(5000)
    assert all(read_header(noise, at) is None for at in range(5010))
    assert read_header(b"", 0) is None


@pytest.mark.parametrize("tail", [b"", ZEROS])
def test_scan_segment__whole_frames__found_in_order(tail: bytes) -> None:
    scan = scan_segment(THREE + tail, Position(), NAME)
    assert [header.sequence for _, header in scan.frames] == [1, 2, 3]
    assert [offset for offset, _ in scan.frames] == [0, len(FIRST), len(FIRST + SECOND)]
    assert (scan.end, scan.is_torn) == (len(THREE), False)
    assert scan.position == Position(4, 6, 1)


def test_scan_segment__nothing_written__is_empty() -> None:
    for data in (b"", ZEROS):
        scan = scan_segment(data, Position(9, 99, 3), NAME)
        assert (scan.frames, scan.end, scan.is_torn) == ((), 0, False)


@pytest.mark.parametrize("tail", [b"", ZEROS])
def test_scan_segment__torn_at_every_byte__ends_before_it(tail: bytes) -> None:
    for length in range(1, len(THIRD)):
        scan = scan_segment(FIRST + SECOND + THIRD[:length] + tail, Position(), NAME)
        assert len(scan.frames) == 2
        assert (scan.end, scan.is_torn) == (len(FIRST + SECOND), True)


def test_scan_segment__every_flipped_bit__is_found() -> None:
    data = bytearray(THREE + ZEROS[:600])
    for bit in range(len(THREE) * 8):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StorageCorrupt) as caught:
            scan_segment(bytes(data), Position(), NAME)
        assert caught.value.field == NAME
        assert "offset" in caught.value.message
        data[bit // 8] ^= 1 << bit % 8


def test_scan_segment__flipped_bit__names_the_offset_of_its_frame() -> None:
    data = bytearray(THREE)
    data[len(FIRST) + HEADER_SIZE] ^= 1
    with pytest.raises(StorageCorrupt, match=f"{NAME} is damaged at offset {len(FIRST)}"):
        scan_segment(bytes(data), Position(), NAME)


@pytest.mark.parametrize("length", range(1, 200, 7))
def test_scan_segment__wiped_bytes_before_a_valid_frame__are_corruption(length: int) -> None:
    for at in range(0, len(FIRST + SECOND) - length, 13):
        data = bytearray(THREE)
        data[at : at + length] = bytes(length)
        if bytes(data) == THREE:
            continue
        with pytest.raises(StorageCorrupt):
            scan_segment(bytes(data), Position(), NAME)


def test_scan_segment__any_sectors_of_the_last_frame_missing__is_torn() -> None:
    last = frame(4, 6, [112] * 50)
    start = len(THREE)
    whole = THREE + last + ZEROS
    choice = random.Random(2)
    boundaries = [start, *range((start // 512 + 1) * 512, start + len(last), 512)]
    for _ in range(300):
        data = bytearray(whole)
        lost = [at for at in boundaries if choice.random() < 0.4]
        for at in lost:
            end = min((at // 512 + 1) * 512, start + len(last))
            data[at:end] = bytes(end - at)
        scan = scan_segment(bytes(data), Position(), NAME)
        assert scan.is_torn == bool(lost)
        assert len(scan.frames) == (3 if lost else 4)


def test_scan_segment__stale_frames_behind_the_end__never_parse() -> None:
    """A recycled segment: older frames stand where the new ones have not been written."""
    old = b"".join(frame(number, number * 3, [112] * 3, epoch=2) for number in range(1, 9))
    new = frame(9, 27, [112] * 3, epoch=3)
    scan = scan_segment(new + old[len(new) :], Position(9, 27, 3), NAME)
    assert [header.sequence for _, header in scan.frames] == [9]
    assert scan.is_torn


def test_scan_segment__end_in_the_middle_of_stale_bytes__is_refused_not_guessed() -> None:
    old = frame(1, 0, [112] * 9, epoch=2)
    new = frame(9, 27, [109], epoch=3)
    with pytest.raises(StorageCorrupt):
        scan_segment(new + old[len(new) :], Position(9, 27, 3), NAME)


def test_scan_segment__older_epoch_with_the_right_sequence__never_parses() -> None:
    scan = scan_segment(FIRST + frame(2, 3, [7], epoch=0), Position(epoch=1), NAME)
    assert len(scan.frames) == 1
    assert scan.is_torn


@pytest.mark.parametrize(
    "following",
    [frame(3, 3, [7]), frame(2, 4, [7]), frame(2, 2, [7]), frame(4, 9, [7], epoch=2)],
)
def test_scan_segment__valid_frame_out_of_order__is_corruption(following: bytes) -> None:
    with pytest.raises(StorageCorrupt):
        scan_segment(FIRST + following, Position(), NAME)


def test_scan_segment__count_that_is_not_the_payloads__is_corruption() -> None:
    bad_bundle = b"\x00\x09a"
    for payload, count in ((encode_bundle([b"a", b"b"]), 3), (bad_bundle, 1), (b"", 0)):
        with pytest.raises(StorageCorrupt):
            scan_segment(encode_frame(1, 1, 0, count, payload), Position(), NAME)


def test_scan_segment__frame_forged_inside_a_torn_payload__is_not_believed() -> None:
    """A sender may put the bytes of a later frame into its records; a crash must not expose it."""
    forged = frame(3, 9, [7], epoch=9)
    payload = encode_bundle([forged, b"x" * 2000])
    torn = encode_frame(1, 2, 3, 2, payload)[:1500]
    scan = scan_segment(FIRST + torn + ZEROS, Position(), NAME)
    assert scan.is_torn
    assert len(scan.frames) == 1


def test_position__stale__means_an_older_epoch_or_sequence() -> None:
    position = Position(5, 50, 3)
    assert position.admits(FrameHeader(3, 5, 50, 1, 3, 0))
    assert position.admits(FrameHeader(4, 5, 50, 1, 3, 0))
    assert position.is_stale(FrameHeader(2, 5, 50, 1, 3, 0))
    assert position.is_stale(FrameHeader(3, 4, 50, 1, 3, 0))
    assert not position.is_stale(FrameHeader(3, 6, 50, 1, 3, 0))
