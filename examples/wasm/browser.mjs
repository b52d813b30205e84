// Opens the page in a headless Chromium, prints what it shows, and saves a picture of it:
// `node browser.mjs [PICTURE.png]`. Status 0 if the page has loaded, checked and measured both modules.
// `CHROMIUM` is the program, else `chromium`.

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

import { serve } from "./serve.mjs";

const SECONDS = 120;
const picture = process.argv[2] ?? new URL("target/page.png", import.meta.url);

/** What the page shows, and whether it is ready or has failed. */
const SHOWN = "({ state: document.documentElement.dataset.state, text: document.body?.innerText })";

/** A Chromium and the commands of its DevTools protocol, JSON with a 0 behind it on two pipes. */
function start(profile) {
    const options = [
        "--headless",
        "--no-sandbox", // It cannot have one as root, and opens a page of ours alone.
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
        `--user-data-dir=${profile}`,
        "--window-size=900,1450",
    ];
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
    const browser = spawn(process.env.CHROMIUM ?? "chromium", options, { stdio });
    const waiting = new Map();
    let id = 0;
    let received = "";
    browser.stdio[4].setEncoding("utf8").on("data", (data) => {
        const messages = (received + data).split("\0");
        received = messages.pop();
        for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
            const { resolve, reject } = waiting.get(id) ?? {};
            waiting.delete(id);
            error ? reject?.(new Error(error.message)) : resolve?.(result);
        }
    });
    const ended = new Promise((_, reject) => {
        browser.on("error", reject);
        browser.stdio[3].on("error", reject);
        browser.on("exit", (code) => reject(new Error(`the browser ended with ${code}`)));
    });
    const send = (method, params = {}, sessionId = undefined) => {
        const answer = new Promise((resolve, reject) => waiting.set(++id, { resolve, reject }));
        browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
        return Promise.race([answer, ended]);
    };
    return { send, kill: () => browser.kill() };
}

async function open({ send }, url) {
    const { product } = await send("Browser.getVersion");
    console.log(product);
    const { targetId } = await send("Target.createTarget", { url });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    let shown = {};
    while (shown.state !== "ready" && shown.state !== "failed") {
        await setTimeout(100);
        const params = { expression: SHOWN, returnByValue: true };
        // Without a value while the page is being replaced.
        shown = (await send("Runtime.evaluate", params, sessionId)).result.value ?? {};
    }
    const { data } = await send("Page.captureScreenshot", { format: "png" }, sessionId);
    await writeFile(picture, Buffer.from(data, "base64"));
    return shown;
}

const server = await serve();
const profile = await mkdtemp(join(tmpdir(), "xent-page-"));
const browser = start(profile);
const late = AbortSignal.timeout(1000 * SECONDS);
late.addEventListener("abort", browser.kill); // Then `send` rejects.
try {
    const { state, text } = await open(browser, server.url);
    console.log(text);
    if (state !== "ready" || !/^simd128, .* within the bounds/m.test(text)) {
        throw new Error(`the page is ${state}`);
    }
} finally {
    browser.kill();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
