import type { ComponentChildren, JSX } from "preact";

export interface Column<R> {
  readonly name: string;
  readonly cell: (row: R) => ComponentChildren;
}

/** A table; on phones each row is a card whose cells name their column. The first column heads the row. */
export function Table<R>(props: {
  readonly caption: string;
  readonly columns: readonly Column<R>[];
  readonly rows: readonly R[];
  readonly rowKey: (row: R) => string;
}): JSX.Element {
  // The roles are said again because `display: block` on phones takes them from the elements.
  return (
    <table class="table" role="table">
      <caption class="unseen">{props.caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {props.columns.map((column) => (
            <th key={column.name} scope="col" role="columnheader">
              {column.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {props.rows.map((row) => (
          <tr key={props.rowKey(row)} role="row">
            {props.columns.map((column, index) =>
              index === 0 ? (
                <th key={column.name} scope="row" role="rowheader">
                  {column.cell(row)}
                </th>
              ) : (
                <td key={column.name} role="cell" data-name={column.name}>
                  {column.cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
