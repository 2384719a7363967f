// Files that the page makes, by the browser's own way of saving.

/** Offers bytes or text as a file to save. */
export function saveFile(name: string, content: Uint8Array | string, type = "application/octet-stream"): void {
  const blob = new Blob([content as BlobPart], { type });
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // Long enough for the browser to have taken it, short enough not to keep a secret around.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
