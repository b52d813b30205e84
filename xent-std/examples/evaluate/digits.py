"""Make digits_logits.npy and digits_labels.npy: held-out logits of a small MLP.

Each of the 1,797 images of sklearn's digits set gets its logits from the one
fold (of ten) whose network, and whose scaling, was fitted without that image.
"""
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

HERE = Path(__file__).resolve().parent
SEED = 0


def mlp_logits(mlp, x):
    """Output-layer activations before the softmax (one hidden ReLU layer)."""
    (w1, w2), (b1, b2) = mlp.coefs_, mlp.intercepts_
    return np.maximum(x @ w1 + b1, 0.0) @ w2 + b2


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(logits, labels):
    """Per-row loss in float64, accurate for losses far below 1e-16 too."""
    z = logits.astype(np.float64)
    rows = np.arange(len(z))
    top = z.argmax(axis=1)
    rest = np.exp(z - z[rows, top][:, None])
    rest[rows, top] = 0.0  # leave out the 1, so log1p keeps the small terms
    return (z[rows, top] - z[rows, labels]) + np.log1p(rest.sum(axis=1))


def held_out_logits(x, y):
    logits = np.full((len(x), 10), np.nan)
    folds = StratifiedKFold(n_splits=10, shuffle=True, random_state=SEED)
    for train, test in folds.split(x, y):
        scaler = StandardScaler().fit(x[train])
        mlp = MLPClassifier(hidden_layer_sizes=(64,), max_iter=500, random_state=SEED)
        mlp.fit(scaler.transform(x[train]), y[train])
        assert mlp.n_iter_ < mlp.max_iter, "did not converge"
        assert np.array_equal(mlp.classes_, np.arange(10))
        x_test = scaler.transform(x[test])
        logits[test] = mlp_logits(mlp, x_test)
        error = np.abs(softmax(logits[test]) - mlp.predict_proba(x_test)).max()
        assert error < 1e-6, error
    assert np.isfinite(logits).all()
    return logits


def save(name, array):
    with open(HERE / name, "wb") as f:
        np.lib.format.write_array(f, array, version=(1, 0), allow_pickle=False)


def main():
    x, y = load_digits(return_X_y=True)
    with threadpool_limits(1):  # a fixed order of summation
        logits = held_out_logits(x, y)
    logits = np.ascontiguousarray(logits, dtype="<f4")
    labels = np.ascontiguousarray(y, dtype="u1")
    save("digits_logits.npy", logits)
    save("digits_labels.npy", labels)

    loss = cross_entropy(logits, labels)
    predicted = logits.argmax(axis=1)
    correct = int((predicted == labels).sum())
    print(f"rows                {len(loss)}")
    print(f"mean cross-entropy  {loss.mean():.12f}")
    print(f"perplexity          {np.exp(loss.mean()):.12f}")
    print(f"accuracy            {correct / len(loss):.6f} ({correct} correct)")
    print("largest losses      index  label  predicted  loss")
    for i in np.argsort(-loss, kind="stable")[:5]:
        print(f"{i:25}  {labels[i]:5}  {predicted[i]:9}  {loss[i]:.9f}")
    print(f"rows, loss < 6e-8   {(loss < 6e-8).sum()}")
    print(f"smallest loss       {loss.min():.9e} (index {loss.argmin()})")


if __name__ == "__main__":
    main()
