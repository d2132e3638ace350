"""The reader of Protocol Buffers against the library that defines them, through onnx's messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.protobuf import Reader, WireError, integer, integers, view, without

onnx = pytest.importorskip("onnx", reason="writes the messages")

numbers = st.integers(-(1 << 63), (1 << 63) - 1)


def all_fields(message: bytes) -> list[tuple[int, int | bytes]]:
    return [
        (number, value if isinstance(value, int) else bytes(value))
        for number, value in Reader(100).fields(memoryview(message))
    ]


@settings(max_examples=50, deadline=None)
@given(numbers, st.floats(width=32, allow_nan=False), st.binary(max_size=300), st.lists(numbers))
def test_what_the_library_writes_is_read(
    whole: int, real: float, text: bytes, several: list[int]
) -> None:
    attribute = onnx.AttributeProto(i=whole, f=real, s=text, ints=several)
    found = list(Reader(100).fields(memoryview(attribute.SerializeToString())))
    assert [integer(value) for number, value in found if number == 3] == [whole]
    assert [bytes(view(value)) for number, value in found if number == 4] == [text]
    assert [len(view(value)) for number, value in found if number == 2] == [4]
    assert [n for number, value in found if number == 8 for n in integers(value)] == several


@given(st.lists(numbers))
def test_packed_numbers(several: list[int]) -> None:
    packed = onnx.TensorProto(int64_data=several).SerializeToString()
    found = [n for _, value in Reader(9).fields(memoryview(packed)) for n in integers(value)]
    assert found == several


@given(numbers, st.floats(width=32, allow_nan=False), st.binary(max_size=300), st.lists(numbers))
def test_a_message_without_some_of_its_fields(
    whole: int, real: float, text: bytes, several: list[int]
) -> None:
    attribute = onnx.AttributeProto(i=whole, f=real, s=text, ints=several)
    message = memoryview(attribute.SerializeToString())
    assert without(message, 5) == message
    for name, number in (("i", 3), ("f", 2), ("s", 4), ("ints", 8)):
        rest = onnx.AttributeProto.FromString(attribute.SerializeToString())
        rest.ClearField(name)
        assert onnx.AttributeProto.FromString(without(message, number)) == rest


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (b"\x08", "cut short"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "too long"),  # 65 bits
        (b"\x08" + b"\x80" * 10 + b"\x00", "too long"),
        (b"\x0a\x05abc", "field 1 is 5 bytes long, 3 are left"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "18446744073709551615 bytes long, 0 are left"),
        (b"\x0d\x00\x00\x00", "4 bytes long, 3 are left"),
        (b"\x0b\x0c", "unknown kind 3"),
        (b"\x00\x00", "no field can have number 0"),
        (b"\x80\x80\x80\x80\x80\x01\x00", "no field can have number"),
        (b"\x08\x01" * 101, "too many fields"),
    ],
)
def test_damage_is_said(message: bytes, wrong: str) -> None:
    with pytest.raises(WireError, match=wrong):
        all_fields(message)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(message: bytes) -> None:
    try:
        found = all_fields(message)
    except WireError:
        return
    assert all(number >= 1 for number, _ in found)


def test_a_value_of_another_kind() -> None:
    with pytest.raises(WireError, match="a number stands where"):
        view(3)
    with pytest.raises(WireError, match="something else stands where a number"):
        integer(memoryview(b"3"))
