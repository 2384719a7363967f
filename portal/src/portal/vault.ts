// The vault, as the pages use it.

export type * from '../vault/api';
