// Loads both modules in node, checks and shows what they give, and compares their speed with plain JavaScript.

import { readFile } from "node:fs/promises";

import { check } from "./check.mjs";
import { digits, shapes, smallLosses } from "./data.mjs";
import { measure } from "./speed.mjs";
import * as plain from "./plain.mjs";
import { instantiate } from "./xent.mjs";

const modules = [];
for (const name of ["scalar", "simd128"]) {
    const xent = await instantiate(await readFile(new URL(`target/${name}.wasm`, import.meta.url)));
    if (xent.name !== name) {
        throw new Error(`${name}.wasm computes with ${xent.name}`);
    }
    console.log(`${name}: ${check(xent)} rows are within the bounds of xent-core`);
    modules.push(xent);
}

const print = (...cells) => console.log(cells.map((cell) => String(cell).padStart(12)).join(""));
const xent = modules.at(-1);

console.log("\nfive digits and what a network made of them");
print("digit", "class", "confidence", "loss");
const batch = xent.batch(digits.length, 10);
batch.logits.set(digits.flatMap(({ logits }) => logits));
batch.labels.set(digits.map(({ digit }) => digit));
batch.predictions().forEach(({ loss, confidence, class: best }, row) => {
    print(digits[row].digit, best, confidence.toFixed(6), loss.toExponential(3));
});

console.log("\nsmall losses");
print("xent", "plain, f64", "  logits");
for (const { logits, label } of smallLosses) {
    const row = xent.batch(1, logits.length);
    row.logits.set(logits);
    row.labels[0] = label;
    const [loss] = row.losses();
    const [plainLoss] = plain.losses(row.logits, row.labels, logits.length, [0]);
    print(loss.toExponential(3), plainLoss.toExponential(3), `  [${logits.join(", ")}]`);
}

console.log("\nns per logit, and times the speed of plain JavaScript");
print("shape", "plain", ...modules.flatMap(({ name }) => [name, ""]));
for (const shape of shapes) {
    const [plainNs, ...ns] = measure(modules, shape);
    const cells = ns.flatMap((ns) => [ns.toFixed(2), (plainNs / ns).toFixed(1)]);
    print(`${shape.nRows} x ${shape.classes}`, plainNs.toFixed(2), ...cells);
}
