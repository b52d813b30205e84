// Runs the module that checks the test vectors: `node check.mjs MODULE BACKEND`. Status 0 if all have the
// expected bits and BACKEND is the one that the module has chosen.

import { readFile } from "node:fs/promises";

const [path, backend] = process.argv.slice(2);
let printed = "";
const host = {
    print(text, length) {
        printed += new TextDecoder().decode(new Uint8Array(exports.memory.buffer, text, length));
    },
};
const { exports } = (await WebAssembly.instantiate(await readFile(path), { host })).instance;
let passed = false;
try {
    passed = exports.check() !== 0;
} finally {
    process.stdout.write(printed);
}
if (!printed.startsWith(`detected: ${backend}\n`)) {
    console.log(`wanted: detected: ${backend}`);
    passed = false;
}
process.exitCode = passed ? 0 : 1;
