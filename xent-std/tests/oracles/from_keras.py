"""Keras on TensorFlow: its loss classes, and gradients through tf.GradientTape."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from cases import LOGITS, shown
from fixtures import Fixture, Reason

LIBRARY = f"keras {keras.__version__} (tensorflow {tf.__version__})"
# Keras' reduction, and xent's.
REDUCTIONS = (
    ("none", "none"),
    ("sum", "sum"),
    ("sum_over_batch_size", "mean_count"),
    ("mean_with_sample_weight", "mean"),
)
ALL_IGNORED = Reason("the mean of no rows is 0 in Keras, NaN here", only="y")
SUM_OF_TARGETS = Reason(
    "TensorFlow's gradient is p - y; where y does not sum to 1 it is p times that sum, less y",
    only="gradient",
)
ZERO_TARGET = Reason("TensorFlow multiplies a target of 0 by an infinite term; here that is 0", nan=True)
CLIP_FIRST = Reason("Keras clips before it normalizes where it has class indices; here the other way round")
UPPER_BOUND = Reason(
    "Keras' upper bound 1 - 1e-7 is that of f64 in f64, here always that of f32: "
    "a perfect prediction costs 1.2e-7, or 1e-7 where the target is 0"
)
ALWAYS_CLIPS = Reason("Keras' focal losses clip the probabilities that they compute from logits too")
FOCAL_CLIP = Reason(
    "Keras takes the binary focal factor from p before the clip, so that a clipped p still has a gradient"
)
CLIPS_BOTH = Reason("Keras clips both distributions at 1e-7; here nothing is clipped, and 0 ln 0 is 0")
INFINITE = Reason("TensorFlow has NaN for infinite binary logits; here the loss is 0 or infinite", nan=True)


def fixtures(draw):
    for make, count in (
        (categorical_logits, 40),
        (sparse_logits, 44),
        (categorical_probabilities, 40),
        (sparse_probabilities, 28),
        (binary_logits, 32),
        (binary_probabilities, 32),
        (categorical_focal, 36),
        (binary_focal, 36),
        (kl_divergence, 14),
    ):
        for i in range(count):
            yield from make(draw(make.__name__, i), i)


def dtype_of(i):
    """Every seventh fixture is recorded in f32."""
    return "float32" if i % 7 == 6 else "float64"


def call_of(loss, **given):
    """The loss as it was made, and what it is called with."""
    written = [f"{name}={shown(value)}" for name, value in given.items() if value not in (None, False)]
    return f"keras.losses.{loss.__name__}({', '.join(written)})"


def recorded(draw, i, loss, options, y_true, request, differs=None, column=False):
    """One fixture: with sample weights sometimes, and the gradient.

    `column`: the elements are rows of one, since Keras' binary losses average over the last axis.
    """
    n, classes = request["shape"]
    dtype = dtype_of(i)
    theirs, ours = REDUCTIONS[(i + i // 4) % 4]  # whatever else goes by i % 2 or i % 4
    weights = draw.weights(n, zero=draw.chance(0.2)) if i % 3 == 1 else None
    made = loss(reduction=theirs, dtype=dtype, **options)
    x = tf.constant(request["x"], dtype=dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        given, repeated = x, weights
        if column:
            given, y_true = tf.reshape(x, (-1, 1)), np.reshape(y_true, (-1, 1))
            repeated = None if weights is None else np.repeat(weights, classes)
        y = made(y_true, given, sample_weight=repeated)
        total = tf.reduce_sum(y)
    gradient = tape.gradient(total, x)
    request = request | {"sample_weights": weights, "reduction": ours}
    call = call_of(loss, **options, reduction=theirs)
    call += "(y, x)" if weights is None else "(y, x, sample_weight=...)"
    if column:
        call += ", rows of one"
    yield Fixture(call, request, y.numpy(), gradient.numpy(), dtype, differs)


def smoothing_of(draw, i):
    return draw.decimal(0.01, 0.4) if i % 5 in (1, 3) else 0.0


def categorical_logits(draw, i):
    shape = draw.shape(min_classes=2)
    kind = LOGITS[i % 7] if dtype_of(i) == "float64" else "normal"
    x = draw.logits(shape, kind)
    targets = draw.probabilities(shape, ("one hot", "normal", "any", "zeros")[i // 2 % 4])
    differs = SUM_OF_TARGETS
    if i % 8 == 0:
        draw.mask(x, targets > 0)
        differs = ZERO_TARGET
    smoothing = smoothing_of(draw, i)
    options = {"from_logits": True, "label_smoothing": smoothing}
    request = {
        "op": "cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "label_smoothing": smoothing or None,
    }
    yield from recorded(draw, i, keras.losses.CategoricalCrossentropy, options, targets, request, differs)


def sparse_logits(draw, i):
    shape = draw.shape(min_classes=2)
    x = draw.logits(shape, LOGITS[i % 7] if dtype_of(i) == "float64" else "normal")
    labels = draw.labels(shape)
    if draw.chance(0.2):
        draw.mask(x, np.eye(shape[1])[labels])
    ignore, differs = None, None
    if i % 2:
        ignore = draw.choice([-1, 255, 0])
        for r in range(shape[0]):
            if r == 0 or draw.chance(0.3) or i in (3, 5, 9):
                labels[r] = ignore
                if draw.chance(0.5):
                    x[r, draw.integer(0, shape[1] - 1)] = np.nan
        differs = ALL_IGNORED
    options = {"from_logits": True, "ignore_class": ignore}
    request = {"op": "cross_entropy", "shape": shape, "x": x, "labels": labels, "ignore_index": ignore}
    yield from recorded(
        draw, i, keras.losses.SparseCategoricalCrossentropy, options, np.array(labels), request, differs
    )


def categorical_probabilities(draw, i):
    shape = draw.shape(min_classes=2)
    edge = i % 4 == 3 and dtype_of(i) == "float64"
    x = draw.probabilities(shape, "edge" if edge else ("normal", "any", "zeros")[i % 3])
    targets = draw.probabilities(shape, ("one hot", "normal", "zeros")[i % 5 % 3])
    smoothing = smoothing_of(draw, i)
    options = {"label_smoothing": smoothing}
    request = {
        "op": "clipped_cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "label_smoothing": smoothing or None,
        "normalize": True,
    }
    if i % 10 == 9:  # perfect predictions
        request["x"] = targets = draw.probabilities(shape, "one hot")
        request["targets"] = targets
    yield from recorded(
        draw, i, keras.losses.CategoricalCrossentropy, options, targets, request, UPPER_BOUND
    )


def sparse_probabilities(draw, i):
    shape = draw.shape(min_classes=2)
    edge = i % 4 == 3 and dtype_of(i) == "float64"
    x = draw.probabilities(shape, "edge" if edge else ("normal", "any", "normal")[i % 3])
    labels = draw.labels(shape)
    ignore = None
    if i % 2:
        ignore = draw.choice([-1, 255])
        for r in range(shape[0] - 1):
            if draw.chance(0.4):
                labels[r] = ignore
                x[r, 0] = draw.choice([np.nan, x[r, 0]])
    options = {"ignore_class": ignore}
    request = {
        "op": "clipped_cross_entropy",
        "shape": shape,
        "x": x,
        "labels": labels,
        "ignore_index": ignore,
        "normalize": True,
    }
    yield from recorded(
        draw, i, keras.losses.SparseCategoricalCrossentropy, options, np.array(labels), request, CLIP_FIRST
    )


def binary_logits(draw, i):
    shape = draw.shape()
    kind = ("normal", "wide", "ties", "small", "digits")[i % 5]
    x = draw.logits(shape, kind if dtype_of(i) == "float64" else "normal")
    targets = draw.binary_targets(shape)
    differs = None
    if i % 8 == 5:
        targets = np.round(targets)
        x[0, 0] = draw.choice([-np.inf, np.inf])
        differs = INFINITE
    smoothing = smoothing_of(draw, i)
    options = {"from_logits": True, "label_smoothing": smoothing}
    request = {
        "op": "binary_cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "label_smoothing": smoothing or None,
    }
    yield from recorded(
        draw, i, keras.losses.BinaryCrossentropy, options, targets, request, differs, column=True
    )


def binary_probabilities(draw, i):
    shape = draw.shape()
    x = draw.unit(shape, "edge" if i % 3 == 2 and dtype_of(i) == "float64" else "normal")
    targets = draw.binary_targets(shape)
    smoothing = smoothing_of(draw, i)
    request = {
        "op": "clipped_binary_cross_entropy",
        "shape": shape,
        "x": x,
        "targets": targets,
        "label_smoothing": smoothing or None,
    }
    yield from recorded(
        draw,
        i,
        keras.losses.BinaryCrossentropy,
        {"label_smoothing": smoothing},
        targets,
        request,
        UPPER_BOUND,
        column=True,
    )


def categorical_focal(draw, i):
    shape = draw.shape(min_classes=2)
    logits = i % 2 == 0
    targets = draw.probabilities(shape, ("one hot", "normal", "zeros")[i % 5 % 3])
    smoothing = smoothing_of(draw, i)
    alpha, gamma = draw.decimal(0.1, 1), draw.choice([0.5, 1.0, 2.0, 2.5])
    options = {"alpha": alpha, "gamma": gamma, "label_smoothing": smoothing, "from_logits": logits}
    request = {
        "op": "cross_entropy" if logits else "clipped_cross_entropy",
        "shape": shape,
        "x": (
            draw.logits(shape, ("normal", "ties", "digits", "wide")[i // 2 % 4])
            if logits
            else draw.probabilities(shape, ("normal", "any", "zeros")[i // 2 % 3])
        ),
        "targets": targets,
        "label_smoothing": smoothing or None,
        "focal_gamma": gamma,
        "focal_alpha": alpha,
        "normalize": None if logits else True,
    }
    if dtype_of(i) == "float32":
        request["x"] = draw.logits(shape, "ties") if logits else draw.probabilities(shape)
    yield from recorded(
        draw,
        i,
        keras.losses.CategoricalFocalCrossentropy,
        options,
        targets,
        request,
        ALWAYS_CLIPS if logits else UPPER_BOUND,
    )


def binary_focal(draw, i):
    shape = draw.shape()
    logits = i % 2 == 0
    targets = draw.binary_targets(shape)
    smoothing = smoothing_of(draw, i)
    alpha, gamma = draw.decimal(0.1, 0.9), draw.choice([0.5, 1.0, 2.0, 2.5])
    balanced = i // 2 % 2 == 0
    options = {
        "apply_class_balancing": balanced,
        "alpha": alpha,
        "gamma": gamma,
        "label_smoothing": smoothing,
        "from_logits": logits,
    }
    edge = i % 3 == 2 and dtype_of(i) == "float64"
    request = {
        "op": "binary_cross_entropy" if logits else "clipped_binary_cross_entropy",
        "shape": shape,
        "x": (
            draw.logits(shape, "wide" if edge else "normal")
            if logits
            else draw.unit(shape, "edge" if edge else "normal")
        ),
        "targets": targets,
        "label_smoothing": smoothing or None,
        "focal_gamma": gamma,
        "focal_alpha": alpha if balanced else None,
    }
    yield from recorded(
        draw,
        i,
        keras.losses.BinaryFocalCrossentropy,
        options,
        targets,
        request,
        ALWAYS_CLIPS if logits else FOCAL_CLIP,
        column=True,
    )


def kl_divergence(draw, i):
    shape = draw.shape(min_classes=2)
    dtype = dtype_of(i)
    x = draw.probabilities(shape, "zeros" if i % 5 == 4 else "normal")
    targets = draw.probabilities(shape, ("normal", "zeros")[i % 2])
    y = keras.losses.KLDivergence(reduction="none", dtype=dtype)(targets, x)
    request = {"op": "kl_divergence", "shape": shape, "x": x, "targets": targets}
    call = "keras.losses.KLDivergence(reduction='none')(y, x)"
    yield Fixture(call, request, y.numpy(), dtype=dtype, differs=CLIPS_BOTH)
