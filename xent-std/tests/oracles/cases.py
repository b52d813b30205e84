"""Random inputs, short to write: most numbers are decimals of a few digits, rounded to f32.

`random.Random` gives the same numbers in every Python, so that a fixture depends on the seed, the name
of the library and its own number alone.
"""

import random

import numpy as np

LOGITS = ("normal", "wide", "offset", "ties", "confident", "small", "digits")
REDUCTIONS = ("none", "sum", "mean", "mean_count")


def f32(values):
    """The nearest f32, as f64: what xent and the library both see."""
    return np.asarray(values, dtype=np.float64).astype(np.float32).astype(np.float64)


def shown(value):
    """An option as it stands in a call; f32 with the digits that were drawn."""
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def number(value):
    return float(np.float32(value))


class Draw:
    def __init__(self, *seed):
        self.random = random.Random(":".join(map(str, seed)))

    def chance(self, p):
        return self.random.random() < p

    def choice(self, options):
        return self.random.choice(options)

    def integer(self, lo, hi):
        return self.random.randint(lo, hi)

    def decimal(self, lo, hi, digits=2):
        return number(round(self.random.uniform(lo, hi), digits))

    def shape(self, min_classes=1):
        """Rows and classes: mostly small, some of 300 classes, some of 40 rows, some of one class."""
        kind = self.random.random()
        if kind < 0.05:
            return self.integer(1, 2), self.integer(100, 300)
        if kind < 0.11:
            return self.integer(16, 40), self.integer(max(2, min_classes), 5)
        if kind < 0.25:
            return self.integer(1, 3), self.integer(13, 40)
        if kind < 0.30:
            return self.integer(1, 8), min_classes
        return self.integer(1, 7), self.integer(max(2, min_classes), 9)

    def logits(self, shape, kind):
        rows = [self._logits(shape[1], kind) for _ in range(shape[0])]
        return f32(rows).reshape(shape)

    def _logits(self, classes, kind):
        gauss = self.random.gauss
        if kind == "normal":
            return [round(gauss(0, 2), 3) for _ in range(classes)]
        if kind == "wide":
            return [round(gauss(0, 12), 2) for _ in range(classes)]
        if kind == "offset":  # a common offset of 1e4, which leaves ten bits after the point
            offset = self.choice([-1e4, 1e4])
            return [offset + round(gauss(0, 2) * 64) / 64 for _ in range(classes)]
        if kind == "ties":
            return [self.choice([-1.0, 0.5, 0.5, 2.0]) for _ in range(classes)]
        if kind == "confident":
            row = [round(gauss(0, 1), 2) for _ in range(classes)]
            row[self.integer(0, classes - 1)] += self.integer(5, 25)
            return row
        if kind == "small":
            return [round(gauss(0, 1), 3) * 1e-4 for _ in range(classes)]
        if kind == "digits":
            return [gauss(0, 3) for _ in range(classes)]
        raise ValueError(kind)

    def labels(self, shape):
        return [self.integer(0, shape[1] - 1) for _ in range(shape[0])]

    def mask(self, x, keep):
        """Sets some logits to -inf, but none where `keep` is."""
        for r, row in enumerate(x):
            for c in range(len(row)):
                if not keep[r][c] and self.chance(0.3):
                    row[c] = -np.inf
        return x

    def probabilities(self, shape, kind="normal"):
        """Rows of 64ths or 1024ths that sum to 1; `zeros`: some are 0; `one hot`: one is 1; `any`: any sum,
        and some above 1; `edge`: sums of about 1, and one at or beyond the lower bound of Keras' clip range.
        """
        rows = []
        for _ in range(shape[0]):
            if kind == "one hot":
                row = [0.0] * shape[1]
                row[self.integer(0, shape[1] - 1)] = 1.0
                rows.append(row)
                continue
            row = [self.random.expovariate(1) + 0.01 for _ in range(shape[1])]
            if kind == "zeros" and shape[1] > 1:
                for c in self.random.sample(range(shape[1]), self.integer(1, max(1, shape[1] // 2))):
                    row[c] = 0.0
            if kind in ("normal", "zeros"):
                row = self._exact(row)
            else:
                total = 1.0 if kind == "any" else sum(row)
                row = [round(value / total, 4) for value in row]
            if kind == "edge":
                row[self.integer(0, shape[1] - 1)] = self.choice([0.0, 1e-9, 3e-7, 1e-4])
            rows.append(row)
        return f32(rows).reshape(shape)

    @staticmethod
    def _exact(row):
        """In proportion to `row`, fractions whose sum is exactly 1; what is not 0 stays so."""
        parts = 64 if len(row) <= 16 else 1024
        total = sum(row)
        counts = [max(1, int(value / total * parts)) if value else 0 for value in row]
        counts[counts.index(max(counts))] += parts - sum(counts)
        return [count / parts for count in counts]

    def unit(self, shape, kind="normal"):
        """Probabilities of single events; `edge`: some 0, 1 and nearly."""

        def one():
            if kind == "edge" and self.chance(0.5):
                return self.choice([0.0, 1.0, 1e-9, 3e-7, 0.999999])
            return round(self.random.uniform(0.01, 0.99), 3)

        return f32([[one() for _ in range(shape[1])] for _ in range(shape[0])]).reshape(shape)

    def binary_targets(self, shape):
        soft = self.chance(0.5)
        one = (lambda: round(self.random.random(), 2)) if soft else (lambda: float(self.integer(0, 1)))
        return f32([[one() for _ in range(shape[1])] for _ in range(shape[0])]).reshape(shape)

    def weights(self, n, zero=False):
        weights = [self.decimal(0.1, 3) for _ in range(n)]
        if zero and n > 1:
            weights[self.integer(0, n - 1)] = 0.0
        return f32(weights)
