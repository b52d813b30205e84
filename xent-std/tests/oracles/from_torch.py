"""PyTorch: its losses, and gradients through autograd."""

import numpy as np
import torch
import torch.nn.functional as F

from cases import LOGITS, REDUCTIONS, f32
from cases import shown as as_written
from fixtures import Fixture, Reason

LIBRARY = f"torch {torch.__version__}"
NAN_GRADIENT = Reason(
    "the gradient of an ignored row with NaN or only -inf logits is NaN in torch, 0 here",
    only="gradient",
    nan=True,
)
NO_WEIGHT = Reason(
    "the gradient of a mean whose weights sum to 0 is NaN in torch, 0 here", only="gradient", nan=True
)
ZERO_WEIGHT = Reason(
    "torch multiplies a class weight of 0 by the class' infinite term; here the class is absent", nan=True
)
ZERO_TARGET = Reason("torch multiplies a target of 0 by an infinite term; here that is 0", nan=True)
INFINITE = Reason("torch has NaN for infinite binary logits; here the loss is 0 or infinite", nan=True)
LOG_CLAMP = Reason(
    "torch clamps ln p at -100, and in the gradient p (1 - p) at 1e-12; here the clip range is [0, 1]"
)
SMALL = Reason("float32 loses the digits of a small loss in torch")


def fixtures(draw):
    for make, count in (
        (index_labels, 60),
        (target_distributions, 40),
        (special_rows, 40),
        (binary_logits, 40),
        (binary_probabilities, 30),
        (softmax_family, 30),
        (divergences, 30),
        (composed, 80),
        (composed_clipped, 48),
        (composed_binary, 32),
    ):
        for i in range(count):
            yield from make(draw(make.__name__, i), i)
    yield from small_losses()


def dtype_of(i):
    """Every seventh fixture is recorded in the library's own f32."""
    return torch.float32 if i % 7 == 6 else torch.float64


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def tensor(values, dtype, leaf=False):
    return None if values is None else torch.tensor(np.array(values), dtype=dtype, requires_grad=leaf)


def graded(loss, leaf):
    """The gradient of a loss, of the sum of several."""
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return gradient


def options(**given):
    """The options of a call that are given, as they stand in it."""
    shown = []
    for name, value in given.items():
        if value is not None:
            shown.append(f"{name}={'...' if np.ndim(value) else as_written(value)}")
    return ", ".join(shown)


def spoil(draw, x, labels, ignore):
    """Ignores some rows, and makes the logits of some of these NaN."""
    nan = draw.chance(0.5)
    rows = [r for r in range(len(labels)) if draw.chance(0.35)] or [0]
    if draw.chance(0.1):
        rows = range(len(labels))
    for r in rows:
        labels[r] = ignore
        if nan:
            x[r, draw.integer(0, x.shape[1] - 1)] = np.nan
    return nan


def index_labels(draw, i):
    shape = draw.shape()
    x = draw.logits(shape, LOGITS[i % 7] if dtype_of(i) == torch.float64 else "normal")
    labels = draw.labels(shape)
    if draw.chance(0.2):
        draw.mask(x, np.eye(shape[1])[labels])
    weights = draw.weights(shape[1], zero=draw.chance(0.2)) if draw.chance(0.5) else None
    nll = draw.chance(0.25)
    smoothing = draw.decimal(0.01, 0.4) if not nll and draw.chance(0.5) else None
    reduction = REDUCTIONS[i % 3]
    ignore, differs = None, None
    if draw.chance(0.4):
        ignore = draw.choice([-100, -1, 255, shape[1] - 1])
        if spoil(draw, x, labels, ignore):
            differs = NAN_GRADIENT
    if weights is not None and (weights == 0).any():
        differs = differs or ZERO_WEIGHT

    dtype = dtype_of(i)
    rank3 = shape[0] % 2 == 0 and draw.chance(0.4)
    leaf = tensor(x, dtype, leaf=True)
    given, t = leaf, torch.tensor(labels)
    if rank3:  # rows as N, C, d1
        given = given.reshape(shape[0] // 2, 2, shape[1]).transpose(1, 2)
        t = t.reshape(shape[0] // 2, 2)
    weight = tensor(weights, dtype)
    ignore_index = -100 if ignore is None else ignore
    shown = options(reduction=reduction, weight=weights, ignore_index=ignore, label_smoothing=smoothing)
    if nll:
        y = F.nll_loss(F.log_softmax(given, 1), t, weight, ignore_index=ignore_index, reduction=reduction)
        call = f"torch.nn.functional.nll_loss(log_softmax(x, 1), labels, {shown})"
    else:
        y = F.cross_entropy(
            given,
            t,
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=smoothing or 0.0,
        )
        call = f"torch.nn.functional.cross_entropy(x{' of N, C, d1' * rank3}, labels, {shown})"
    request = {
        "op": "cross_entropy",
        "shape": shape,
        "x": x,
        "labels": labels,
        "class_weights": weights,
        "ignore_index": ignore,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    yield Fixture(call, request, y.detach(), graded(y, leaf), name_of(dtype), differs)


def target_distributions(draw, i):
    shape = draw.shape(min_classes=2)
    dtype = dtype_of(i)
    x = draw.logits(shape, LOGITS[i % 7] if dtype == torch.float64 else "normal")
    targets = draw.probabilities(shape, ("normal", "zeros", "one hot", "any")[i % 4])
    masked = i % 4 in (1, 2) and draw.chance(0.4)
    if masked:
        draw.mask(x, targets > 0)
    weights = draw.weights(shape[1], zero=draw.chance(0.2)) if draw.chance(0.4) else None
    smoothing = draw.decimal(0.01, 0.4) if not masked and draw.chance(0.3) else None
    reduction = REDUCTIONS[i % 3]
    leaf = tensor(x, dtype, leaf=True)
    y = F.cross_entropy(
        leaf,
        tensor(targets, dtype),
        tensor(weights, dtype),
        reduction=reduction,
        label_smoothing=smoothing or 0.0,
    )
    shown = options(reduction=reduction, weight=weights, label_smoothing=smoothing)
    call = f"torch.nn.functional.cross_entropy(x, targets, {shown})"
    request = {
        "op": "cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "class_weights": weights,
        "label_smoothing": smoothing,
        # torch divides by the number of rows, and so does a mean whose rows weigh 1.
        "reduction": draw.choice(["mean", "mean_count"]) if reduction == "mean" else reduction,
    }
    yield Fixture(
        call, request, y.detach(), graded(y, leaf), name_of(dtype), ZERO_TARGET if masked else None
    )


def special_rows(draw, i):
    """Infinities and NaN among ordinary rows, by index label; also with a weight of 0, or all ignored."""
    shape = (draw.integer(2, 5), draw.integer(2, 40))
    x = draw.logits(shape, "normal")
    labels = draw.labels(shape)
    ignore = weights = smoothing = differs = None
    r, c = 0, (labels[0] + 1) % shape[1]
    kind = i % 10
    if kind == 0:
        x[r, labels[r]] = -np.inf
    elif kind == 1:
        x[r, c] = np.inf
    elif kind == 2:
        x[r] = -np.inf
    elif kind == 3:
        x[r, c] = np.nan
    elif kind == 4:
        x[r, c] = -np.inf
        smoothing = f32(0.1).item()
    elif kind == 5:
        ignore = -100
        labels = [ignore] * shape[0]
    elif kind == 6:
        weights = draw.weights(shape[1])
        weights[labels[r]] = 0.0
        x[r, labels[r]] = -np.inf
        differs = ZERO_WEIGHT
    elif kind == 7:
        x[:, :] = -np.inf
        for row, label in enumerate(labels):
            x[row, label] = 1.0
    elif kind == 8:
        ignore, labels[r] = shape[1], shape[1]
        x[r] = -np.inf
        differs = NAN_GRADIENT
    elif kind == 9:
        weights = np.zeros(shape[1])
        differs = NO_WEIGHT
    reduction = REDUCTIONS[(i // 10) % 3]
    leaf = tensor(x, torch.float64, leaf=True)
    y = F.cross_entropy(
        leaf,
        torch.tensor(labels),
        tensor(weights, torch.float64),
        ignore_index=-100 if ignore is None else ignore,
        reduction=reduction,
        label_smoothing=smoothing or 0.0,
    )
    shown = options(reduction=reduction, weight=weights, ignore_index=ignore, label_smoothing=smoothing)
    request = {
        "op": "cross_entropy",
        "shape": shape,
        "x": x,
        "labels": labels,
        "class_weights": weights,
        "ignore_index": ignore,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    call = f"torch.nn.functional.cross_entropy(x, labels, {shown})"
    yield Fixture(call, request, y.detach(), graded(y, leaf), differs=differs)


def binary_logits(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    kind = ("normal", "wide", "ties", "small", "digits")[i % 5]
    x = draw.logits(shape, kind if dtype == torch.float64 else "normal")
    targets = draw.binary_targets(shape)
    infinite = i % 8 == 5
    if infinite:
        targets = np.round(targets)
        x[0, 0] = draw.choice([-np.inf, np.inf])
    sample_weights = draw.weights(shape[0], zero=draw.chance(0.2)) if draw.chance(0.6) else None
    pos_weights = draw.weights(shape[1]) if i % 2 else None
    reduction = REDUCTIONS[i % 3]
    leaf = tensor(x, dtype, leaf=True)
    weight = None if sample_weights is None else tensor(sample_weights, dtype)[:, None]
    y = F.binary_cross_entropy_with_logits(
        leaf, tensor(targets, dtype), weight, reduction=reduction, pos_weight=tensor(pos_weights, dtype)
    )
    shown = options(reduction=reduction, weight=sample_weights, pos_weight=pos_weights)
    call = f"torch.nn.functional.binary_cross_entropy_with_logits(x, targets, {shown})"
    request = {
        "op": "binary_cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "sample_weights": sample_weights,
        "pos_weights": pos_weights,
        # torch divides by the number of elements, whatever they weigh.
        "reduction": "mean_count" if reduction == "mean" else reduction,
    }
    differs = INFINITE if infinite else None
    yield Fixture(call, request, y.detach(), graded(y, leaf), name_of(dtype), differs)


def binary_probabilities(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    x = draw.unit(shape, "edge" if i % 3 == 2 and dtype == torch.float64 else "normal")
    targets = draw.binary_targets(shape)
    sample_weights = draw.weights(shape[0]) if draw.chance(0.5) else None
    reduction = REDUCTIONS[i // 2 % 3]
    leaf = tensor(x, dtype, leaf=True)
    weight = None if sample_weights is None else tensor(sample_weights, dtype)[:, None]
    y = F.binary_cross_entropy(leaf, tensor(targets, dtype), weight, reduction=reduction)
    shown = options(reduction=reduction, weight=sample_weights)
    request = {
        "op": "clipped_binary_cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "sample_weights": sample_weights,
        "clip": [0.0, 1.0],
        "reduction": "mean_count" if reduction == "mean" else reduction,
    }
    call = f"torch.nn.functional.binary_cross_entropy(p, targets, {shown})"
    yield Fixture(call, request, y.detach(), graded(y, leaf), name_of(dtype), LOG_CLAMP)


def softmax_family(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    x = draw.logits(shape, LOGITS[i % 7] if dtype == torch.float64 else "normal")
    if i % 10 == 4:
        x[0] = -np.inf
    elif i % 10 == 7:
        x[0, -1] = np.inf
    elif i % 10 == 9:
        x[0, -1] = np.nan
    elif draw.chance(0.3):
        draw.mask(x, np.eye(shape[1])[draw.labels(shape)])
    op, function = (
        ("log_sum_exp", torch.logsumexp),
        ("softmax", torch.softmax),
        ("log_softmax", torch.log_softmax),
    )[i % 3]
    y = function(tensor(x, dtype), dim=1)
    call = f"torch.{function.__name__}(x, dim=1)"
    yield Fixture(call, {"op": op, "shape": shape, "x": x}, y, dtype=name_of(dtype))


def divergences(draw, i):
    """One a row, by functions that give one an element."""
    shape = draw.shape(min_classes=2)
    dtype = dtype_of(i)
    op = ("entropy", "kl_divergence", "js_divergence")[i % 3]
    kinds = ("normal", "zeros", "one hot")
    x, targets = draw.probabilities(shape, draw.choice(kinds)), draw.probabilities(
        shape, draw.choice(kinds)
    )
    p, t = tensor(x, dtype), tensor(targets, dtype)
    request = {"op": op, "shape": shape, "x": x, "targets": targets}
    differs = None
    if op == "entropy":
        y = torch.special.entr(p).sum(-1)
        del request["targets"]
        call = "torch.special.entr(p).sum(-1)"
    elif op == "kl_divergence":
        y = F.kl_div(p.log(), t, reduction="none").sum(-1)
        call = "torch.nn.functional.kl_div(p.log(), targets, reduction='none').sum(-1)"
        differs = ZERO_TARGET
    else:
        middle = ((p + t) / 2).log()
        # Where both are 0 the logarithm is infinite and the term is 0.
        middle = torch.where(p + t > 0, middle, torch.zeros_like(middle))
        y = (F.kl_div(middle, p, reduction="none") + F.kl_div(middle, t, reduction="none")).sum(-1) / 2
        call = "(kl_div(middle.log(), p) + kl_div(middle.log(), targets)).sum(-1) / 2, by torch's kl_div"
    yield Fixture(call, request, y, dtype=name_of(dtype), differs=differs)


def reduced(losses, weights, sample_weights, reduction, keep=None):
    """`losses` and their weights, rows first; `keep`: the rows that are not ignored."""
    if sample_weights is not None:
        sample_weights = sample_weights.reshape(-1, *[1] * (losses.ndim - 1))
        losses, weights = losses * sample_weights, weights * sample_weights
    count = losses.numel()
    if keep is not None:
        zero = torch.zeros_like(losses)
        losses, weights, count = (
            torch.where(keep, losses, zero),
            torch.where(keep, weights, zero),
            keep.sum(),
        )
    if reduction == "none":
        return losses
    total = losses.sum()
    if reduction == "sum":
        return total
    return total / (weights.sum() if reduction == "mean" else count)


def some(draw, chance, **makers):
    """Some of the options, drawn and rounded to f32."""
    drawn = {name: make() for name, make in makers.items() if draw.chance(chance)}
    return {name: f32(value) if np.ndim(value) else f32(value).item() for name, value in drawn.items()}


def option_makers(draw, shape):
    return dict(
        class_weights=lambda: draw.weights(shape[1]),
        sample_weights=lambda: draw.weights(shape[0], zero=draw.chance(0.3)),
        label_smoothing=lambda: draw.decimal(0.01, 0.4),
        focal_gamma=lambda: draw.choice([0.5, 1.0, 1.5, 2.0, 3.0]),
        focal_alpha=lambda: draw.decimal(0.1, 0.9),
    )


def logit_makers(draw):
    return dict(
        z_loss=lambda: draw.choice([0.01, 0.1, 0.5]),
        temperature=lambda: draw.choice([0.5, 0.7, 1.3, 2.0]),
        soft_cap=lambda: draw.choice([3.0, 10.0, 30.0]),
    )


def rows_of(draw, shape, by_label, get):
    """Labels or targets; which rows are kept; target distributions, and the weight of each row in a mean."""
    n, classes = shape
    labels = targets = ignore = keep = None
    weights = torch.ones(n, dtype=torch.float64)
    if not by_label:
        targets = draw.probabilities(shape, draw.choice(["normal", "zeros", "any"]))
        return {"targets": targets}, keep, tensor(targets, torch.float64), weights
    labels = draw.labels(shape)
    q = F.one_hot(torch.tensor(labels), classes).to(torch.float64)
    if get("class_weights") is not None:
        weights = tensor(get("class_weights"), torch.float64)[torch.tensor(labels)]
    if n > 1 and draw.chance(0.3):
        ignore = draw.choice([-100, -1, 255])
        for r in range(draw.integer(1, n - 1)):
            labels[r] = ignore
        keep = torch.tensor(labels) != ignore
    return {"labels": labels, "ignore_index": ignore}, keep, q, weights


def weighted_terms(q, p, term, get, shown):
    """Smoothing, focal, class weights and alpha on `term`, the loss of each class; and how that is written."""
    if get("focal_gamma"):
        term, shown = (1 - p) ** get("focal_gamma") * term, f"(1 - p)**gamma * {shown}"
    name = "targets"
    if get("label_smoothing"):
        a = get("label_smoothing")
        q, name = (1 - a) * q + a / q.shape[1], "smoothed targets"
    if get("class_weights") is not None:
        q, name = q * tensor(get("class_weights"), torch.float64), f"class_weights * {name}"
    if get("focal_alpha"):
        q, name = q * get("focal_alpha"), f"alpha * {name}"
    return (q * term).sum(1), f"({name} * {shown}).sum(1)"


def composed(draw, i):
    """Options that torch has no function for, written with its operations; the gradient is autograd's."""
    shape = draw.shape()
    x = draw.logits(shape, ("normal", "wide", "ties", "confident", "digits")[i % 5])
    makers = option_makers(draw, shape) | logit_makers(draw)
    if i < 24:  # first one alone
        name = ("z_loss", "temperature", "soft_cap", "focal_gamma")[i % 4]
        given = some(draw, 1, **{name: makers[name]})
    else:
        given = some(draw, 0.45, **makers)
    get = given.get
    reduction = REDUCTIONS[(i + i // 4) % 4]
    fields, keep, q, weights = rows_of(draw, shape, i % 2 == 0, get)

    leaf = tensor(x, torch.float64, leaf=True)
    z, name = leaf, "x"
    if get("soft_cap"):
        z, name = get("soft_cap") * torch.tanh(z / get("soft_cap")), "cap * tanh(x / cap)"
    if get("temperature"):
        z, name = z / get("temperature"), f"{name} / temperature"
    log_p = torch.log_softmax(z, 1)
    losses, shown = weighted_terms(q, log_p.exp(), -log_p, get, "-log_softmax(z)")
    if get("z_loss"):
        losses, shown = (
            losses + get("z_loss") * torch.logsumexp(z, 1) ** 2,
            f"{shown} + z_loss * logsumexp(z)**2",
        )
    if get("sample_weights") is not None:
        shown = f"sample_weights * ({shown})"
    y = reduced(losses, weights, tensor(get("sample_weights"), torch.float64), reduction, keep)
    request = {"op": "cross_entropy", "shape": shape, "x": x} | fields | given | {"reduction": reduction}
    yield Fixture(
        f"torch: z = {name}; {shown}; reduction {reduction}", request, y.detach(), graded(y, leaf)
    )


def composed_clipped(draw, i):
    """Cross-entropy from probabilities, clipped into any range, written with torch's operations."""
    shape = draw.shape()
    lo, hi = draw.choice([(0.0, 1.0), (1e-7, 1 - 1e-7), (1e-10, 1.0), (0.0625, 0.5), (0.1, 0.9)])
    lo, hi = f32(lo).item(), f32(hi).item()
    x = draw.probabilities(shape, draw.choice(["normal", "normal", "any", "zeros"] if lo else ["normal"]))
    normalize = draw.chance(0.5)
    get = (given := some(draw, 0.3, **option_makers(draw, shape))).get
    reduction = REDUCTIONS[(i + i // 4) % 4]
    fields, keep, q, weights = rows_of(draw, shape, i % 2 == 0, get)
    leaf = tensor(x, torch.float64, leaf=True)
    p, name = leaf, "x"
    if normalize:
        p, name = p / p.sum(1, keepdim=True), "x / x.sum(1)"
    p = p.clamp(lo, hi)
    losses, shown = weighted_terms(q, p, -p.log(), get, "-p.log()")
    y = reduced(losses, weights, tensor(get("sample_weights"), torch.float64), reduction, keep)
    request = {"op": "clipped_cross_entropy", "shape": shape, "x": x} | fields | given
    request |= {"clip": [lo, hi], "normalize": normalize, "reduction": reduction}
    call = f"torch: p = ({name}).clamp(lo, hi); {shown}; reduction {reduction}"
    yield Fixture(call, request, y.detach(), graded(y, leaf))


def composed_binary(draw, i):
    """Focal, soft cap and temperature over torch's binary losses."""
    shape = draw.shape()
    targets = draw.binary_targets(shape)
    logits = i % 2 == 0
    given = some(
        draw,
        0.45,
        sample_weights=lambda: draw.weights(shape[0]),
        pos_weights=lambda: draw.weights(shape[1]),
        label_smoothing=lambda: draw.decimal(0.01, 0.4),
        focal_gamma=lambda: draw.choice([0.5, 1.0, 2.0, 3.0]),
        focal_alpha=lambda: draw.decimal(0.1, 0.9),
    )
    if logits:
        given |= some(
            draw,
            0.45,
            temperature=lambda: draw.choice([0.5, 2.0]),
            soft_cap=lambda: draw.choice([3.0, 10.0]),
        )
    get = given.get
    reduction = REDUCTIONS[i // 2 % 4]
    x = draw.logits(shape, "normal") if logits else draw.unit(shape)
    leaf = tensor(x, torch.float64, leaf=True)
    z = leaf
    if get("soft_cap"):
        z = get("soft_cap") * torch.tanh(z / get("soft_cap"))
    if get("temperature"):
        z = z / get("temperature")
    y = tensor(targets, torch.float64)
    if get("label_smoothing"):
        y = (1 - get("label_smoothing")) * y + get("label_smoothing") / 2
    positive = y if get("pos_weights") is None else y * tensor(get("pos_weights"), torch.float64)
    if logits:
        p = torch.sigmoid(z)
        losses = positive * F.softplus(-z) + (1 - y) * F.softplus(z)
        call = "torch: z = x, capped, / temperature; pos_weights * y * softplus(-z) + (1 - y) * softplus(z)"
    else:
        p = z
        losses = -(positive * p.log() + (1 - y) * torch.log1p(-p))
        call = "torch: -(pos_weights * y * p.log() + (1 - y) * log1p(-p))"
    if get("focal_gamma"):
        losses = losses * (y * (1 - p) + (1 - y) * p) ** get("focal_gamma")
        call += ", * (1 - p_t)**gamma"
    if get("focal_alpha"):
        losses = losses * (get("focal_alpha") * y + (1 - get("focal_alpha")) * (1 - y))
        call += ", * alpha_t"
    weights = torch.ones_like(losses)
    reduced_loss = reduced(losses, weights, tensor(get("sample_weights"), torch.float64), reduction)
    op = "binary_cross_entropy" if logits else "clipped_binary_cross_entropy"
    request = {"op": op, "shape": shape, "x": x, "targets": targets} | given | {"reduction": reduction}
    yield Fixture(
        f"{call}; reduction {reduction}", request, reduced_loss.detach(), graded(reduced_loss, leaf)
    )


def small_losses():
    """Losses of which f32 keeps no digit where 1 is added to them, or a large number."""
    for x, label in (
        ([20.0, 0, 0, 0], 0),
        ([17.0, 0], 0),
        ([0.0, -40], 0),
        ([17.5, 0], 0),
        ([1e4, 1e4 - 9.5, 1e4 - 11], 0),
        ([1e4, 1e4 - 0.5], 1),
    ):
        leaf = tensor([x], torch.float32, leaf=True)
        y = F.cross_entropy(leaf, torch.tensor([label]), reduction="none")
        request = {"op": "cross_entropy", "shape": (1, len(x)), "x": [x], "labels": [label]}
        call = "torch.nn.functional.cross_entropy(x, labels, reduction='none')"
        yield Fixture(call, request, y.detach(), graded(y, leaf), "float32", SMALL, tight=True)
