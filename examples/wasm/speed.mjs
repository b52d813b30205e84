// The speed of the losses of a batch: modules beside plain JavaScript.

import { fill } from "./data.mjs";
import * as plain from "./plain.mjs";

const SAMPLES = 15;
const SAMPLE_MS = 10; // Browsers round the clock to 0.1 ms.

/**
 * Nanoseconds per logit, of plain JavaScript and of each module: the fastest of a few samples, which take
 * turns, so that what else the machine does hits all alike.
 */
export function measure(modules, { nRows, classes }) {
    const runs = [plainRun(nRows, classes), ...modules.map((xent) => run(xent, nRows, classes))];
    const calls = runs.map(callsPerSample);
    const fastest = runs.map(() => Infinity);
    for (let sample = 0; sample < SAMPLES; sample++) {
        runs.forEach((run, i) => {
            fastest[i] = Math.min(fastest[i], time(run, calls[i]) / calls[i]);
        });
    }
    return fastest.map((ms) => (1e6 * ms) / (nRows * classes));
}

function run(xent, nRows, classes) {
    const batch = xent.batch(nRows, classes);
    fill(batch);
    return () => batch.losses();
}

function plainRun(nRows, classes) {
    const logits = new Float32Array(nRows * classes);
    const labels = new Int32Array(nRows);
    const out = new Float32Array(nRows);
    fill({ logits, labels, classes });
    return () => plain.losses(logits, labels, classes, out);
}

function time(run, calls) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) {
        run();
    }
    return performance.now() - start;
}

/** Doubled until a sample is long enough; by then the engine has compiled what it runs. */
function callsPerSample(run) {
    let calls = 1;
    while (time(run, calls) < SAMPLE_MS) {
        calls *= 2;
    }
    return calls;
}
