// The page: loads both modules, checks them, and shows what they give and how fast.

import { check } from "./check.mjs";
import { digits, shapes, smallLosses } from "./data.mjs";
import { measure } from "./speed.mjs";
import * as plain from "./plain.mjs";
import { instantiate } from "./xent.mjs";

const state = document.documentElement.dataset;
const element = (id) => document.getElementById(id);

/** Rows of cells under a heading. */
function fillTable(id, heading, rows) {
    const tr = (tag, cells) => {
        const row = document.createElement("tr");
        row.append(
            ...cells.map((cell) => {
                const td = document.createElement(tag);
                td.append(cell);
                return td;
            }),
        );
        return row;
    };
    element(id).replaceChildren(tr("th", heading), ...rows.map((cells) => tr("td", cells)));
}

function predict(xent, logits, label) {
    const batch = xent.batch(1, logits.length);
    batch.logits.set(logits);
    batch.labels[0] = label;
    return batch.predictions()[0];
}

function showRow(xent) {
    const logits = element("logits").value.split(",").map(Number);
    const output = element("row");
    try {
        const { loss, confidence, class: best } = predict(xent, logits, element("label").valueAsNumber);
        output.textContent = `loss ${loss.toPrecision(7)} · class ${best} · confidence ${confidence.toFixed(4)}`;
        output.className = "";
    } catch (error) {
        output.textContent = error.message;
        output.className = "wrong";
    }
}

function showDigits(xent) {
    const rows = digits.map(({ digit, logits }) => {
        const { loss, confidence, class: best } = predict(xent, logits, digit);
        return [`${digit}`, `${best}`, confidence.toFixed(6), loss.toExponential(3)];
    });
    fillTable("digits", ["digit", "class", "confidence", "loss"], rows);
}

function showSmallLosses(xent) {
    const rows = smallLosses.map(({ logits, label }) => {
        const { loss } = predict(xent, logits, label);
        const [plainLoss] = plain.losses(Float32Array.from(logits), [label], logits.length, [0]);
        return [`[${logits.join(", ")}]`, loss.toExponential(3), plainLoss.toExponential(3)];
    });
    fillTable("small-losses", ["logits, label 0", "xent", "plain JavaScript"], rows);
}

async function showSpeed(modules) {
    element("measure").disabled = true;
    const rows = [];
    for (const shape of shapes) {
        await new Promise((resolve) => setTimeout(resolve)); // The page is drawn in between.
        const [plainNs, ...ns] = measure(modules, shape);
        const cells = ns.map((ns) => `${ns.toFixed(2)} (${(plainNs / ns).toFixed(1)})`);
        const name = `${shape.nRows.toLocaleString("en")} × ${shape.classes.toLocaleString("en")}`;
        rows.push([name, plainNs.toFixed(2), ...cells]);
        fillTable("speed", ["rows × classes", "plain", ...modules.map(({ name }) => name)], rows);
    }
    element("measure").disabled = false;
}

async function main() {
    const modules = [];
    for (const name of ["scalar", "simd128"]) {
        const response = await fetch(`target/${name}.wasm`);
        if (!response.ok) {
            throw new Error(`${response.url}: ${response.status}; has ./build run?`);
        }
        const bytes = await response.arrayBuffer();
        if (!WebAssembly.validate(bytes)) {
            continue; // An engine without SIMD.
        }
        const xent = await instantiate(bytes);
        const nRows = check(xent).toLocaleString("en");
        element("module").textContent =
            `${xent.name}, ${bytes.byteLength.toLocaleString("en")} bytes. ` +
            `${nRows} rows are within the bounds of xent-core.`;
        modules.push(xent);
    }
    const xent = modules.at(-1);
    for (const id of ["logits", "label"]) {
        element(id).addEventListener("input", () => showRow(xent));
    }
    element("measure").addEventListener("click", () => showSpeed(modules));
    showRow(xent);
    showDigits(xent);
    showSmallLosses(xent);
    await showSpeed(modules);
}

try {
    await main();
    state.state = "ready";
} catch (error) {
    element("module").textContent = error.message;
    element("module").className = "wrong";
    state.state = "failed";
}
