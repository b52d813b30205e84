"""Make the polynomial coefficients and ln 2 splits used by the f32 exp, ln and tanh and by the divergences.

Each polynomial is a weighted Remez fit in high precision.  Its coefficients are
then rounded to f32 one at a time, lowest order first, refitting the rest after
each; neighbouring roundings are searched too, and the best set is kept.
"Error" is the relative error of the whole approximation with exact arithmetic:
rounding while evaluating it in f32 is not included.

Run (needs mpmath only; no arguments, deterministic):
    python3 xent-core/tools/minimax.py
"""

import struct
from mpmath import mp, mpf

mp.dps = 50
FIT_POINTS = 400     # Chebyshev grid for the exchange and the search
CHECK_POINTS = 4001  # uniform grid, endpoints included, for the reported errors


def to_f32(x, bits=24):
    """Nearest value with `bits` significant bits, ties to even (normal range)."""
    exponent = mp.frexp(x)[1]
    return mp.ldexp(mp.nint(mp.ldexp(x, bits - exponent)), exponent - bits)


def ulp(x):
    return mp.ldexp(mpf(1), mp.frexp(x)[1] - 24)


def log2(x):
    return mp.nstr(mp.log(x, 2), 6, strip_zeros=False)


def describe(name, x):
    """Name, hex float, f32 bits and shortest decimal of an exact f32 value."""
    assert to_f32(x) == x
    mantissa, exponent = float(x).hex().split("p")
    bits = struct.unpack("<I", struct.pack("<f", float(x)))[0]
    decimals = (mp.nstr(x, n, min_fixed=-5, max_fixed=10) for n in range(1, 10))
    short = next(d for d in decimals if to_f32(mpf(d)) == x)
    hexfloat = mantissa.rstrip("0").rstrip(".") + "p" + exponent
    return f"  {name:<4} {hexfloat:<15} 0x{bits:08x}  {short}"


class Fit:
    """target(x) ~ base(x) + x^shift * (c0 + c1 x + ... + cn x^n) on [lo, hi]."""

    def __init__(self, target, base, shift, degree, lo, hi):
        self.base, self.shift, self.degree = base, shift, degree
        middle, half = (lo + hi) / 2, (hi - lo) / 2
        self.xs = [middle - half * mp.cos(mp.pi * i / (FIT_POINTS - 1)) for i in range(FIT_POINTS)]
        values = [target(x) for x in self.xs]
        self.gap = [(v - base(x)) / v for x, v in zip(self.xs, values)]
        self.weight = [x**shift / v for x, v in zip(self.xs, values)]
        check = [lo + (hi - lo) * i / (CHECK_POINTS - 1) for i in range(CHECK_POINTS)]
        self.check = [(x, target(x)) for x in check if target(x) != 0]

    def residual(self, coeffs):
        """Relative errors (target - approximation) / target on the fit grid."""
        return [g - w * mp.polyval(coeffs[::-1], x) if coeffs else g
                for g, w, x in zip(self.gap, self.weight, self.xs)]

    def remez(self, fixed):
        """Best free coefficients after the `fixed` ones, and their max error."""
        first, free = len(fixed), self.degree + 1 - len(fixed)
        gap = self.residual(fixed)
        # Past an odd number of fixed coefficients the basis changes sign at 0;
        # the signs of error / basis are the ones that must alternate.
        side = [mp.sign(w * x**first) for w, x in zip(self.weight, self.xs)]
        ref = [round((1 - mp.cos(mp.pi * i / free)) / 2 * (FIT_POINTS - 1)) for i in range(free + 1)]
        for _ in range(50):
            rows = [[self.weight[i] * self.xs[i] ** (first + k) for k in range(free)]
                    + [side[i] * (-1) ** n] for n, i in enumerate(ref)]
            *coeffs, level = mp.lu_solve(mp.matrix(rows), mp.matrix([gap[i] for i in ref]))
            error = [s * e for s, e in zip(side, self.residual(fixed + coeffs))]
            worst = max(map(abs, error))
            new = alternating_peaks(error, free + 1)
            if worst <= abs(level) * (1 + mpf(10) ** -8) or new == ref:
                return coeffs, worst
            ref = new
        raise RuntimeError("the exchange did not settle")

    def search(self, fixed=(), best=(mp.inf, None)):
        """Best f32 coefficients that start with `fixed`, as (max error, coefficients).

        A refit's error is a lower bound for every rounding below it, so a branch
        whose bound does not beat the best set so far is cut.
        """
        fixed = list(fixed)
        if len(fixed) > self.degree:
            return min(best, (max(map(abs, self.residual(fixed))), fixed), key=lambda b: b[0])
        coeffs, bound = self.remez(fixed)
        if bound >= best[0]:
            return best
        nearest = to_f32(coeffs[0])
        for step in (0, -1, 1):
            best = self.search(fixed + [nearest + step * ulp(nearest)], best)
        return best

    def measure(self, coeffs):
        """Max and signed mean of (approximation - target) / target, evaluated directly."""
        rel = [(self.base(x) + x**self.shift * mp.polyval(coeffs[::-1], x) - v) / v
               for x, v in self.check]
        return max(map(abs, rel)), sum(rel) / len(rel)

    def report(self, title, letter, first_index):
        coeffs = self.search()[1]
        print(f"{title}\n  interval [{mp.nstr(self.check[0][0], 17)}, {mp.nstr(self.check[-1][0], 17)}]")
        for label, values in (("ideal", self.remez([])[0]), ("rounded", coeffs)):
            worst, bias = self.measure(values)
            print(f"  {label:<8} max error 2^{log2(worst)}   bias {mp.nstr(bias, 4)}"
                  f" ({mp.nstr(100 * bias / worst, 3)}% of the max)")
        for i, c in enumerate(coeffs):
            print(describe(f"{letter}{first_index + i}", c))
        print()


def alternating_peaks(error, count):
    """Indices of `count` peaks of alternating sign that include the largest."""
    peaks = []
    for i, e in enumerate(error):
        if not peaks or e * error[peaks[-1]] < 0:
            peaks.append(i)
        elif abs(e) > abs(error[peaks[-1]]):
            peaks[-1] = i
    size = lambda n: abs(error[peaks[n]])
    while len(peaks) > count:  # an inner peak goes with its smaller neighbour, to keep alternation
        last = len(peaks) - 1
        n = min((0, last) if last == count else range(last + 1), key=size)
        near = [] if n in (0, last) else [min(n - 1, n + 1, key=size)]
        peaks = [p for i, p in enumerate(peaks) if i not in [n] + near]
    assert len(peaks) == count
    return peaks


def mean_of_logs(z):
    """((1 + d) ln(1 + d) + (1 - d) ln(1 - d)) / d^2 of z = d^2."""
    d = mp.sqrt(z)
    return ((1 + d) * mp.log1p(d) + (1 - d) * mp.log1p(-d)) / z


def expm1_beyond_x(x):
    """(exp(x) - 1 - x) / x^2."""
    return (mp.expm1(x) - x) / x**2


def main():
    edge = mp.ln2 / 2 * (1 + mpf(2) ** -10)
    Fit(mp.exp, lambda r: 1 + r, 2, 4, -edge, edge).report(
        "exp: 1 + r + r^2 (c2 + c3 r + ... + c6 r^4)", "c", 2)
    wide = 1 + mpf(2) ** -20
    lo, hi = (mp.sqrt(0.5) - 1) * wide, (mp.sqrt(2) - 1) * wide
    for n in (6, 7, 8):
        Fit(mp.log1p, lambda f: f - f * f / 2, 3, n, lo, hi).report(
            f"ln, n = {n}: f - f^2/2 + f^3 (d0 + d1 f + ... + d{n} f^{n})", "d", 0)
    Fit(mp.log1p, lambda x: x - x * x / 2, 3, 8, mpf(2) ** -30, wide).report(
        "ln(1 + x) up to x = 1: x - x^2/2 + x^3 (d0 + d1 x + ... + d8 x^8)", "d", 0)
    # tanh(x) / x in u = x^2, up to where the exponential takes over.
    Fit(lambda u: mp.tanh(mp.sqrt(u)) / mp.sqrt(u), lambda u: mpf(1), 1, 4, mpf(2) ** -40,
        mpf(0.55) ** 2 * (1 + mpf(2) ** -10)).report(
        "tanh: x + x u (t0 + t1 u + ... + t4 u^4), u = x^2", "t", 0)
    Fit(mean_of_logs, lambda z: mpf(0), 0, 7, mpf(2) ** -12, mpf(0.5)).report(
        "((1 + d) ln(1 + d) + (1 - d) ln(1 - d)) / d^2, z = d^2: p0 + p1 z + ... + p7 z^7", "p", 0)
    Fit(expm1_beyond_x, lambda x: mpf(0), 0, 8, mpf(-1), mpf(2)).report(
        "(exp(x) - 1 - x) / x^2: h0 + h1 x + ... + h8 x^8", "h", 0)
    for title, bits in (("ln 2 split, with fma", 24), ("ln 2 split, no fma (hi has 15 bits)", 15)):
        high = to_f32(mp.ln2, bits)
        low = to_f32(mp.ln2 - high)
        left = log2(abs(mp.ln2 - high - low))
        exact = all(to_f32(n * high) == n * high for n in range(1, 257))
        print(f"{title}\n  |ln2 - hi - lo| = 2^{left};"
              f" n*hi exact in f32 for |n| <= 256: {'yes' if exact else 'no'}")
        print(describe("hi", high), describe("lo", low), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
