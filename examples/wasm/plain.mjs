// The loss that one would write without a library: stable, in the f64 of JavaScript.

/** `ln(Σ exp(x_i - m)) - (x_t - m)` of each row, `m` its largest logit, `t` its label. */
export function losses(logits, labels, classes, out) {
    for (let row = 0; row < labels.length; row++) {
        const begin = row * classes;
        const end = begin + classes;
        let max = -Infinity;
        for (let i = begin; i < end; i++) {
            if (logits[i] > max) max = logits[i];
        }
        let sum = 0;
        for (let i = begin; i < end; i++) {
            sum += Math.exp(logits[i] - max);
        }
        out[row] = Math.log(sum) - (logits[begin + labels[row]] - max);
    }
    return out;
}
