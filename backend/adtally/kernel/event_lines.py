"""Events in plain JSON to canonical records, compiled: no object is made on the way.

Most senders write the same few forms. Those are read here, and nothing else: no escapes, no number
but an integer, no key twice, no key unknown, UUIDs with dashes. Whatever differs makes the reader
decline, and the caller decodes the body by its schema (``api/transport.py``), which alone says what
is wrong. So what is read here is right or not read.

Layout and defaults are those of docs/spec/record.md and docs/spec/batches.md.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from adtally.events.batch import MAX_BATCH_EVENTS
from adtally.events.currency import NUMERIC
from adtally.events.record import (
    RECORD_KIND,
    RECORD_SIZE,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
)
from adtally.kernel.compiled import leaf
from adtally.kernel.names import NUMBERS, find_name, name_table
from adtally.kernel.plain_text import (
    DECLINED,
    NO_HEX,
    PADDING,
    QUOTE,
    SMALL_LETTERS,
    hex_value,
    read_digits,
    read_number,
    read_uuid,
    skip_spaces,
)
from adtally.kernel.records import RecordArray
from adtally.kernel.words import put8, put16, put32, put64, word8, word16, word32, word64

# How a field's value is written.
_UINT32, _UINT48, _UUID, _HEX, _LABEL, _COUNTRY, _DECIMAL, _CURRENCY = range(8)

# The fields: form, offset in the record, and what the form needs besides: hex digits of a
# commitment, the column of a label.
_FORMS = {
    "type": (_LABEL, 1, 0),
    "id": (_UUID, 20, 0),
    "campaign": (_UINT32, 4, 0),
    "publisher": (_UINT32, 8, 0),
    "placement": (_UINT32, 12, 0),
    "creative": (_UINT32, 16, 0),
    "occurred_at_ms": (_UINT48, 52, 0),
    "parent_id": (_UUID, 36, 0),
    "country": (_COUNTRY, 58, 0),
    "device": (_LABEL, 60, 1),
    "user_agent_class": (_LABEL, 61, 2),
    "network_class": (_LABEL, 62, 3),
    "subject": (_HEX, 64, 32),
    "context": (_HEX, 80, 40),
    "value_minor_units": (_DECIMAL, 100, 0),
    "currency": (_CURRENCY, 108, 0),
}
_BITS = {name: bit for bit, name in enumerate(_FORMS)}
_REQUIRED = np.uint64(sum(1 << bit for bit in range(_BITS["occurred_at_ms"] + 1)))
_COUNTRY_BIT = np.uint64(1 << _BITS["country"])

_BIT, _FORM, _OFFSET, _DETAIL = range(NUMBERS, NUMBERS + 4)
_FIELDS = name_table({name: (_BITS[name], *form) for name, form in _FORMS.items()})

_KINDS = (EventType, DeviceClass, UserAgentClass, NetworkClass)
_NO_LABEL = np.uint64(255)
_LABELS = name_table(
    {
        label: [
            {each.label: int(each) for each in kind}.get(label, int(_NO_LABEL)) for kind in _KINDS
        ]
        for label in sorted({each.label for kind in _KINDS for each in kind})
    }
)
_CURRENCIES = name_table({code: [number] for code, number in NUMERIC.items()})

_OPEN, _CLOSE, _COLON, _COMMA = (ord(mark) for mark in "{}:,")
_A, _Z = ord("A"), ord("Z")
_UNKNOWN_COUNTRY = int.from_bytes(b"ZZ", "big")
_NULL = int.from_bytes(b"null", "big")
_LIMIT_32, _LIMIT_48 = np.uint64(2**32), np.uint64(2**48)
_ONE, _16 = np.uint64(1), np.uint64(16)


def read_events(body: bytes, start: int, end: int, separator: bytes) -> RecordArray | None:
    """The records of event objects between two places of a body, one ``separator`` between them.

    None if they are not plain JSON, more than a batch may hold, or not all fit to stand in the log.
    """
    padded = b"".join((memoryview(body)[start:end], PADDING))
    text = np.frombuffer(padded, np.uint8).reshape(1, -1)
    # Every event has one brace, so there are no more events than braces.
    room = min(int(np.count_nonzero(text == _OPEN)), MAX_BATCH_EVENTS)
    rows = np.zeros((room, RECORD_SIZE), np.uint8)
    if _read_all(text, end - start, separator[0], rows) != room:
        return None
    records = RecordArray(rows)
    return records if records.first_refused == room else None


@njit(cache=True)
def _read_all(text, end, separator, rows):
    """Fill the rows, one for each event; how many, or ``DECLINED``."""
    at = 0
    for row in range(len(rows)):
        at = _read_event(text, at, rows, row)
        if at == DECLINED:
            return DECLINED
        if at == end:
            return row + 1
        if word8(text, 0, at) != separator:
            return DECLINED
        at += 1
    return DECLINED


@leaf
def _read_event(text, at, rows, row):
    """One object with the spaces around it, into a row of zeros; where it ends."""
    at = skip_spaces(text, at)
    if word8(text, 0, at) != _OPEN:
        return DECLINED
    seen = np.uint64(0)
    mark = np.uint64(_COMMA)
    while mark == _COMMA:
        bit, at = _read_member(text, at + 1, rows, row)
        if at == DECLINED or seen & bit != 0:
            return DECLINED
        seen |= bit
        mark = word8(text, 0, at)
    if mark != _CLOSE or seen & _REQUIRED != _REQUIRED:
        return DECLINED
    put8(rows, row, 0, RECORD_KIND)
    if seen & _COUNTRY_BIT == 0:
        put16(rows, row, 58, _UNKNOWN_COUNTRY)
    return skip_spaces(text, at + 1)


@leaf
def _read_member(text, at, rows, row):
    """A key and its value with the spaces around them: the field's bit, and where it ends."""
    at = skip_spaces(text, at)
    if word8(text, 0, at) != QUOTE:
        return _ONE, DECLINED
    field, at = find_name(_FIELDS, text, at + 1)
    if field < 0:
        return _ONE, DECLINED
    at = skip_spaces(text, at + 1)
    if word8(text, 0, at) != _COLON:
        return _ONE, DECLINED
    at = _read_value(text, skip_spaces(text, at + 1), rows, row, field)
    if at == DECLINED:
        return _ONE, DECLINED
    return _ONE << _FIELDS[field, _BIT], skip_spaces(text, at)


@leaf
def _read_value(text, at, rows, row, field):
    form, offset = _FIELDS[field, _FORM], np.int64(_FIELDS[field, _OFFSET])
    detail = np.int64(_FIELDS[field, _DETAIL])
    if form == _UINT32:
        return _read_uint32(text, at, rows, row, offset)
    if form == _UINT48:
        return _read_uint48(text, at, rows, row, offset)
    # Of the fields that may be null, the zeros in the row are the default already.
    is_null = word32(text, 0, at) == _NULL
    if is_null and (form == _CURRENCY or offset == 36):
        return at + 4
    if word8(text, 0, at) != QUOTE:
        return DECLINED
    at += 1
    if form == _UUID:
        return _read_id(text, at, rows, row, offset)
    if form == _LABEL:
        return _read_label(text, at, rows, row, offset, detail)
    if form == _HEX:
        return _read_hex(text, at, rows, row, offset, detail)
    if form == _COUNTRY:
        return _read_country(text, at, rows, row, offset)
    if form == _DECIMAL:
        return _read_decimal(text, at, rows, row, offset)
    return _read_currency(text, at, rows, row, offset)


@leaf
def _read_uint32(text, at, rows, row, offset):
    value, end = read_number(text, at)
    if value >= _LIMIT_32:
        return DECLINED
    put32(rows, row, offset, value)
    return end


@leaf
def _read_uint48(text, at, rows, row, offset):
    value, end = read_number(text, at)
    if value >= _LIMIT_48:
        return DECLINED
    put32(rows, row, offset, value >> _16)
    put16(rows, row, offset + 4, value)
    return end


@leaf
def _read_id(text, at, rows, row, offset):
    high, low, end = read_uuid(text, at)
    put64(rows, row, offset, high)
    put64(rows, row, offset + 8, low)
    return end


@leaf
def _read_label(text, at, rows, row, offset, column):
    label, end = find_name(_LABELS, text, at)
    if label < 0 or _LABELS[label, NUMBERS + column] == _NO_LABEL:
        return DECLINED
    put8(rows, row, offset, _LABELS[label, NUMBERS + column])
    return end + 1


@leaf
def _read_hex(text, at, rows, row, offset, digits):
    for part in range(0, digits, 8):
        value = hex_value(word64(text, 0, at + part), SMALL_LETTERS)
        if value == NO_HEX:
            return DECLINED
        put32(rows, row, offset + part // 2, value)
    return at + digits + 1 if word8(text, 0, at + digits) == QUOTE else DECLINED


@leaf
def _read_country(text, at, rows, row, offset):
    first, second = word8(text, 0, at), word8(text, 0, at + 1)
    is_code = _A <= first <= _Z and _A <= second <= _Z
    if not is_code or word8(text, 0, at + 2) != QUOTE:
        return DECLINED
    put16(rows, row, offset, word16(text, 0, at))
    return at + 3


@leaf
def _read_decimal(text, at, rows, row, offset):
    value, end = read_digits(text, at)
    if end == DECLINED or word8(text, 0, end) != QUOTE:
        return DECLINED
    put64(rows, row, offset, value)
    return end + 1


@leaf
def _read_currency(text, at, rows, row, offset):
    currency, end = find_name(_CURRENCIES, text, at)
    if currency < 0:
        return DECLINED
    put16(rows, row, offset, _CURRENCIES[currency, NUMBERS])
    return end + 1
