// xent in JavaScript: a module, and batches of rows in its memory.

/** Of the bytes of a module. Whether the engine has SIMD, `WebAssembly.validate(bytes)` says. */
export async function instantiate(bytes) {
    const { instance } = await WebAssembly.instantiate(bytes); // It imports nothing.
    return new Xent(instance.exports);
}

class Xent {
    #exports;

    constructor(exports) {
        this.#exports = exports;
    }

    get name() {
        return this.#exports.has_simd() ? "simd128" : "scalar";
    }

    /**
     * A place for `nRows` rows of `classes` logits in the memory of the module. Write `logits` and `labels`,
     * call `losses()` or `predictions()`. The next batch takes the same place, and where it is larger ends this one.
     */
    batch(nRows, classes) {
        return new Batch(this.#exports, nRows, classes);
    }
}

class Batch {
    #exports;

    constructor(exports, nRows, classes) {
        // Behind __heap_base the memory is ours.
        const logits = exports.__heap_base.value;
        const labels = logits + 4 * nRows * classes;
        const results = labels + 4 * nRows;
        const end = results + 4 * 3 * nRows;
        const { memory } = exports;
        const missing = end - memory.buffer.byteLength;
        if (missing > 0) {
            memory.grow(Math.ceil(missing / 65536)); // Views made before are void now.
        }
        this.#exports = exports;
        this.nRows = nRows;
        this.classes = classes;
        this.logits = new Float32Array(memory.buffer, logits, nRows * classes);
        this.labels = new Int32Array(memory.buffer, labels, nRows);
        this.results = new Float32Array(memory.buffer, results, 3 * nRows);
        this.resultClasses = new Uint32Array(memory.buffer, results, 3 * nRows);
    }

    #call(name) {
        const { logits, nRows, classes, labels, results } = this;
        if (nRows * classes > 0 && logits.length === 0) {
            throw new Error("a larger batch was made since: its memory has moved");
        }
        const at = [logits.byteOffset, nRows, classes, labels.byteOffset, results.byteOffset];
        if (!this.#exports[name](...at)) {
            throw new RangeError(`a label is not one of ${classes} classes`);
        }
    }

    /** The loss of each row: a view, which the next call overwrites. */
    losses() {
        this.#call("losses");
        return this.results.subarray(0, this.nRows);
    }

    /** `{ loss, confidence, class }` of each row. */
    predictions() {
        this.#call("predictions");
        return Array.from({ length: this.nRows }, (_, row) => ({
            loss: this.results[3 * row],
            confidence: this.results[3 * row + 1],
            class: this.resultClasses[3 * row + 2],
        }));
    }
}
