"""A fixture: a request, what a library gives for it, and how near xent must come.  Its fields: README.md."""

import json

import numpy as np

import reference

OPTIONS = (
    "class_weights",
    "pos_weights",
    "sample_weights",
    "ignore_index",
    "label_smoothing",
    "focal_gamma",
    "focal_alpha",
    "z_loss",
    "temperature",
    "soft_cap",
    "clip",
    "normalize",
    "reduction",
)
F32_MAX = float(np.finfo(np.float32).max)


class Reason(str):
    """Why xent is meant to give something else; only in the values of the field `only`, or only where the
    library gives NaN, if it says so."""

    def __new__(cls, text, only=None, nan=False):
        reason = super().__new__(cls, text)
        reason.only, reason.nan = only, nan
        return reason

    def covers(self, name, got):
        """Which values of a field may differ."""
        if self.only not in (None, name):
            return np.zeros(got.shape, bool)
        return np.isnan(got) if self.nan else np.ones(got.shape, bool)


class Fixture:
    """`y` and `gradient` as the library gave them, rows after one another; y = None: xent has an error.

    `tight`: what is recorded in f32 is compared as if in f64, to show its digits.
    `differs`: the Reason why xent is meant to give something else, should the values differ; it is dropped
    where they do not.
    """

    def __init__(self, call, request, y, gradient=None, dtype="float64", differs=None, tight=False):
        self.tight = tight
        self.call, self.dtype, self.differs = call, dtype, differs
        self.request = {key: value for key, value in request.items() if value is not None}
        self.y = None if y is None else np.asarray(y, dtype=np.float64).reshape(-1)
        self.gradient = None if gradient is None else np.asarray(gradient, dtype=np.float64).reshape(-1)
        if gradient is not None:
            self.request["gradient"] = True
        self.expected = reference.evaluate(self.request)
        self.tolerances = self._tolerances()

    def _tolerances(self):
        """Relative and absolute, of `y` and of the gradient."""
        if self.expected.error:
            return {}
        x = np.abs(np.asarray(self.request["x"], dtype=np.float64))
        largest = max(1.0, x[np.isfinite(x)].max(initial=0.0))
        if self.dtype == "float32" and not self.tight:
            rtol, noise, term = 1e-4, 1e-6 * largest, 1e-5
        else:
            # The library's own rounding in f64, and a few ULP of f32 of xent's.
            rtol, noise, term = 2e-6, 4e-15 * largest, 1e-6
        # Logits that are rounded once more, by up to 2 ULP; a division by a power of two does not round.
        rounded = min(largest, self.request["soft_cap"]) if "soft_cap" in self.request else 0.0
        temperature = self.request.get("temperature", 1.0)
        if not rounded and temperature not in (0.5, 1.0, 2.0):
            rounded = largest
        rounded /= temperature
        rtol += 2.4e-7 * rounded
        rtol += 1e-6 * self.request.get("focal_gamma", 0)  # a power: its logarithm, times gamma
        tolerances = {"rtol": rtol, "atol": term * self.expected.y_scale + noise}
        if self.gradient is not None:
            scale = self.expected.gradient_scale
            weight = largest_factor(self.request)
            tolerances["gradient_rtol"] = rtol + (2e-6 if "cross_entropy" == self.request["op"] else 0)
            tolerances["gradient_atol"] = term * scale + noise * weight
        return tolerances

    def compare(self):
        """Notes which fields differ from the reference; gives what no reason explains, or None."""
        self.differing, unexplained = [], None
        if self.expected.error:
            self.differing = ["error"]
            return None if self.differs else f"error {self.expected.error}"
        for name, prefix in (("y", ""), ("gradient", "gradient_")):
            got, wanted = getattr(self, name), getattr(self.expected, name)
            if got is None:
                continue
            if got.shape != wanted.shape:
                return f"{name}: {got.shape} values, wanted {wanted.shape}"
            near = is_near(got, wanted, self.tolerances[prefix + "rtol"], self.tolerances[prefix + "atol"])
            if not near.all():
                self.differing.append(name)
                if self.differs:
                    near |= self.differs.covers(name, got)
            if not near.all():
                i = int(np.argmin(near))
                unexplained = f"{name}[{i}]: library {got[i]!r}, reference {wanted[i]!r}"
        if not self.differing:
            self.differs = None
        return unexplained

    def fits_f32(self):
        if self.expected.error:
            return True
        values = [self.expected.y, self.expected.gradient]
        return all(v is None or not ((np.abs(v) > F32_MAX) & np.isfinite(v)).any() for v in values)

    def notices(self, option):
        """Whether a wrong result would be noticed if xent did not know the option."""
        without = {key: value for key, value in self.request.items() if key != option}
        other = reference.evaluate(without)
        if other.error or other.y.shape != self.expected.y.shape:
            return True
        t = self.tolerances
        if not is_near(other.y, self.expected.y, t["rtol"], t["atol"]).all():
            return True
        if self.gradient is None:
            return False
        return not is_near(
            other.gradient, self.expected.gradient, t["gradient_rtol"], t["gradient_atol"]
        ).all()

    def line(self, library):
        fields = {"library": library, "call": self.call, "dtype": self.dtype}
        fields["request"] = {key: written(key, value) for key, value in self.request.items()}
        for name in ("y", "gradient"):
            if getattr(self, name) is not None:
                fields[name] = digits(getattr(self, name))
        fields |= {key: Short(value, 2) for key, value in self.tolerances.items()}
        if self.differs:
            fields["differs"] = self.differs
            fields["expected"] = {
                name: self.expected.error if name == "error" else digits(getattr(self.expected, name))
                for name in self.differing
            }
        return to_json(fields)


def largest_factor(request):
    """An upper bound of what an error of the library's in a gradient is multiplied by."""
    factor = 1.0
    for name in ("class_weights", "sample_weights", "pos_weights"):
        factor *= max(1.0, np.max(request.get(name, 1.0), initial=0.0))
    return factor


def is_near(got, wanted, rtol, atol):
    """NaN and infinities exactly, the rest within the tolerances."""
    with np.errstate(invalid="ignore"):
        near = np.abs(got - wanted) <= rtol * np.abs(wanted) + atol
    near = np.where(np.isfinite(wanted) & np.isfinite(got), near, got == wanted)
    return near | (np.isnan(got) & np.isnan(wanted))


# ---- Numbers -------------------------------------------------------------------------------------


class Short:
    """A number that is written with a few significant digits."""

    def __init__(self, value, n_digits=8):
        text = f"{value:.{n_digits}g}".replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
        self.text = text


def to_json(value):
    if isinstance(value, Short):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{to_json(k)}:{to_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value)


def written(key, value):
    """A field of a request: f32 values with the fewest digits that read back to them."""
    if key in ("op", "reduction", "shape", "labels", "ignore_index", "gradient", "normalize"):
        return value
    if np.ndim(value) == 0:
        return shortest(value)
    return [shortest(v) for v in np.asarray(value).reshape(-1)]


def special(value):
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    return None


def shortest(value):
    text = special(value)
    if text:
        return text
    for n in range(1, 10):
        if np.float32(f"{value:.{n}g}") == np.float32(value):
            return Short(value, n)
    raise ValueError(value)


def digits(values):
    """Eight digits, more than the tolerances can tell apart."""
    return [special(v) or Short(v) for v in values]
