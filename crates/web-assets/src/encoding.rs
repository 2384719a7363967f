//! Which form of a file a client takes (RFC 9110, section 12.5.3).

use http::{HeaderMap, header};

use crate::Asset;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    /// The best form that there is and that the client takes. A client that takes none gets the file as it is: it asked for it.
    pub(crate) fn choose(headers: &HeaderMap, asset: &Asset) -> Self {
        let there = [(Self::Brotli, asset.brotli.is_some()), (Self::Gzip, asset.gzip.is_some())];
        let weighed = there.into_iter().filter(|(_, there)| *there).map(|(form, _)| (form, form.weight(headers)));
        let identity = (Self::Identity, Self::Identity.weight(headers));
        // The first of the heaviest: what is smaller stands in front.
        let mut best = (Self::Identity, 0);
        for (form, weight) in weighed.chain([identity]) {
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }

    /// As it stands in `content-encoding`.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// Ends the tag of this form: each has one of its own, since its bytes are others.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => "-br",
            Self::Gzip => "-gz",
            Self::Identity => "",
        }
    }

    /// The bytes in this form.
    pub(crate) fn of(self, asset: &Asset) -> &'static [u8] {
        let form = match self {
            Self::Brotli => asset.brotli,
            Self::Gzip => asset.gzip,
            Self::Identity => None,
        };
        form.unwrap_or(asset.plain)
    }

    /// What the client gives it, in thousandths. A form that is not named weighs what `*` weighs; the plain one is fine unless
    /// said otherwise, but no reason not to compress.
    fn weight(self, headers: &HeaderMap) -> u16 {
        let (mut named, mut any) = (None, None);
        let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
        for item in values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let name = name.trim();
            if name == "*" {
                any = any.or_else(|| weight(parameters));
            } else if name.eq_ignore_ascii_case(self.name().unwrap_or("identity")) {
                named = named.or_else(|| weight(parameters));
            }
        }
        let unnamed = if self == Self::Identity { 1 } else { 0 };
        named.or(any).unwrap_or(unnamed)
    }
}

/// `q=0.5` in thousandths; 1000 when there is none, `None` when it is no weight.
fn weight(parameters: &str) -> Option<u16> {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return Some(1000);
    }
    let (name, value) = parameters.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, part) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || part.len() > 3 || !is_digits(part) {
        return None;
    }
    let thousandths: u16 = format!("{whole}{part:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Asset = Asset {
        path: "a.js",
        media_type: "text/javascript",
        tag: "t",
        immutable: false,
        plain: b"plain",
        brotli: Some(b"br"),
        gzip: Some(b"gz"),
    };

    #[test]
    fn the_best_form_that_the_client_takes_is_chosen() {
        let check = |asset: &Asset, accepted: &[&'static str], expected: Encoding| {
            let mut headers = HeaderMap::new();
            for line in accepted {
                headers.append(header::ACCEPT_ENCODING, line.parse().unwrap());
            }
            assert_eq!(Encoding::choose(&headers, asset), expected, "{accepted:?}");
        };
        check(&BOTH, &[], Encoding::Identity);
        check(&BOTH, &[""], Encoding::Identity);
        check(&BOTH, &["gzip, deflate, br, zstd"], Encoding::Brotli);
        check(&BOTH, &["gzip", "br"], Encoding::Brotli);
        check(&BOTH, &["BR"], Encoding::Brotli);
        check(&BOTH, &["gzip, deflate"], Encoding::Gzip);
        check(&BOTH, &["br;q=0.5, gzip;q=0.8"], Encoding::Gzip);
        check(&BOTH, &["br;q=0, gzip;q=0"], Encoding::Identity);
        check(&BOTH, &["br; q=0.000, gzip ; q=1.000"], Encoding::Gzip);
        check(&BOTH, &["*"], Encoding::Brotli);
        check(&BOTH, &["*;q=0"], Encoding::Identity);
        check(&BOTH, &["br;q=0, *"], Encoding::Gzip);
        check(&BOTH, &["identity, br;q=0.2"], Encoding::Identity);
        check(&BOTH, &["identity;q=0, gzip;q=0.1"], Encoding::Gzip);
        // What is no weight is not taken for one.
        for bad in ["br;q=2", "br;q=-1", "br;q=1.5", "br;q=0.1234", "br;q=x", "br;level=9", "brotli", "x-br"] {
            check(&BOTH, &[bad], Encoding::Identity);
        }
        check(&Asset { brotli: None, ..BOTH }, &["br, gzip"], Encoding::Gzip);
        check(&Asset { brotli: None, gzip: None, ..BOTH }, &["br, gzip, identity;q=0"], Encoding::Identity);
    }
}
