//! Tiles: where the tree's nodes lie (C2SP tlog-tiles).
//!
//! A tile is up to 256 hashes side by side in every eighth row of the tree. A full one never changes; one that is not full
//! only gets longer, so any beginning of it can be served under the name of its width. What lies between the eighth rows is
//! computed.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Node, Span, empty_root, node_hash};
use super::{Hash, consistency_spans, inclusion_spans};

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;
/// Highest level that C2SP tlog-tiles names.
pub const MAX_LEVEL: u8 = 5;
/// Leaves that fit below it: no log has more.
pub const MAX_SIZE: u64 = 1 << 48;
/// Every tile's route: its path has any number of parts, for which the service's description of itself has no words.
pub const TILE_ROUTE: &str = "/log/tile/{*path}";
const ROWS: u8 = 8;
const HASH_BYTES: usize = 32;

/// Where a tile lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 holds leaves, 1 the roots of full tiles of level 0, and so on.
    pub level: u8,
    /// Number in its level, from the left.
    pub index: u64,
}

impl TileId {
    /// How many hashes it has in a tree of `size` leaves.
    #[must_use]
    pub fn width(self, size: u64) -> u64 {
        let row = size.checked_shr(u32::from(self.level) * u32::from(ROWS)).unwrap_or(0);
        row.saturating_sub(self.index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH)
    }

    /// Its path below the log's address: `tile/1/x001/x234/067`, and `.p/5` behind it where it is not full.
    #[must_use]
    pub fn path(self, width: u64) -> String {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let partial = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
        format!("tile/{}/{number}{partial}", self.level)
    }

    /// Tile and width that this path names, behind `tile/`; only the one form that [`TileId::path`] writes.
    #[must_use]
    pub fn parse(path: &str) -> Option<(Self, u64)> {
        let (level, number) = path.split_once('/')?;
        let (number, width) = match number.split_once(".p/") {
            Some((number, width)) => (number, decimal(width).filter(|width| (1..TILE_WIDTH).contains(width))?),
            None => (number, TILE_WIDTH),
        };
        let level = u8::try_from(decimal(level)?).ok().filter(|level| *level <= MAX_LEVEL)?;
        let mut index: u64 = 0;
        for part in number.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { level, index };
        (index < MAX_SIZE && tile.path(width).strip_prefix("tile/") == Some(path)).then_some((tile, width))
    }
}

fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Hashes of a tile, from the left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tile(Vec<Hash>);

impl Tile {
    /// The tile in these bytes; `None` unless they are 1 to 256 hashes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        let fits = rest.is_empty() && !hashes.is_empty() && hashes.len() as u64 <= TILE_WIDTH;
        fits.then(|| Self(hashes.to_vec()))
    }

    /// As it is stored and served.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// Its hashes.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// Hash of node `index` in the row `rows` above the tile's hashes.
    fn node(&self, rows: u8, index: usize) -> Option<Hash> {
        let width = 1_usize << rows;
        let begin = index.checked_mul(width)?;
        let mut row = self.0.get(begin..begin.checked_add(width)?)?.to_vec();
        while row.len() > 1 {
            row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.pop()
    }
}

/// Tiles at hand: enough of them give roots and proofs.
#[derive(Debug, Clone, Default)]
pub struct Tiles(BTreeMap<TileId, Tile>);

impl Tiles {
    /// Adds a tile.
    pub fn insert(&mut self, id: TileId, tile: Tile) {
        self.0.insert(id, tile);
    }

    /// The tiles that hold the nodes of these spans.
    #[must_use]
    pub fn needed(spans: &[Span]) -> BTreeSet<TileId> {
        spans.iter().flat_map(|span| span.nodes()).map(|node| place(node).0).collect()
    }

    /// The hashes of these spans; `None` when a tile is missing or too short.
    #[must_use]
    pub fn hashes(&self, spans: &[Span]) -> Option<Vec<Hash>> {
        spans.iter().map(|span| span.hash(|node| self.node(node))).collect()
    }

    /// What proves leaf `index` in a tree of `size`.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        self.hashes(&inclusion_spans(index, size))
    }

    /// What proves that a tree of `old` leaves is the beginning of one of `new`.
    #[must_use]
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        self.hashes(&consistency_spans(old, new))
    }

    fn node(&self, node: Node) -> Option<Hash> {
        let (id, rows, index) = place(node);
        self.0.get(&id)?.node(rows, index)
    }
}

/// Tile of a node, rows above the tile's hashes, number in that row of the tile.
fn place(node: Node) -> (TileId, u8, usize) {
    let rows = node.height % ROWS;
    let per_tile = TILE_WIDTH >> rows;
    let id = TileId { level: node.height / ROWS, index: node.index / per_tile };
    (id, rows, usize::try_from(node.index % per_tile).unwrap_or(usize::MAX))
}

/// The right edge of a tree: all that is needed to let it grow.
#[derive(Debug, Clone)]
pub struct Edge {
    size: u64,
    /// By level: hashes of the tile that is not full yet.
    open: Vec<Vec<Hash>>,
    changed: BTreeMap<TileId, Tile>,
}

impl Edge {
    /// The tiles that the edge of a tree of `size` consists of.
    #[must_use]
    pub fn tiles(size: u64) -> Vec<TileId> {
        let levels = (0..=MAX_LEVEL).map(|level| TileId { level, index: size >> (u32::from(level) * 8) >> 8 });
        levels.filter(|id| id.width(size) > 0).collect()
    }

    /// The edge of a tree of `size`; `None` when a tile is missing or too short.
    pub fn new(size: u64, mut tile: impl FnMut(TileId) -> Option<Tile>) -> Option<Self> {
        let mut open = vec![Vec::new(); usize::from(MAX_LEVEL) + 1];
        for id in Self::tiles(size) {
            let width = usize::try_from(id.width(size)).ok()?;
            let hashes = tile(id)?.0.get(..width)?.to_vec();
            *open.get_mut(usize::from(id.level))? = hashes;
        }
        Some(Self { size, open, changed: BTreeMap::new() })
    }

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; gives its index.
    pub fn push(&mut self, leaf: Hash) -> u64 {
        let index = self.size;
        self.size += 1;
        let mut carried = leaf;
        for (level, open) in (0..).zip(&mut self.open) {
            open.push(carried);
            if (open.len() as u64) < TILE_WIDTH {
                break;
            }
            let tile = Tile(std::mem::take(open));
            // A full tile has a root.
            carried = tile.node(ROWS, 0).unwrap_or(carried);
            let row = self.size >> (u32::from(level) * u32::from(ROWS));
            self.changed.insert(TileId { level, index: row / TILE_WIDTH - 1 }, tile);
        }
        index
    }

    /// Root of the tree as it is now.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root = None;
        for open in &self.open {
            let mut rest = open.as_slice();
            let mut parts = Vec::new();
            while !rest.is_empty() {
                let (part, after) = rest.split_at(1 << rest.len().ilog2());
                parts.extend(Tile(part.to_vec()).node(u8::try_from(part.len().ilog2()).unwrap_or(0), 0));
                rest = after;
            }
            for part in parts.iter().rev() {
                root = Some(root.map_or(*part, |right| node_hash(part, &right)));
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// The tiles that differ from what they were, as they are now; the open ones among them may not.
    #[must_use]
    pub fn into_changed(self) -> BTreeMap<TileId, Tile> {
        let mut changed = self.changed;
        for (id, open) in Self::tiles(self.size).into_iter().map(|id| (id, self.open.get(usize::from(id.level)))) {
            if let Some(open) = open {
                changed.insert(id, Tile(open.clone()));
            }
        }
        changed
    }
}
