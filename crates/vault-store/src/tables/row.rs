//! Reading columns with the checks that the types of SQLite leave open.

use sqlx::Row;

use super::SqlRow;
use crate::Error;

/// A column of exactly `N` bytes.
pub(super) fn bytes<const N: usize>(row: &SqlRow, table: &'static str, column: &'static str) -> Result<[u8; N], Error> {
    let value: &[u8] = row.try_get(column)?;
    value.try_into().map_err(|_| Error::Corrupt { table, column })
}

/// A column of exactly `N` bytes that may be NULL.
pub(super) fn optional_bytes<const N: usize>(
    row: &SqlRow,
    table: &'static str,
    column: &'static str,
) -> Result<Option<[u8; N]>, Error> {
    let value: Option<&[u8]> = row.try_get(column)?;
    value.map(|value| value.try_into().map_err(|_| Error::Corrupt { table, column })).transpose()
}
