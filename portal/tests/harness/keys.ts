// Recovery keys and the files they come in. The keys are made up; their digits check.

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A recovery key of an imagined drive. */
export interface Key {
  id: string;
  password: string;
}

/** A new one, as Windows would make it. */
export function newKey(seed?: string): Key {
  const bytes = seed === undefined ? randomBytes(32) : createHash('sha256').update(seed).digest();
  const groups = Array.from({ length: 8 }, (_, n) => String(bytes.readUInt16LE(n * 2) * 11).padStart(6, '0'));
  const id = seed === undefined ? randomUUID() : uuidOf(bytes.subarray(16));
  return { id: id.toUpperCase(), password: groups.join('-') };
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A file, as a browser gets it. */
export interface TextFile {
  name: string;
  bytes: Buffer;
}

/** The file that Windows writes for "Save to a file": UTF-16LE with its mark, CRLF, the identifier and the key indented. */
export function windowsFile(key: Key): TextFile {
  const lines = [
    'BitLocker Drive Encryption recovery key',
    '',
    'Compare the beginning of this identifier with what the PC shows:',
    '',
    'Identifier:',
    '',
    `\t${key.id}`,
    '',
    'If they are the same, this key unlocks the drive:',
    '',
    'Recovery Key:',
    '',
    `\t${key.password}`,
    '',
  ];
  const text = `\u{feff}${lines.join('\r\n')}\r\n`;
  return { name: `BitLocker Recovery Key ${key.id}.TXT`, bytes: Buffer.from(text, 'utf16le') };
}

/** A file of the project's test inputs. */
export function fixture(name: string): TextFile {
  const bytes = readFileSync(join(process.cwd(), '../fixtures/imports', name));
  return { name, bytes };
}

/** A table of many keys, for an import. */
export function tableOf(keys: Key[]): string {
  const rows = keys.map((key, n) => `PC-${String(n).padStart(3, '0')},C:,${key.id},${key.password}`);
  return ['computer,drive,key id,recovery key', ...rows, ''].join('\n');
}

/** Whether a text holds the key, however its digits are set apart. */
export function holds(text: string, key: Key): boolean {
  return text.replace(/[^0-9]/g, '').includes(key.password.replaceAll('-', ''));
}
