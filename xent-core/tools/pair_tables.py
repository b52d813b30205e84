"""Makes the constants of xent-core/src/math/pair.rs: ln 2 / 64 in four parts and 2^(j/8) and 2^(j/64) in two.

Run: python3 xent-core/tools/pair_tables.py   (needs mpmath)
"""

import struct

from mpmath import floor, log, mp, mpf

mp.prec = 200


def f32(x):
    """The f32 nearest to x."""
    return struct.unpack("<f", struct.pack("<f", float(x)))[0]


def bits(x):
    return f"0x{struct.unpack('<I', struct.pack('<f', x))[0]:08x}"


def leading(x, n_bits):
    """x cut off after n_bits significant bits."""
    scale = mpf(2) ** (n_bits - 1 - floor(log(x, 2)))
    return f32(floor(x * scale) / scale)


step = log(mpf(2)) / 64
parts, rest = [], step
for _ in range(3):
    parts.append(leading(rest, 10))
    rest -= parts[-1]
parts.append(f32(rest))
print("LN_2_BY_64:", ", ".join(f"f32::from_bits({bits(p)})" for p in parts))
print("SIXTY_FOUR_BY_LN_2:", bits(f32(1 / step)))
for n in 8, 64:
    print(f"EXP2_BY_{n}:")
    for j in range(8):
        power = mpf(2) ** (mpf(j) / n)
        hi = f32(power)
        print(f"    [{bits(hi)}, {bits(f32(power - hi))}],")
