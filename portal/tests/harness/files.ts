// Serves a folder under the very headers that the program sends with its pages.

import { createServer, type Server } from 'node:http';
import { readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';

const KINDS: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export class Files {
  readonly #server: Server;
  readonly origin: string;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.origin = `http://localhost:${port}`;
  }

  /** `policy`: an address of the program, whose headers are sent with each file. */
  static async serve(folder: string, policy: string): Promise<Files> {
    const from = (await fetch(policy)).headers;
    const headers = Object.fromEntries(
      [...from].filter(([name]) => /^(content-security|cross-origin|x-content|referrer|permissions)/.test(name)),
    );
    const server = createServer((request, answer) => {
      const path = normalize(new URL(request.url ?? '/', 'http://x').pathname);
      const name = path === '/' ? '/index.html' : path;
      try {
        const bytes = readFileSync(join(folder, name));
        answer.writeHead(200, { ...headers, 'content-type': KINDS[extname(name)] ?? 'application/octet-stream' }).end(bytes);
      } catch {
        answer.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new Files(server, address.port);
  }

  end(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
