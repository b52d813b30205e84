"""ONNX Runtime, and the node cases that ONNX ships for its backends; rows of N, C, d1, ... transposed."""

import contextlib
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from cases import LOGITS, REDUCTIONS
from fixtures import Fixture, Reason

LIBRARY = f"onnxruntime {onnxruntime.__version__} (onnx {onnx.__version__})"
WRAPS = Reason("-1 is the last class in ONNX Runtime; here it is an error")
INFINITY = Reason("ONNX Runtime has +inf for a row with a +inf logit, NaN here")
NAN = Reason("ONNX Runtime passes over a NaN logit of another class; here it makes the loss NaN")
# The cases of five and more dimensions are of tens of thousands of elements.
MAX_ELEMENTS = 600


def fixtures(draw):
    for make, count in ((loss, 64), (softmax_family, 36), (special_rows, 12)):
        for i in range(count):
            yield from make(draw(make.__name__, i), i)
    yield from node_cases()


def dtype_of(i):
    """Every seventh fixture is recorded in f32."""
    return "float32" if i % 7 == 6 else "float64"


def run(nodes, inputs):
    """The output `y` of nodes given as (operator, inputs, output, attributes)."""
    made = [helper.make_node(op, ins, [out], **attributes) for op, ins, out, attributes in nodes]
    types = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in inputs.items()}
    graph = helper.make_graph(
        made,
        "oracle",
        [helper.make_tensor_value_info(name, type, None) for name, type in types.items()],
        [helper.make_tensor_value_info("y", types["x"], None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(["y"], inputs)[0]


def loss_of(x, labels, weights, attributes, nll):
    """A loss on logits, as its own operator or as the negative log-likelihood of LogSoftmax."""
    inputs = {"x": x, "labels": np.asarray(labels, np.int64)}
    names = ["labels"]
    if weights is not None:
        inputs["weights"] = np.asarray(weights, x.dtype)
        names.append("weights")
    if nll:
        nodes = [
            ("LogSoftmax", ["x"], "log_p", {"axis": 1}),
            ("NegativeLogLikelihoodLoss", ["log_p", *names], "y", attributes),
        ]
    else:
        nodes = [("SoftmaxCrossEntropyLoss", ["x", *names], "y", attributes)]
    return run(nodes, inputs)


def call_of(nll, weights, attributes):
    given = [f"{name}={value!r}" for name, value in attributes.items()]
    given += [] if weights is None else ["weights=..."]
    operator = "NegativeLogLikelihoodLoss(LogSoftmax(x)" if nll else "SoftmaxCrossEntropyLoss(x"
    return f"onnxruntime: {operator}, labels, {', '.join(given)})"


def loss(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    x = draw.logits(shape, LOGITS[i % 7] if dtype == "float64" else "normal")
    labels = draw.labels(shape)
    if draw.chance(0.2):
        draw.mask(x, np.eye(shape[1])[labels])
    weights = draw.weights(shape[1], zero=draw.chance(0.2)) if i % 2 else None
    attributes = {"reduction": REDUCTIONS[i % 3]}
    ignore = None
    if i % 5 < 2:
        ignore = draw.choice([-100, -1, 255, shape[1] - 1])
        nan = draw.chance(0.5)
        for r in range(shape[0]):
            if r == 0 or draw.chance(0.3) or i % 10 == 1:
                labels[r] = ignore
                if nan:
                    x[r, 0] = np.nan
        attributes["ignore_index"] = ignore
    nll = i // 2 % 2 == 1
    given, t = x.astype(dtype), np.array(labels)
    rank3 = i % 4 == 3 and shape[0] % 2 == 0
    if rank3:
        given = given.reshape(shape[0] // 2, 2, shape[1]).transpose(0, 2, 1).copy()
        t = t.reshape(-1, 2)
    y = loss_of(given, t, weights, attributes, nll)
    request = {
        "op": "cross_entropy",
        "shape": shape,
        "x": x,
        "labels": labels,
        "class_weights": weights,
        "ignore_index": ignore,
        "reduction": attributes["reduction"],
    }
    call = call_of(nll, weights, attributes) + ", of N, C, d1" * rank3
    yield Fixture(call, request, y, dtype=dtype)


def softmax_family(draw, i):
    shape = draw.shape()
    dtype = dtype_of(i)
    x = draw.logits(shape, LOGITS[i % 7] if dtype == "float64" else "normal")
    if draw.chance(0.3):
        draw.mask(x, np.eye(shape[1])[draw.labels(shape)])
    op, operator, attributes = (
        ("log_sum_exp", "ReduceLogSumExp", {"axes": [1], "keepdims": 0}),
        ("softmax", "Softmax", {"axis": 1}),
        ("log_softmax", "LogSoftmax", {"axis": 1}),
    )[i % 3]
    y = run([(operator, ["x"], "y", attributes)], {"x": x.astype(dtype)})
    call = f"onnxruntime: {operator}(x, {', '.join(f'{k}={v}' for k, v in attributes.items())})"
    yield Fixture(call, {"op": op, "shape": shape, "x": x}, y, dtype=dtype)


def special_rows(draw, i):
    shape = (draw.integer(1, 4), draw.integer(2, 6))
    x = draw.logits(shape, "normal")
    labels = draw.labels(shape)
    differs = None
    kind = i % 4
    if kind == 0:
        x[0, labels[0]] = -np.inf
    elif kind == 1:
        x[0, (labels[0] + 1) % shape[1]] = np.inf
        differs = INFINITY
    elif kind == 2:
        x[0, (labels[0] + 1) % shape[1]] = np.nan
        differs = NAN
    else:
        labels[0] = -1
        differs = WRAPS
    attributes = {"reduction": REDUCTIONS[i // 4]}
    y = loss_of(x, labels, None, attributes, False)
    request = {"op": "cross_entropy", "shape": shape, "x": x, "labels": labels}
    request["reduction"] = attributes["reduction"]
    yield Fixture(call_of(False, None, attributes), request, y, differs=differs)


# ---- The node cases of ONNX ----------------------------------------------------------------------


def node_cases():
    for case in collected():
        node = case.model.graph.node[0]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        for inputs, outputs in case.data_sets:
            if not 0 < inputs[0].size <= MAX_ELEMENTS:
                continue
            make = softmax_case if node.op_type in SOFTMAX_FAMILY else loss_case
            yield from make(case.name, node.op_type, attributes, inputs, outputs)


def collected():
    with warnings.catch_warnings(), contextlib.redirect_stdout(None), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    for case in cases:
        # An expanded case has the figures of the one that it expands.
        if "_expanded" not in case.name and case.model.graph.node[0].op_type in OPERATORS:
            yield case


SOFTMAX_FAMILY = {"ReduceLogSumExp": "log_sum_exp", "Softmax": "softmax", "LogSoftmax": "log_softmax"}
OPERATORS = (*SOFTMAX_FAMILY, "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")


def last(x, axis):
    """As rows along one axis."""
    x = np.moveaxis(x, axis, -1)
    return x.reshape(-1, x.shape[-1])


def softmax_case(name, operator, attributes, inputs, outputs):
    x, y = inputs[0], outputs[0]
    axis = attributes.get("axis", -1)
    if operator == "ReduceLogSumExp":
        axes = inputs[1] if len(inputs) > 1 else np.array([])
        if axes.size == 0:
            x, axis = x.reshape(1, -1), 1
        else:
            axis = int(axes[0])
        x = last(x, axis)
    else:
        x, y = last(x, axis), last(y, axis)
    request = {"op": SOFTMAX_FAMILY[operator], "shape": x.shape, "x": x.astype(np.float32)}
    # The cases are of f32, or of f64 that is rounded here.
    yield Fixture(f"onnx.backend.test.case.node: test {name}", request, y, dtype="float32")


def loss_case(name, operator, attributes, inputs, outputs):
    """The figures of the case; where it takes log-probabilities that are none, those of ONNX Runtime for the
    case with LogSoftmax before it."""
    x, labels, weights = (*inputs, None)[:3]
    nll = operator == "NegativeLogLikelihoodLoss"
    call = f"onnx.backend.test.case.node: test {name}"
    if nll:
        y = loss_of(x.astype(np.float64), labels, weights, attributes, nll)
        call = f"{call}, after LogSoftmax, by onnxruntime"
    else:
        y = outputs[0]
    rows = last(x, 1)
    ignore = attributes.get("ignore_index")
    request = {
        "op": "cross_entropy",
        "shape": rows.shape,
        "x": rows,
        "labels": labels.reshape(-1).tolist(),
        "class_weights": weights,
        "ignore_index": ignore,
        "reduction": attributes.get("reduction", "mean"),
    }
    yield Fixture(call, request, y, dtype="float64" if nll else "float32")
    if len(outputs) > 1 and not nll:
        request = {"op": "log_softmax", "shape": rows.shape, "x": rows}
        yield Fixture(f"{call}, its log_prob", request, last(outputs[1], 1), dtype="float32")
