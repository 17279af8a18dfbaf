"""An ICC profile as cameras embed: primaries and a gamma."""

import struct

# x, y, z of the primaries, adapted to D50, as the profile of Adobe RGB (1998) has them.
WIDE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(primaries: tuple[tuple[float, float, float], ...] = WIDE, gamma: float = 2.2) -> bytes:
    """A version 2 profile of a display with these primaries."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78) + bytes(1)
    parts = [(b"desc", text), (b"cprt", b"text" + bytes(4) + b"none\0" + bytes(3)), (b"wtpt", _xyz(_D50))]
    parts += [(name, _xyz(xyz)) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)]
    parts += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, body = struct.pack(">I", len(parts)), b""
    for name, part in parts:
        table += name + struct.pack(">II", 128 + 4 + 12 * len(parts) + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02200000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", *_fixed(_D50))
    return head.ljust(128, b"\0") + table + body


def _fixed(values: tuple[float, float, float]) -> list[int]:
    return [round(value * 65536) for value in values]


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *_fixed(values))
