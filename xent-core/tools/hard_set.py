"""Makes xent-core/tests/hard_set/rows.txt: rows of logits that are hard to reduce, and what they give, with 100 digits.

A line is a row: its name, its logits as runs `count*bits`, the place of a label, and in 30 digits
lse, loss of the label, D (the mean distance of accuracy.rs), the largest probability, entropy.

Run: python3 xent-core/tools/hard_set.py   (needs mpmath)
"""

import random
import struct
from pathlib import Path

from mpmath import exp, log, mp, mpf, nstr

mp.dps = 100
random.seed(20)


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def from_bits(b):
    return struct.unpack("<f", struct.pack("<I", b))[0]


def uniform(n, scale, offset=0.0):
    return [(1, f32(random.uniform(-scale, scale) + offset)) for _ in range(n)]


def in_orders(name, runs):
    """As it is, rising and falling."""
    rising = sorted(runs, key=lambda run: run[1])
    return [(name, runs), (f"{name}, rising", rising), (f"{name}, falling", rising[::-1])]


def rows():
    for n in [2, 10, 100, 1000]:
        for scale in [1.0, 10.0, 80.0]:
            yield from in_orders(f"{n} uniform in {scale:g}", uniform(n, scale))
    for gap in [1, 8.3, 16.635532, 17, 17.5, 20, 40, 87, 88.5, 100, 103.2, 103.97, 104, 120]:
        yield from in_orders(f"confident by {gap}", [(1, 0.0), (9, f32(-gap))])
        yield f"confident by {gap} at 1000.1", [(5, f32(1000.1 - gap)), (1, f32(1000.1)), (4, f32(1000.1 - gap))]
    for n in [2, 3, 10, 33, 1000, 2**17 + 1, 2**19]:
        for value in [0.0, 1.5, -7.25e-3, -11.0, 1e-30, 3e38, -1e30]:
            yield f"{n} equal to {value:g}", [(n, f32(value))]
        # ln(n) nearly cancels the maximum: the result is small beside both.
        yield f"{n} equal to -ln n", [(n, f32(-float(log(n))))]
    for n in [2, 10, 1000]:
        for ties in [2, n // 2, n - 1]:
            if 1 < ties < n:
                yield f"{ties} of {n} tied, 12 above", [(ties, 5.0), (n - ties, -7.0)]
    for offset in [1e2, -1e4, 1e6, 1e30, -1e30]:
        yield from in_orders(f"offset {offset:g}", uniform(50, 12.0, offset))
    # The maximum is half of what the others add: the result is as far above 0 as the maximum is below.
    for distance, m in [(8.3, -1.0646635e-3), (4.85, -7.7984295e-3), (8.01, -7.004965e-4)]:
        rest = [(1, f32(m - distance + random.uniform(-0.1, 0.1))) for _ in range(round((exp(-2 * m) - 1) * exp(distance)))]
        yield f"above 0 by as much as {m:g} is below", [(1, f32(m)), *rest]
    # The distance from the maximum is rounded, the same way for each.
    yield "2^24 at a distance of 16.7", [(1, f32(1e-3)), (2**24, f32(-16.635532))]
    yield "subnormals", [(1, from_bits(i * 1_000_003 % 0x0080_0000)) for i in range(64)]
    yield "negative subnormals", [(1, from_bits(0x8000_0000 + i * 1_000_003 % 0x0080_0000)) for i in range(64)]
    yield "subnormal terms", [(1, 3.0), (40, f32(3.0 - 95.0)), (100, f32(3.0 - 103.0))]
    for n in [2**10, 2**17, 2**19]:
        for gap in [0.5, 10.0, 16.6, 20.0, 40.0]:
            yield f"one and {n}, {gap:g} below", [(1, 0.25), (n - 1, f32(0.25 - gap))]
            yield f"{n}, {gap:g} below, and one", [(n - 1, f32(0.25 - gap)), (1, 0.25)]
    yield "2^26, in eight steps", [(2**23, f32(-0.37 * i)) for i in range(8)]
    yield "2^22, one above", [(2**22 - 1, f32(-18.1)), (1, 0.0)]
    yield "a huge one and the smallest", [(1, f32(3.4028235e38)), (9, f32(-3.4028235e38))]
    # Most of them of the rows whose last rounding decides.
    for n, count in [(16, 32), (64, 8), (256, 2)]:
        for scale in [1.0, 3.0, 10.0, 30.0, 80.0]:
            for i in range(count):
                yield f"{n} uniform in {scale:g}, number {i + 2}", uniform(n, scale)


def line(name, runs):
    m = max(mpf(x) for _, x in runs)
    n = sum(count for count, _ in runs)
    distances = [(count, m - mpf(x)) for count, x in runs]
    total = sum(count * exp(-d) for count, d in distances)
    others = sum(count * exp(-d) for count, d in distances if d > 0)
    ties = sum(count for count, d in distances if d == 0)
    rest = others + (ties - 1)
    moment = sum(count * d * exp(-d) for count, d in distances)
    label = random.randrange(n)
    i = label
    for count, x in runs:
        if i < count:
            break
        i -= count
    lse = m + log(total)
    # Weights below the smallest f64 count as none, as in reference.rs.
    distance = moment / rest if rest > mpf(2) ** -1074 else mpf(0)
    values = [lse, (m - mpf(x)) + log(total), distance, 1 / total, log(total) + moment / total]
    text = " ".join(f"{count}*{bits(x):08x}" for count, x in runs)
    return f"{name} | {text} | {label} | " + " ".join(nstr(v, 30) for v in values)


path = Path(__file__).parent.parent / "tests/hard_set/rows.txt"
lines = [line(name, runs) for name, runs in rows()]
path.write_text("\n".join(lines) + "\n")
print(f"{len(lines)} rows in {path}")
