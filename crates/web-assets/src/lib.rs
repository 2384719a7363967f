//! The pages that people see, built from `portal/` and embedded: the account's portal and the control panel.
//!
//! A file comes with what HTTP wants to know about it: its media type, a tag for its contents, how long it may be kept, its
//! Brotli and gzip forms. Those were made once, when the pages were built; nothing is compressed while somebody waits.
//! Every answer carries the same policy ([`POLICY`]): no code but ours, no code inside a page, no other origin, no frame.
//!
//! What is left to others: routes, logs, and which page they serve at which address. All addresses inside the pages are
//! relative, so that address may be any.
//!
//! A build without `portal/dist` has one page that says so. `cargo xtask portal` makes the files.

mod answer;
mod encoding;

pub use answer::{POLICY, answer};

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// Where it lies below the page, without a leading slash: `assets/main-B2dK9_xy.js`.
    pub path: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Names its contents: other contents have another tag.
    pub tag: &'static str,
    /// Whether its name changes with its contents.
    pub immutable: bool,
    /// The file.
    pub plain: &'static [u8],
    /// The same, compressed by Brotli (RFC 7932).
    pub brotli: Option<&'static [u8]>,
    /// The same, compressed by gzip (RFC 1952).
    pub gzip: Option<&'static [u8]>,
}

/// Sorted by path.
static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page of a build without pages.
static NOT_BUILT: Asset = Asset {
    path: "not-built.html",
    media_type: "text/html; charset=utf-8",
    tag: concat!("not-built-", env!("CARGO_PKG_VERSION")),
    immutable: false,
    plain: include_bytes!("not-built.html"),
    brotli: None,
    gzip: None,
};

/// A page with an address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// What the service shows: the account.
    Portal,
    /// What `keyhaven up` shows: the drives of this machine.
    Panel,
}

impl Page {
    /// Whether this build has it.
    #[must_use]
    pub fn is_built(self) -> bool {
        find(self.file()).is_some()
    }

    fn file(self) -> &'static str {
        match self {
            Self::Portal => "portal.html",
            Self::Panel => "panel.html",
        }
    }

    fn asset(self) -> &'static Asset {
        find(self.file()).unwrap_or(&NOT_BUILT)
    }
}

/// Every embedded file.
#[must_use]
pub fn assets() -> &'static [Asset] {
    ASSETS
}

fn find(path: &str) -> Option<&'static Asset> {
    let at = ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok()?;
    ASSETS.get(at)
}
