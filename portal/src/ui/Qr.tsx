import type { JSX } from "preact";

/** A QR code as modules: `bits` row by row, `size` to a row, true is dark. */
export interface QrMatrix {
  readonly size: number;
  readonly bits: ArrayLike<boolean | number>;
}

/** A QR code with its quiet zone, dark on white in every colour scheme: scanners need that. */
export function Qr(props: { readonly matrix: QrMatrix; readonly label: string }): JSX.Element {
  const { size, bits } = props.matrix;
  let path = "";
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      if (!bits[y * size + x]) continue;
      let length = 1;
      while (x + length < size && bits[y * size + x + length]) length += 1;
      path += `M${String(x)} ${String(y)}h${String(length)}v1h-${String(length)}z`;
      x += length;
    }
  }
  return (
    <div class="qr">
      <svg viewBox={`-2 -2 ${String(size + 4)} ${String(size + 4)}`} role="img" aria-label={props.label} shape-rendering="crispEdges">
        <path d={path} fill="currentColor" />
      </svg>
    </div>
  );
}
