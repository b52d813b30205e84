// Holds what a module gives against the definition in f64, within the bounds that xent-core publishes.

import { digits, fill, shapes, smallLosses } from "./data.mjs";

/** Checks a module; how many rows there were. Throws at the first that is wrong. */
export function check(xent) {
    const rows = [...smallLosses, ...digits.map(({ digit, logits }) => ({ logits, label: digit }))];
    let nRows = 0;
    for (const { logits, label } of rows) {
        nRows += checkBatch(xent, 1, logits.length, (batch) => {
            batch.logits.set(logits);
            batch.labels[0] = label;
        });
    }
    for (const shape of shapes) {
        nRows += checkBatch(xent, shape.nRows, shape.classes, fill);
    }
    checkErrors(xent);
    return nRows;
}

function checkBatch(xent, nRows, classes, fill) {
    const batch = xent.batch(nRows, classes);
    fill(batch);
    const losses = batch.losses().slice();
    batch.predictions().forEach((prediction, row) => {
        const x = batch.logits.subarray(row * classes, (row + 1) * classes);
        const wanted = reference(x, batch.labels[row]);
        const isWithin = (got, wanted_) =>
            Math.abs(got - wanted_) <= wanted.bound * wanted_ + 2 ** -149;
        const { loss, confidence } = prediction;
        if (
            !isWithin(losses[row], wanted.loss) ||
            !isWithin(loss, wanted.loss) ||
            !isWithin(confidence, wanted.confidence) ||
            prediction.class !== wanted.class
        ) {
            const got = JSON.stringify({ ...prediction, losses: losses[row] });
            throw new Error(`${xent.name}, row ${row} of ${classes}: ${got}, wanted ${JSON.stringify(wanted)}`);
        }
    });
    return nRows;
}

/** `m` is the largest logit and `s` the sum of `exp(x_i - m)` over all others. `bound` is relative. */
function reference(x, label) {
    const k = x.reduce((k, logit, i) => (logit > x[k] ? i : k), 0);
    let s = 0;
    let distance = 0;
    x.forEach((logit, i) => {
        if (i !== k) {
            const term = Math.exp(logit - x[k]);
            s += term;
            distance += term * (x[k] - logit);
        }
    });
    return {
        loss: x[k] - x[label] + Math.log1p(s),
        confidence: 1 / (1 + s),
        class: k,
        // Within LOSS and SOFTMAX of xent-core's accuracy.rs: 4 ULP, and half the mean distance.
        bound: (4 + distance / s / 2) * 2 ** -23,
    };
}

function checkErrors(xent) {
    const batch = xent.batch(2, 3);
    batch.logits.fill(0);
    for (const label of [3, -1]) {
        batch.labels.set([0, label]);
        batch.results.fill(7);
        for (const call of ["losses", "predictions"]) {
            let error = null;
            try {
                batch[call]();
            } catch (thrown) {
                error = thrown;
            }
            if (!(error instanceof RangeError) || batch.results.some((result) => result !== 7)) {
                throw new Error(`${xent.name}: ${call} took label ${label} of 3 classes`);
            }
        }
    }
    const larger = xent.batch(1, batch.logits.buffer.byteLength);
    if (larger.logits.buffer === batch.logits.buffer || !throws(() => batch.losses(), /memory has moved/)) {
        throw new Error(`${xent.name}: a batch outlived a larger one`);
    }
}

function throws(call, message) {
    try {
        call();
        return false;
    } catch (error) {
        return message.test(error.message);
    }
}
