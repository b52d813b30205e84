"""Records what torch, JAX, TensorFlow and ONNX Runtime give in f32 for the rows of the hard set, one file each.

A line of recorded/LIBRARY.txt is a row: its name, and as f32 bits the log-sum-exp, the loss of the label and the
softmax of elements 0, n/3, n/2, n - 1 and the label. The first line is the library and its version.

    python3 -m venv venv && venv/bin/pip install numpy "jax[cpu]" optax tensorflow-cpu onnx onnxruntime torch
    venv/bin/python benches/peers/record.py                  # every library that it can import
    /usr/bin/python3 benches/peers/record.py torch           # of another interpreter: Debian's python3-torch
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROWS = HERE / "../../xent-core/tests/hard_set/rows.txt"
LONGEST = 2**24


def rows():
    for line in ROWS.read_text().splitlines():
        name, runs, label, _ = line.split(" | ")
        counts, bits = zip(*(run.split("*") for run in runs.split(" ")))
        counts = np.array(counts, dtype=np.int64)
        if counts.sum() <= LONGEST:
            values = np.array([int(b, 16) for b in bits], dtype=np.uint32).view(np.float32)
            yield name, np.repeat(values, counts)[None, :], int(label)


def torch():
    import torch
    import torch.nn.functional as F

    def of(x, label):
        x = torch.from_numpy(x)
        loss = F.cross_entropy(x, torch.tensor([label]), reduction="none")
        return torch.logsumexp(x, 1).numpy(), loss.numpy(), torch.softmax(x, 1).numpy()

    return f"torch {torch.__version__}", of


def jax():
    import jax
    import optax

    def of(x, label):
        loss = optax.softmax_cross_entropy_with_integer_labels(x, np.array([label]))
        return jax.nn.logsumexp(x, axis=1), loss, jax.nn.softmax(x)

    return f"optax {optax.__version__}, jax {jax.__version__}", of


def tensorflow():
    import tensorflow as tf

    def of(x, label):
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[label], logits=x)
        return tf.reduce_logsumexp(x, 1).numpy(), loss.numpy(), tf.nn.softmax(x).numpy()

    return f"tensorflow {tf.__version__}", of


def onnxruntime():
    import onnxruntime
    from onnx import TensorProto, helper

    def info(name, dtype, *shape):
        return helper.make_tensor_value_info(name, dtype, shape)

    nodes = [
        helper.make_node("ReduceLogSumExp", ["x"], ["lse"], axes=[1], keepdims=0),
        helper.make_node("SoftmaxCrossEntropyLoss", ["x", "label"], ["loss"], reduction="none"),
        helper.make_node("Softmax", ["x"], ["p"], axis=1),
    ]
    f32 = TensorProto.FLOAT
    inputs = [info("x", f32, 1, "n"), info("label", TensorProto.INT64, 1)]
    outputs = [info("lse", f32, 1), info("loss", f32, 1), info("p", f32, 1, "n")]
    graph = helper.make_graph(nodes, "row", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def of(x, label):
        return session.run(["lse", "loss", "p"], {"x": x, "label": np.array([label])})

    return f"onnxruntime {onnxruntime.__version__}", of


def record(library):
    version, of = library()
    lines = [version]
    for name, x, label in rows():
        lse, loss, p = (np.asarray(y, dtype=np.float32).reshape(-1) for y in of(x, label))
        n = p.size
        values = [lse[0], loss[0], *(p[i] for i in (0, n // 3, n // 2, n - 1, label))]
        bits = " ".join(f"{b:08x}" for b in np.array(values, dtype=np.float32).view(np.uint32))
        lines.append(f"{name} | {bits}")
    (HERE / "recorded" / f"{library.__name__}.txt").write_text("\n".join(lines) + "\n")
    print(f"{version}: {len(lines) - 1} rows")


def main():
    libraries = {f.__name__: f for f in (torch, jax, tensorflow, onnxruntime)}
    for name in sys.argv[1:] or libraries:
        try:
            record(libraries[name])
        except ImportError as error:
            print(f"{name}: {error}")


if __name__ == "__main__":
    main()
