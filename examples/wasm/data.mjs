// Rows of logits to look at, and rows to measure.

/** Five digits that a network of one hidden layer has classified, from xent-std's example `evaluate`. */
export const digits = [
    { digit: 0, logits: [10.89, -7.216, -4.628, -5.546, -1.301, -1.577, -2.069, 0.065, -2.977, -1.618] },
    { digit: 1, logits: [-6.787, 11.988, -3.526, -3.428, -0.355, -4.707, -2.212, -2.361, 1.759, -5.869] },
    { digit: 2, logits: [-4.396, 2.255, 8.197, -7.185, -1.487, -10.603, -1.949, -3.418, 2.646, -8.482] },
    { digit: 3, logits: [-7.004, -2.983, -0.123, 10.063, -4.653, -1.977, -5.994, -2.746, -2.491, -0.739] },
    { digit: 5, logits: [-4.527, -0.631, -6.64, 0.466, -5.12, -1.412, -5.627, -4.768, -2.89, 6.299] },
];

/** Rows with a small loss, whose digits are easily lost. */
export const smallLosses = [
    { logits: [20, 0, 0, 0], label: 0 },
    { logits: [17, 0], label: 0 },
    { logits: [0, -40], label: 0 },
    { logits: [0, -100], label: 0 },
    { logits: [1e4, 1e4 - 9.5, 1e4 - 11], label: 0 },
];

/** What is measured: many short rows, rows of a usual length, a vocabulary. */
export const shapes = [
    { nRows: 10000, classes: 10 },
    { nRows: 100, classes: 1000 },
    { nRows: 1, classes: 128256 },
];

/** Fills a batch with logits within 10 of 0 and labels, the same at every run. */
export function fill({ logits, labels, classes }) {
    let state = 1;
    const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
    for (let i = 0; i < logits.length; i++) {
        logits[i] = 20 * random() - 10;
    }
    for (let row = 0; row < labels.length; row++) {
        labels[row] = classes * random();
    }
}
