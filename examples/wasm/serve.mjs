// Serves this folder on 127.0.0.1: `node serve.mjs`, and open what it prints.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

const folder = new URL("./", import.meta.url);
const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** The address of the page, once it is served. */
export async function serve(port = 0) {
    const server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, "http://127.0.0.1");
        const path = pathname === "/" ? "/index.html" : pathname;
        try {
            const bytes = await readFile(new URL(`.${path}`, folder));
            response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain" }).end(bytes);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    console.log((await serve(8000)).url);
}
