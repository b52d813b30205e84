"""What xent means by a request: its losses and gradients in f64, straight from their definitions.

`evaluate(request)` gives the values and the gradient of a conformance request.  It is independent of
every library here and of xent's own code.  Rows are taken one at a time, in the notation

    z      logits, after soft cap and temperature       p   probabilities
    m, k   the maximum and its first index              s   sum of exp(z - m) over all others
    q      target distribution, after label smoothing   a   q times class weight times focal alpha
    g      focal gamma
"""

import math

import numpy as np

LOSSES = (
    "cross_entropy",
    "clipped_cross_entropy",
    "binary_cross_entropy",
    "clipped_binary_cross_entropy",
)
DEFAULT_CLIP = (float(np.float32(1e-7)), float(np.float32(1 - 1e-7)))


class Result:
    """`y`, `gradient` (or None), or `error`: its kind.

    `y_scale` and `gradient_scale`: the largest sum of the absolute values of the terms of one value, where
    the terms have both signs: what an error that is relative to the terms is relative to.  Else 0.
    """

    def __init__(self, y=None, gradient=None, y_scale=0.0, gradient_scale=0.0, error=None):
        self.y, self.gradient, self.error = y, gradient, error
        self.y_scale, self.gradient_scale = y_scale, gradient_scale


def evaluate(request):
    with np.errstate(all="ignore"):
        return _evaluate(request)


def _evaluate(request):
    n, classes = request["shape"]
    x = np.asarray(request["x"], dtype=np.float64).reshape(n, classes)
    op = request["op"]
    if op in LOSSES:
        return losses(op, x, request)
    if op in ("kl_divergence", "js_divergence"):
        targets = np.asarray(request["targets"], dtype=np.float64).reshape(n, classes)
        rows = [globals()[op](t, p) for t, p in zip(targets, x)]
    else:
        rows = [globals()[op](row) for row in x]
    y = np.concatenate([np.atleast_1d(value) for value, _ in rows])
    return Result(y, y_scale=max((scale for _, scale in rows), default=0.0))


# ---- A row of logits -----------------------------------------------------------------------------


def max_and_sum(z):
    """k, m and s; no k without a finite m."""
    if np.isnan(z).any():
        return None, np.nan, 0.0
    m = z.max(initial=-np.inf)
    if not np.isfinite(m):
        return None, m, 0.0
    k = int(z.argmax())
    return k, m, math.fsum(np.delete(np.exp(z - m), k))


def log_sum_exp(z):
    k, m, s = max_and_sum(z)
    # m and ln(1 + s) may have opposite signs.
    return m + np.log1p(s), abs(m) if k is not None and m < 0 else 0.0


def softmax(z):
    k, m, s = max_and_sum(z)
    return (np.full_like(z, np.nan) if k is None else np.exp(z - m) / (1 + s)), 0.0


def log_softmax(z):
    k, m, s = max_and_sum(z)
    return (np.full_like(z, np.nan) if k is None else (z - m) - np.log1p(s)), 0.0


# ---- A row of probabilities ----------------------------------------------------------------------


def entropy(p):
    """-sum p ln p; its terms have both signs where some p > 1."""
    terms = np.where(p == 0, 0, -p * np.log(p))
    return terms.sum(), np.abs(terms).sum() if (p > 1).any() else 0.0


def kl_divergence(t, p):
    """sum t ln(t / p), over t > 0."""
    if np.isnan(t).any() or np.isnan(p).any():
        return np.nan, 0.0
    terms = [a * (math.log(a) - math.log(b)) if b > 0 else math.inf for a, b in zip(t, p) if a > 0]
    value = math.fsum(terms) if math.inf not in terms else math.inf
    return value, sum(abs(term) for term in terms if term < math.inf)


def js_divergence(t, p):
    """The mean of the divergences of t and of p from their midpoint."""
    middle = (t + p) / 2
    (a, a_scale), (b, b_scale) = kl_divergence(t, middle), kl_divergence(p, middle)
    return (a + b) / 2, max(a_scale, b_scale)


# ---- Losses --------------------------------------------------------------------------------------


def losses(op, x, request):
    """A loss and its weight for each row (or element), and the fold of both."""
    n, classes = x.shape
    ignore = request.get("ignore_index")
    labels = request.get("labels")
    targets = request.get("targets")
    if targets is not None:
        targets = np.asarray(targets, dtype=np.float64).reshape(n, classes)
    if labels is not None and any(t != ignore and not 0 <= t < classes for t in labels):
        return Result(error="LabelOutOfRange")
    class_weights = vector(request, "class_weights", classes)
    sample_weights = vector(request, "sample_weights", n)
    binary = op.startswith(("binary", "clipped_binary"))

    y, weights, counts = [], [], []
    gradient, scales = np.zeros_like(x), np.zeros_like(x)
    for r in range(n):
        width = classes if binary else 1
        ignored = labels is not None and labels[r] == ignore
        if ignored or sample_weights[r] == 0:
            y += [0.0] * width
            weights += [0.0] * width
            counts += [not ignored] * width
            continue
        if binary:
            loss, gradient[r], scales[r] = binary_row(op, x[r], targets[r], request)
            weight = 1.0
        else:
            label = None if labels is None else labels[r]
            q = np.eye(classes)[label] if targets is None else targets[r]
            loss, gradient[r], scales[r] = categorical_row(op, x[r], q, label, class_weights, request)
            weight = class_weights[label] if targets is None else 1.0
        y += list(np.atleast_1d(loss) * sample_weights[r])
        weights += [weight * sample_weights[r]] * width
        counts += [True] * width
        gradient[r] *= sample_weights[r]
        scales[r] *= sample_weights[r]

    y = np.array(y)
    reduction = request.get("reduction", "none")
    if reduction != "none":
        over = {"sum": 1.0, "mean": math.fsum(weights), "mean_count": float(sum(counts))}[reduction]
        total = math.fsum(y) if np.isfinite(y).all() else y.sum()
        if over == 0:
            y, gradient, scales = np.array([np.nan]), np.zeros_like(x), np.zeros_like(x)
        else:
            y, gradient, scales = np.array([total / over]), gradient / over, scales / over
    # Elsewhere an error that is relative to the value is no more than four times larger.
    cancels = np.isfinite(scales) & (np.abs(gradient) < scales / 4)
    scale = scales[cancels].max(initial=0.0)
    wanted = request.get("gradient", False)
    return Result(y, gradient.reshape(-1) if wanted else None, gradient_scale=scale)


def vector(request, name, length):
    given = request.get(name)
    return np.ones(length) if given is None else np.asarray(given, dtype=np.float64)


def smooth(q, request, parts):
    a = request.get("label_smoothing", 0.0)
    return q if a == 0 else (1 - a) * q + a / parts


def transformed(x, request):
    """The logits after soft cap and temperature, and their derivative."""
    z, dz = x, np.ones_like(x)
    cap = request.get("soft_cap")
    if cap is not None:
        z = cap * np.tanh(x / cap)
        dz = 1 / np.cosh(x / cap) ** 2
    temperature = request.get("temperature", 1.0)
    return z / temperature, dz / temperature


def times(weight, term):
    """weight * term, where a weight of 0 makes 0 of any term."""
    return np.where(weight == 0, 0.0, weight * term)


def power(base, exponent):
    """base^exponent, 0^0 = 1."""
    return np.ones_like(base) if exponent == 0 else base**exponent


def focal(request):
    return request.get("focal_gamma", 0.0), request.get("focal_alpha")


def categorical_row(op, x, q, label, class_weights, request):
    """Loss, gradient and the scale of each of its elements."""
    gamma, alpha = focal(request)
    q = smooth(q, request, len(x))
    a = q * class_weights * (1.0 if alpha is None else alpha)
    if op == "clipped_cross_entropy":
        return clipped_row(x, a, gamma, label, request)

    z, dz = transformed(x, request)
    k, m, s = max_and_sum(z)
    if not a.any() and not request.get("z_loss"):
        return 0.0, np.zeros_like(x), np.zeros_like(x)  # every class has weight 0
    if k is None:
        return np.nan, np.full_like(x, np.nan), np.zeros_like(x)
    e = np.exp(z - m)
    p = e / (1 + s)
    others = np.array([s if c == k else 1 + (s - e[c]) for c in range(len(x))]) / (1 + s)
    log_p = (z - m) - np.log1p(s)
    lse = m + np.log1p(s)
    z_loss = request.get("z_loss", 0.0)

    loss = -times(a * power(others, gamma), log_p).sum() + z_loss * lse**2

    # With h = -(1 - p)^g ln p:  p dh/dp = g (1 - p)^(g - 1) p ln p - (1 - p)^g,  at 1 - p = 0 its limit.
    d = -power(others, gamma)
    if gamma != 0:
        inner = others > 0
        p_log_p = np.where(p == 0, 0.0, p * np.where(p == 0, 0.0, log_p))
        d = np.where(inner, d + gamma * power(np.where(inner, others, 1), gamma - 1) * p_log_p, 0.0)
    d = times(a, d)
    dz_loss = 2 * z_loss * lse * p
    total, absolute = d.sum(), np.abs(d).sum()
    gradient = (d * others - p * (total - d) + dz_loss) * dz
    one_sign = label is not None and gamma == 0 and z_loss == 0 and not request.get("label_smoothing")
    scale = np.abs(d) + p * absolute + np.abs(dz_loss)
    if "soft_cap" in request:
        # The derivative of the soft cap, 1 - tanh^2, is a difference too.
        scale = scale / request.get("temperature", 1.0)
    else:
        scale = 0.0 * p if one_sign else scale * dz
    return loss, gradient, scale


def clipped_row(x, a, gamma, label, request):
    lo, hi = request.get("clip", DEFAULT_CLIP)
    normalize = request.get("normalize", False)
    nan = np.nan, np.full_like(x, np.nan), np.zeros_like(x)
    zero = np.zeros_like(x)
    if not a.any():
        return 0.0, zero, zero
    one_class = label is not None and not normalize and not request.get("label_smoothing")
    if np.isnan(x[label] if one_class else x).any():
        return nan
    total = math.fsum(x) if normalize and np.isfinite(x).all() else x.sum()
    if normalize and not (0 < total < np.inf):
        return nan
    p = x / total if normalize else x
    r = np.clip(p, lo, hi)
    inside = (lo <= p) & (p <= hi)
    # 1 - r: of a normalized row the sum of the others, which does not cancel.
    others = np.array([math.fsum(np.delete(x, c)) for c in range(len(x))]) / total if normalize else 1 - x
    others = np.where(inside, others, 1 - r)
    log_r = np.where(r > 0.5, np.log1p(-others), np.log(r))
    loss = -times(a * power(others, gamma), log_r).sum()

    # With h = -(1 - r)^g ln r:  r dh/dr, as for logits.
    d = -power(others, gamma)
    if gamma != 0:
        inner = others > 0
        r_log_r = np.where(r == 0, 0.0, r * np.where(r == 0, 0.0, log_r))
        d = np.where(inner, d + gamma * power(np.where(inner, others, 1), gamma - 1) * r_log_r, 0.0)
    d = times(a * inside, d)
    by_r = np.where(d == 0, 0.0, d / r)
    if not normalize:
        return loss, by_r, zero if gamma == 0 else np.abs(by_r)
    # p = x / total:  dp_c / dx_j = (delta_cj - p_c) / total.
    return loss, (by_r - d.sum()) / total, (np.abs(by_r) + np.abs(d).sum()) / total


def binary_row(op, x, y, request):
    """A loss for each element."""
    gamma, alpha = focal(request)
    y = smooth(y, request, 2)
    positive = vector(request, "pos_weights", len(x)) * y
    negative = 1 - y
    if op == "binary_cross_entropy":
        x, dx = transformed(x, request)
        minus_log_p, minus_log_1p = np.logaddexp(0, -x), np.logaddexp(0, x)
        p, not_p = np.exp(-minus_log_p), np.exp(-minus_log_1p)
        up, down = times(negative, p), times(positive, not_p)  # of the derivative of the plain loss
        dp = p * not_p
    else:
        lo, hi = request.get("clip", DEFAULT_CLIP)
        p = np.clip(x, lo, hi)
        p = np.where(np.isnan(x), np.nan, p)
        not_p = 1 - p
        minus_log_p, minus_log_1p = -np.log(p), -np.log1p(-p)
        up, down = times(negative, 1 / not_p), times(positive, 1 / p)
        dx = np.where(np.isnan(x), np.nan, ((lo <= x) & (x <= hi)).astype(np.float64))
        dp = np.ones_like(x)
    balance = np.ones_like(x) if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    # As for a row of logits: 1 - tanh^2 is a difference too.
    slope = 1 / request.get("temperature", 1.0) if "soft_cap" in request else dx
    plain = times(positive, minus_log_p) + times(negative, minus_log_1p)
    if gamma == 0:
        nan = np.isnan(x)
        loss = np.where(nan, np.nan, balance * plain)
        return loss, times(dx, balance * (up - down)), balance * slope * (up + down)
    u = y * not_p + (1 - y) * p  # 1 - p_t
    du = (1 - 2 * y) * dp
    factor = power(u, gamma)
    loss = balance * np.where(u == 0, 0.0, factor * plain)
    one = factor * (up - down)
    two = plain * gamma * power(np.where(u == 0, 1, u), gamma - 1) * du
    gradient = balance * np.where(u == 0, 0.0, one + two) * dx
    scale = balance * (factor * (up + down) + np.abs(two)) * slope
    return loss, gradient, np.where(u == 0, 0.0, scale)
