"""Ed25519 with one meaning: keys and signatures on which verifiers disagree are refused."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from certificate_samples import KEY, key_set

from sigma_core.certificates.ed25519 import FIELD, GROUP_ORDER, SMALL_ORDER_Y, signed, strict_public_key
from sigma_core.certificates.keyset import KeySet, KeySetError
from sigma_core.certificates.log.cosignature import WitnessKey
from sigma_core.certificates.log.note import NoteKey
from sigma_core.certificates.log.refusals import NoteError

D = -121665 * pow(121666, -1, FIELD) % FIELD
Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    """Addition on the twisted Edwards curve (RFC 8032, section 5.1)."""
    (x1, y1), (x2, y2) = one, other
    cross = D * x1 * x2 * y1 * y2
    x3 = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, FIELD)
    y3 = (y1 * y2 + x1 * x2) * pow(1 - cross, -1, FIELD)
    return x3 % FIELD, y3 % FIELD


def point_of(y: int) -> Point:
    square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
    root = pow(square, (FIELD + 3) // 8, FIELD)
    if root * root % FIELD != square:
        root = root * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    assert root * root % FIELD == square, "not on the curve"
    return root, y


@pytest.mark.parametrize("y", sorted(SMALL_ORDER_Y))
def test_the_points_that_are_refused_are_those_whose_order_divides_eight(y: int) -> None:
    point = point_of(y)
    for _ in range(3):
        point = add(point, point)
    assert point == (0, 1)


@pytest.mark.parametrize("y", [*sorted(SMALL_ORDER_Y), FIELD, FIELD + 1, 2**255 - 1])
@pytest.mark.parametrize("sign", [0, 0x80])
def test_a_key_of_small_order_or_beyond_the_field_is_refused_in_every_place(y: int, sign: int) -> None:
    raw = bytearray(y.to_bytes(32, "little"))
    raw[31] |= sign
    with pytest.raises(ValueError, match=r"small order|beyond the field"):
        strict_public_key(bytes(raw))
    document = json.loads(key_set().to_bytes())
    document["keys"][0]["publicKey"] = b64encode(bytes(raw)).decode()
    with pytest.raises(KeySetError, match="publicKey"):
        KeySet.parse(json.dumps(document).encode())
    for kind in (NoteKey, WitnessKey):
        with pytest.raises(NoteError):
            kind.parse(f"name+00000000+{b64encode(kind.algorithm + bytes(raw)).decode()}")


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not 32"):
        strict_public_key(raw)


def test_a_genuine_key_and_signature_pass() -> None:
    raw = KEY.public_key.public_bytes_raw()
    assert signed(strict_public_key(raw), KEY.sign(b"message"), b"message")


@pytest.mark.parametrize("multiple", [1, 2, 7])
def test_s_plus_a_multiple_of_the_order_is_no_second_signature(multiple: int) -> None:
    signature = KEY.sign(b"message")
    second = int.from_bytes(signature[32:], "little") + multiple * GROUP_ORDER
    assert not signed(KEY.public_key, signature[:32] + second.to_bytes(32, "little"), b"message")


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_none(length: int) -> None:
    assert not signed(KEY.public_key, KEY.sign(b"message").ljust(65, b"\0")[:length], b"message")
