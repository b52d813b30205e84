"""optax on JAX: its losses, and gradients through jax.grad; what optax lacks is written with jax.numpy."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cases import LOGITS, REDUCTIONS, f32
from fixtures import Fixture, Reason

jax.config.update("jax_enable_x64", True)

LIBRARY = f"optax {optax.__version__} (jax {jax.__version__})"
ZERO_TARGET = Reason("optax multiplies a target of 0 by an infinite term; here that is 0", nan=True)
INFINITE = Reason("optax has NaN for infinite binary logits; here the loss is 0 or infinite", nan=True)
WRAPS = Reason("a negative label counts from the last class in optax; here it is an error")
INFINITY = Reason("optax has +inf for a row with a +inf logit and finite gradients; here all are NaN")
SMALL = Reason("float32 loses the digits of a small loss in optax")


def fixtures(draw):
    for make, count in (
        (integer_labels, 40),
        (distributions, 40),
        (sigmoid, 24),
        (sigmoid_focal, 28),
        (divergences, 24),
        (composed, 44),
        (special_rows, 12),
    ):
        for i in range(count):
            yield from make(draw(make.__name__, i), i)
    yield from small_losses()


def dtype_of(i):
    """Every seventh fixture is recorded in f32."""
    return "float32" if i % 7 == 6 else "float64"


def reduced(losses, weights, reduction):
    """`weights` of rows, or None."""
    if weights is not None:
        weights = weights.reshape(-1, *[1] * (losses.ndim - 1))
        losses = losses * weights
    if reduction in ("none", "sum"):
        return losses if reduction == "none" else losses.sum()
    if reduction == "mean" and weights is not None:
        return losses.sum() / jnp.broadcast_to(weights, losses.shape).sum()
    return losses.mean()


def shown(loss, weights, reduction):
    return {
        "none": loss if weights is None else f"sample_weights * {loss}",
        "sum": f"{loss}.sum()" if weights is None else f"(sample_weights * {loss}).sum()",
        "mean": f"{loss}.mean()" if weights is None else f"jnp.average({loss}, weights=sample_weights)",
        "mean_count": f"{loss}.mean()" if weights is None else f"(sample_weights * {loss}).mean()",
    }[reduction]


def recorded(draw, i, request, losses, call, dtype, differs=None):
    """`losses`: of x, one a row or an element; reduced, with sample weights sometimes."""
    reduction = REDUCTIONS[(i + i // 4) % 4]  # whatever else goes by i % 2 or i % 4
    weights = draw.weights(request["shape"][0], zero=draw.chance(0.2)) if i % 3 == 1 else None
    x = jnp.asarray(request["x"], dtype)

    def value(x):
        return reduced(losses(x), None if weights is None else jnp.asarray(weights, dtype), reduction)

    y, gradient = value_and_gradient(value, x)
    request = request | {"sample_weights": weights, "reduction": reduction}
    yield Fixture(shown(call, weights, reduction), request, y, gradient, dtype, differs)


def value_and_gradient(value, x):
    """Of the sum, where there are several values.  Compiled at once: one by one it takes five times as long."""

    def total(x):
        y = value(x)
        return y.sum(), y

    gradient, y = jax.jit(jax.grad(total, has_aux=True))(x)
    return y, gradient


def integer_labels(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    x = draw.logits(shape, LOGITS[i % 7] if dtype == "float64" else "normal")
    labels = draw.labels(shape)
    if draw.chance(0.25):
        draw.mask(x, np.eye(shape[1])[labels])
    request = {"op": "cross_entropy", "shape": shape, "x": x, "labels": labels}
    losses = lambda x: optax.softmax_cross_entropy_with_integer_labels(x, jnp.array(labels))
    call = "optax.softmax_cross_entropy_with_integer_labels(x, labels)"
    yield from recorded(draw, i, request, losses, call, dtype)


def distributions(draw, i):
    shape = draw.shape(min_classes=2)
    dtype = dtype_of(i)
    x = draw.logits(shape, LOGITS[i % 7] if dtype == "float64" else "normal")
    targets = draw.probabilities(shape, ("normal", "zeros", "one hot", "any")[i % 4])
    masked = i % 4 in (1, 2) and draw.chance(0.6)
    if masked:
        draw.mask(x, targets > 0)
    safe = i // 4 % 2 == 0
    smoothing = draw.decimal(0.01, 0.4) if i % 5 == 2 and not masked else None
    loss = optax.safe_softmax_cross_entropy if safe else optax.softmax_cross_entropy
    y = jnp.asarray(targets, dtype)
    name = "targets"
    if smoothing:
        y, name = optax.smooth_labels(y, smoothing), f"optax.smooth_labels(targets, {smoothing:.4g})"
    request = {
        "op": "cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "label_smoothing": smoothing,
    }
    call = f"optax.{loss.__name__}(x, {name})"
    yield from recorded(
        draw, i, request, lambda x: loss(x, y), call, dtype, ZERO_TARGET if masked and not safe else None
    )


def sigmoid(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    kind = ("normal", "wide", "ties", "small", "digits")[i % 5]
    x = draw.logits(shape, kind if dtype == "float64" else "normal")
    targets = draw.binary_targets(shape)
    differs = None
    if i % 8 == 5:
        targets = np.round(targets)
        x[0, 0] = draw.choice([-np.inf, np.inf])
        differs = INFINITE
    request = {"op": "binary_cross_entropy", "shape": shape, "x": x, "targets": targets}
    losses = lambda x: optax.sigmoid_binary_cross_entropy(x, jnp.asarray(targets, dtype))
    call = "optax.sigmoid_binary_cross_entropy(x, targets)"
    yield from recorded(draw, i, request, losses, call, dtype, differs)


def sigmoid_focal(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    kind = ("normal", "wide", "ties", "digits")[i % 4]
    x = draw.logits(shape, kind if dtype == "float64" else "ties")
    targets = draw.binary_targets(shape)
    alpha = draw.decimal(0.1, 0.9) if i % 2 else None
    gamma = draw.choice([0.0, 0.5, 1.0, 2.0, 3.0])
    request = {
        "op": "binary_cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "focal_alpha": alpha,
        "focal_gamma": gamma,
    }
    losses = lambda x: optax.sigmoid_focal_loss(x, jnp.asarray(targets, dtype), alpha=alpha, gamma=gamma)
    given = "" if alpha is None else f"alpha={alpha:.4g}, "
    call = f"optax.sigmoid_focal_loss(x, targets, {given}gamma={gamma})"
    yield from recorded(draw, i, request, losses, call, dtype)


def divergences(draw, i):
    shape = draw.shape(min_classes=2)
    dtype = dtype_of(i)
    op = ("kl_divergence", "entropy", "kl_divergence", "js_divergence")[i % 4]
    kinds = ("normal", "zeros", "one hot")
    x, targets = draw.probabilities(shape, draw.choice(kinds)), draw.probabilities(
        shape, draw.choice(kinds)
    )
    p, t = jnp.asarray(x, dtype), jnp.asarray(targets, dtype)
    special = jax.scipy.special
    request = {"op": op, "shape": shape, "x": x, "targets": targets}
    differs = None
    if op == "entropy":
        del request["targets"]
        y, call = special.entr(p).sum(-1), "jax.scipy.special.entr(p).sum(-1)"
    elif op == "js_divergence":
        middle = (p + t) / 2
        y = (special.rel_entr(p, middle) + special.rel_entr(t, middle)).sum(-1) / 2
        call = (
            "(rel_entr(p, middle) + rel_entr(targets, middle)).sum(-1) / 2, by jax.scipy.special.rel_entr"
        )
    elif i % 4 == 0:
        y, call = special.rel_entr(t, p).sum(-1), "jax.scipy.special.rel_entr(targets, p).sum(-1)"
    else:
        y, call = optax.kl_divergence(jnp.log(p), t), "optax.kl_divergence(jnp.log(p), targets)"
        differs = ZERO_TARGET
    yield Fixture(call, request, y, dtype=dtype, differs=differs)


def composed(draw, i):
    """z-loss as in T5X, soft cap and temperature as they are written in JAX, over optax's losses."""
    shape = draw.shape()
    x = draw.logits(shape, ("normal", "wide", "ties", "confident", "digits")[i % 5])
    only = i % 4 if i < 16 else None  # first each alone
    takes = lambda n: only == n if only is not None else draw.chance(0.5)
    z_loss = draw.choice([1e-4, 0.01, 0.1]) if takes(0) else None
    soft_cap = draw.choice([2.0, 10.0, 30.0, 50.0]) if takes(1) else None
    temperature = draw.choice([0.5, 0.7, 1.5, 2.0]) if takes(2) else None
    smoothing = draw.decimal(0.01, 0.4) if takes(3) else None
    given = {
        "z_loss": z_loss,
        "soft_cap": soft_cap,
        "temperature": temperature,
        "label_smoothing": smoothing,
    }
    given = {name: None if value is None else f32(value).item() for name, value in given.items()}
    labels = draw.labels(shape)
    y = jax.nn.one_hot(jnp.array(labels), shape[1], dtype="float64")
    name = "onehot"
    if given["label_smoothing"]:
        y, name = optax.smooth_labels(y, given["label_smoothing"]), "optax.smooth_labels(onehot, a)"

    def losses(x):
        z = x
        if given["soft_cap"]:
            z = given["soft_cap"] * jnp.tanh(z / given["soft_cap"])
        if given["temperature"]:
            z = z / given["temperature"]
        loss = optax.softmax_cross_entropy(z, y)
        if given["z_loss"]:
            loss = loss + given["z_loss"] * jax.nn.logsumexp(z, axis=-1) ** 2
        return loss

    z = "cap * jnp.tanh(x / cap)" if given["soft_cap"] else "x"
    z = f"{z} / temperature" if given["temperature"] else z
    call = f"optax.softmax_cross_entropy({z}, {name})"
    if given["z_loss"]:
        call = f"({call} + z_loss * logsumexp(...)**2)"
    request = {"op": "cross_entropy", "shape": shape, "x": x, "labels": labels} | given
    yield from recorded(draw, i, request, losses, call, "float64")


def special_rows(draw, i):
    """Infinities and NaN by class index, and labels that are no class."""
    shape = (draw.integer(1, 4), draw.integer(2, 6))
    x = draw.logits(shape, "normal")
    labels = draw.labels(shape)
    kind = i % 6
    differs = None
    if kind == 0:
        x[0, labels[0]] = -np.inf
    elif kind == 1:
        x[0, (labels[0] + 1) % shape[1]] = np.inf
        differs = INFINITY
    elif kind == 2:
        x[0] = -np.inf
    elif kind == 3:
        x[0, (labels[0] + 1) % shape[1]] = np.nan
    elif kind == 4:
        labels[0] = -1
        differs = WRAPS
    else:
        labels[0] = -shape[1]
        differs = WRAPS
    request = {"op": "cross_entropy", "shape": shape, "x": x, "labels": labels}
    losses = lambda x: optax.softmax_cross_entropy_with_integer_labels(x, jnp.array(labels))
    call = "optax.softmax_cross_entropy_with_integer_labels(x, labels)"
    yield from recorded(draw, 0 if i < 6 else 9, request, losses, call, "float64", differs)


def small_losses():
    """Losses of which f32 keeps no digit where 1 is added to them, or a large number."""
    for x, label in (
        ([20.0, 0, 0, 0], 0),
        ([17.0, 0], 0),
        ([0.0, -40], 0),
        ([1e4, 1e4 - 9.5, 1e4 - 11], 0),
        ([1e4, 1e4 - 0.5], 1),
    ):
        value = jnp.asarray([x], "float32")
        losses = lambda x: optax.softmax_cross_entropy_with_integer_labels(x, jnp.array([label]))
        request = {"op": "cross_entropy", "shape": (1, len(x)), "x": [x], "labels": [label]}
        call = "optax.softmax_cross_entropy_with_integer_labels(x, labels)"
        y, gradient = value_and_gradient(losses, value)
        yield Fixture(call, request, y, gradient, "float32", SMALL, tight=True)
