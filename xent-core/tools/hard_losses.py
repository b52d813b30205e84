"""Makes xent-core/tests/hard_set/losses.txt: losses with options, divergences and their gradients, with 100 digits.

Each is computed as its definition reads, with nothing done against cancellation but 400 digits, and each gradient as a central
difference of that definition: neither shares a formula with reference.rs.

A line: the function, its options, x, y, and in 30 digits the loss and the derivative by each of up to five elements
of x, those at 0, n/3, n/2, 2n/3 and n - 1. f32 are bits.

Run: python3 xent-core/tools/hard_losses.py   (needs mpmath)
"""

import random
import struct
from pathlib import Path

from mpmath import exp, inf, log, mp, mpf, nstr, tanh

mp.dps = 400
random.seed(28)
# Relative: a central difference has an error of its square. Losses down to 1e-200 leave it 100 digits.
STEP = mpf(10) ** -50


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def bits(x):
    return f"{struct.unpack('<I', struct.pack('<f', x))[0]:08x}"


def softmax(x):
    # Below the exponents of mpmath nothing is lost, and above them nothing is either.
    m = max(x)
    e = [exp(v - m) for v in x]
    return [v / sum(e) for v in e]


def xlogy(x, y):
    return x * log(y) if x != 0 else mpf(0)


def target(y, o, n):
    """v: what each class counts."""
    a, weights = o.get("smoothing", mpf(0)), o.get("weights", [mpf(1)] * n)
    return [w * ((1 - a) * v + a / n) for w, v in zip(weights, y)]


def cross_entropy(x, y, o):
    cap, t = o.get("cap", inf), o.get("temperature", mpf(1))
    z = [(cap * tanh(v / cap) if cap < inf else v) / t for v in x]
    p, v = softmax(z), target(y, o, len(x))
    m = max(z)
    lse = m + log(sum(exp(w - m) for w in z))
    gamma = o.get("gamma", mpf(0))
    terms = (v * (1 - p) ** gamma * -log(p) for v, p in zip(v, p) if v != 0)
    return o.get("weight", mpf(1)) * (sum(terms) + o.get("z_loss", mpf(0)) * lse**2)


def clipped(q, o):
    lo, hi = o.get("clip", [mpf(0), mpf(1)])
    return min(max(q, lo), hi)


def clipped_cross_entropy(p, y, o):
    q = [v / sum(p) for v in p] if o.get("normalize") else p
    q = [clipped(v, o) for v in q]
    gamma = o.get("gamma", mpf(0))
    terms = (v * (1 - q) ** gamma * -log(q) for v, q in zip(target(y, o, len(p)), q) if v != 0)
    return o.get("weight", mpf(1)) * sum(terms)


def binary(p, rest, y, o):
    a = o.get("smoothing", mpf(0))
    positive, negative = (1 - a) * y + a / 2, (1 - a) * (1 - y) + a / 2
    base = -xlogy(o.get("pos_weight", mpf(1)) * positive, p) - xlogy(negative, rest)
    wrong = positive * rest + negative * p
    balance = mpf(1)
    if "alpha" in o:
        balance = o["alpha"] * positive + (1 - o["alpha"]) * negative
    return o.get("weight", mpf(1)) * balance * wrong ** o.get("gamma", mpf(0)) * base


def binary_cross_entropy(x, y, o):
    cap, t = o.get("cap", inf), o.get("temperature", mpf(1))
    z = (cap * tanh(x[0] / cap) if cap < inf else x[0]) / t
    return binary(1 / (1 + exp(-z)), 1 / (1 + exp(z)), y[0], o)


def clipped_binary_cross_entropy(p, y, o):
    q = clipped(p[0], o)
    return binary(q, 1 - q, y[0], o)


def entropy(p, _, o):
    return -sum(xlogy(v, v) for v in p)


def kl_divergence(p, q, o):
    return sum(xlogy(a, a / b) for a, b in zip(p, q) if a != 0)


def js_divergence(p, q, o):
    m = [(a + b) / 2 for a, b in zip(p, q)]
    return (kl_divergence(p, m, o) + kl_divergence(q, m, o)) / 2


def distillation(student, teacher, o):
    t = o["temperature"]
    return kl_divergence(softmax([v / t for v in teacher]), softmax([v / t for v in student]), o)


def derivative(f, x, i, *rest):
    h = STEP * (abs(x[i]) if x[i] != 0 else 1)
    sides = [f([*x[:i], x[i] + s * h, *x[i + 1 :]], *rest) for s in (1, -1)]
    return (sides[0] - sides[1]) / (2 * h)


def line(f, x, y, **options):
    exact = {k: [mpf(f32(w)) for w in v] if isinstance(v, list) else v if v is True else mpf(f32(v)) for k, v in options.items()}
    x, y = [f32(v) for v in x], [f32(v) for v in y]
    mx, my, n = [mpf(v) for v in x], [mpf(v) for v in y], len(x)
    values = [f(mx, my, exact)]
    if f not in (entropy, kl_divergence, js_divergence):
        values += [derivative(f, mx, i, my, exact) for i in sorted({0, n // 3, n // 2, 2 * n // 3, n - 1})]
    texts = {k: ",".join(map(bits, v)) if isinstance(v, list) else "1" if v is True else bits(v) for k, v in options.items()}
    fields = [f.__name__, " ".join(f"{k}={v}" for k, v in texts.items()) or "-", " ".join(map(bits, x)), " ".join(map(bits, y)) or "-"]
    return " | ".join([*fields, " ".join(nstr(v, 30) for v in values)])


def one_hot(n, k):
    return [float(i == k) for i in range(n)]


def distribution(n):
    v = [random.expovariate(1) for _ in range(n)]
    return [w / sum(v) for w in v]


LOGITS = [
    [0.0, -20.0, -20.5],
    [17.5, 0.0],
    [0.0, -104.0, -103.0, 0.5],
    [2.0, 2.0, 2.0],
    [1e6 + 0.5, 1e6, 1e6 - 12.0, 1e6 + 0.25],
    [random.uniform(-80, 80) for _ in range(12)],
    [random.uniform(-3, 3) for _ in range(33)],
    [1e-40, -3e-42, 0.0],
    [3e38, -3e38, 0.0],
]
PROBS = [
    [0.25, 0.75],
    [1e-20, 1.0, 3e-9],
    [1e-45, 0.9999999, 2e-7],
    [1e-42, 3e-39, 2e-41],
    [0.1, 0.2, 0.3, 0.4],
    [3e30, 1e30, 5e29],
    [random.random() ** 4 for _ in range(20)],
]
ROW_OPTIONS = [
    {},
    {"smoothing": 0.1},
    {"gamma": 2.0},
    {"gamma": 0.5, "weight": 0.3},
    {"gamma": 3.3, "smoothing": 0.25},
]


def lines():
    for x in LOGITS:
        n = len(x)
        weights = {"weights": [0.5 + 0.25 * (i % 5) for i in range(n)]}
        for y in [one_hot(n, 0), one_hot(n, n - 1), distribution(n)]:
            for o in [*ROW_OPTIONS, weights, {"temperature": 0.7}, {"temperature": 8.0, "gamma": 1.0}, {"cap": 30.0}, {"z_loss": 1e-4}]:
                yield line(cross_entropy, x, y, **o)
            yield line(cross_entropy, x, y, **weights, smoothing=0.05, gamma=1.5, temperature=2.0, cap=50.0, z_loss=1e-3, weight=0.7)
    for p in PROBS:
        n = len(p)
        sums_to_1 = sum(p) < 2
        for y in [one_hot(n, 0), one_hot(n, n - 1), distribution(n)]:
            for o in ROW_OPTIONS:
                if sums_to_1 and max(p) < 1:
                    yield line(clipped_cross_entropy, p, y, **o)
                    yield line(clipped_cross_entropy, p, y, **o, clip=[1e-7, 0.5])
                yield line(clipped_cross_entropy, p, y, **o, normalize=True)
                yield line(clipped_cross_entropy, p, y, **o, normalize=True, clip=[1e-10, 0.9])
    for y in [0.0, 1.0, 0.3, 1e-10]:
        for o in [{}, {"pos_weight": 3.0}, {"smoothing": 0.1, "alpha": 0.25}, {"gamma": 2.0}, {"gamma": 0.5, "alpha": 0.9, "weight": 0.3}]:
            for x in [0.0, 1e-30, 0.7, -17.5, 17.5, -88.0, 103.0, -3e4]:
                yield line(binary_cross_entropy, [x], [y], **o)
                yield line(binary_cross_entropy, [x], [y], **o, temperature=0.5, cap=20.0)
            for p in [1e-45, 1e-30, 1e-5, 0.5, 0.9, 0.9999999]:
                yield line(clipped_binary_cross_entropy, [p], [y], **o)
                yield line(clipped_binary_cross_entropy, [p], [y], **o, clip=[1e-6, 0.95])
    pairs = [(distribution(n), distribution(n)) for n in [2, 5, 40]]
    # Where the reference has a series, and on either side of it.
    near = [([f32(v * random.uniform(1 - r, 1 + r)) for v in p], p) for p, _ in pairs for r in [1e-4, 0.01, 0.03, 0.06]]
    for p, q in [*pairs, *near, ([1.0, 0.0], [0.5, 0.5]), ([1e-45, 1.0], [1e-40, 1.0]), ([0.3, 0.7], [0.3000001, 0.6999999]), ([0.5, 1e-30], [0.5, 2e-30])]:
        yield line(entropy, p, [])
        yield line(kl_divergence, p, q)
        yield line(js_divergence, p, q)
    for x in LOGITS[:-1]:
        for shift in [1e-6, 0.015, 0.3, 20.0]:
            y = [f32(v + random.uniform(-shift, shift)) for v in x]
            for t in [1.0, 0.125, 20.0]:
                yield line(distillation, x, y, temperature=t)


path = Path(__file__).parent.parent / "tests/hard_set/losses.txt"
text = list(lines())
path.write_text("\n".join(text) + "\n")
print(f"{len(text)} lines in {path}")
