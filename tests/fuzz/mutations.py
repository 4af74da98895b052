"""Changes to the bytes of a file, each a function of one random generator."""

import random
import struct

# Integers at which sizes, counts and offsets go wrong.
EXTREMES = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WIDE_EXTREMES = (*EXTREMES, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 40)
# What text formats read otherwise than one expects: digits of other scripts, line ends, odd numbers.
WORDS = (
    *(
        b"",
        b"-1",
        b"0",
        b"1e999",
        b"nan",
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"9" * 5000,
    ),
    *(
        "²".encode(),
        "٣".encode(),
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x85",
        b"\xe2\x80\xa8",
        b"\r",
        b"\n",
    ),
    *(
        b"../../x",
        b"/etc/passwd",
        b"*x",
        b"&x",
        b"2001-99-99",
        b"0x",
        b"1_000",
        b"\t",
        b'"',
        b"\\",
        b"[" * 3000,
    ),
)


def mutate(content: bytes, chance: random.Random) -> bytes:
    """One to three changes, never none as long as there is a byte to change."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_KINDS)(changed, chance)
    return bytes(changed) if bytes(changed) != content else content[:-1]


def _place(content: bytearray, chance: random.Random) -> int:
    """A place in the file; headers and tables are at its ends, so these are hit more often."""
    size = max(len(content), 1)
    near = min(size, 256)
    return chance.choice((chance.randrange(size), chance.randrange(near), size - 1 - chance.randrange(near)))


def _flip_bits(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 4, 16)) if content else 0):
        content[_place(content, chance)] ^= 1 << chance.randrange(8)


def _set_bytes(content: bytearray, chance: random.Random) -> None:
    begin = _place(content, chance)
    length = chance.choice((1, 2, 4, 16))
    content[begin : begin + length] = chance.choice(
        (bytes(length), b"\xff" * length, chance.randbytes(length))
    )


def _set_integer(content: bytearray, chance: random.Random) -> None:
    width, letter = chance.choice(((1, "B"), (2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    value = chance.choice(WIDE_EXTREMES if width == 8 else EXTREMES) & ((1 << 8 * width) - 1)
    begin = _place(content, chance) // width * width
    content[begin : begin + width] = struct.pack(chance.choice("<>") + letter, value)


def _add_to_integer(content: bytearray, chance: random.Random) -> None:
    begin = _place(content, chance) // 4 * 4
    if begin + 4 <= len(content):
        (value,) = struct.unpack_from("<I", content, begin)
        struct.pack_into(
            "<I", content, begin, (value + chance.choice((-8, -4, -1, 1, 4, 8, 1000))) % (1 << 32)
        )


def _truncate(content: bytearray, chance: random.Random) -> None:
    del content[_place(content, chance) :]


def _remove(content: bytearray, chance: random.Random) -> None:
    begin = _place(content, chance)
    del content[begin : begin + chance.choice((1, 2, 8, 64, 1000))]


def _duplicate(content: bytearray, chance: random.Random) -> None:
    begin = _place(content, chance)
    piece = bytes(content[begin : begin + chance.choice((1, 4, 64, 1000))])
    content[begin:begin] = piece * chance.choice((1, 2, 50))


def _insert(content: bytearray, chance: random.Random) -> None:
    begin = _place(content, chance)
    content[begin:begin] = chance.choice((chance.randbytes(chance.choice((1, 4, 100))), chance.choice(WORDS)))


def _splice(content: bytearray, chance: random.Random) -> None:
    """A piece of the file over another one."""
    source, target, length = _place(content, chance), _place(content, chance), chance.choice((4, 16, 256))
    content[target : target + length] = content[source : source + length]


def _replace_word(content: bytearray, chance: random.Random) -> None:
    """A run of letters and digits about a place."""
    if not content:
        return
    begin = end = _place(content, chance)
    while begin > 0 and chr(content[begin - 1]).isalnum():
        begin -= 1
    while end < len(content) and chr(content[end]).isalnum():
        end += 1
    content[begin:end] = chance.choice(WORDS)


_KINDS = (
    *(
        _flip_bits,
        _set_bytes,
        _set_integer,
        _add_to_integer,
        _truncate,
        _remove,
        _duplicate,
        _insert,
        _splice,
    ),
    _replace_word,
)
