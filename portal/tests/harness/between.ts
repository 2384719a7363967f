// What stands between a browser and the service: a proxy that has the service under a path, or one that alters what it says.

import { createServer, type IncomingMessage, request as send, type Server } from 'node:http';

export interface Between {
  /** Where the service listens. */
  port: number;
  /** The path that stands for the service's own root, with a slash at its end. */
  path?: string;
  /** Sees each answer that is JSON, and gives the one that is sent on. */
  alter?: (path: string, answer: any) => unknown;
}

export class Proxy {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  get origin(): string {
    return `http://localhost:${this.port}`;
  }

  static async start(port: number, between: () => Between): Promise<Proxy> {
    const server = createServer((request, answer) => {
      const { port, path = '/', alter } = between();
      const asked = request.url ?? '/';
      if (!asked.startsWith(path)) {
        answer.writeHead(418).end();
        return;
      }
      const inner = `/${asked.slice(path.length)}`;
      // Nothing is compressed on the way: what is altered has to be read.
      const headers = { ...request.headers, ...(alter !== undefined && { 'accept-encoding': 'identity' }) };
      const onward = send({ port, host: '127.0.0.1', method: request.method, path: inner, headers }, (from) => {
        void pass(from, inner, alter).then(({ body, length }) => {
          const all = { ...from.headers };
          if (length !== undefined) all['content-length'] = String(length);
          answer.writeHead(from.statusCode ?? 502, all).end(body);
        });
      });
      onward.on('error', () => answer.writeHead(502).end());
      request.pipe(onward);
    });
    await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve));
    return new Proxy(server, port);
  }

  end(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function pass(
  from: IncomingMessage,
  path: string,
  alter: Between['alter'],
): Promise<{ body: Buffer; length: number | undefined }> {
  const parts: Buffer[] = [];
  for await (const part of from) parts.push(part as Buffer);
  const body = Buffer.concat(parts);
  const isJson = /json/.test(from.headers['content-type'] ?? '');
  if (alter === undefined || !isJson || body.length === 0) return { body, length: undefined };
  const altered = Buffer.from(JSON.stringify(alter(path, JSON.parse(body.toString('utf8')))));
  return { body: altered, length: altered.length };
}
