//! Schemas of the types whose JSON is not what their fields say: bytes travel as base64url text.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::{Bytes, FixedBytes};

/// Any character.
const ANY: &str = "[A-Za-z0-9_-]";
/// The last character of one byte, and of two: the bits that stand for nothing are zero.
const LAST_OF_TWO: &str = "[AQgw]";
const LAST_OF_THREE: &str = "[AEIMQUYcgkosw048]";

impl PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        let rest = format!("({ANY}{LAST_OF_TWO}|{ANY}{{2}}{LAST_OF_THREE})");
        text("Bytes as base64url without padding.", format!("^({ANY}{{4}})*{rest}?$")).build().into()
    }
}

impl ToSchema for Bytes {
    fn name() -> Cow<'static, str> {
        "Bytes".into()
    }
}

impl<const N: usize> PartialSchema for FixedBytes<N> {
    fn schema() -> RefOr<Schema> {
        let letters = (N * 8).div_ceil(6);
        let pattern = match N % 3 {
            0 => format!("^{ANY}{{{letters}}}$"),
            1 => format!("^{ANY}{{{}}}{LAST_OF_TWO}$", letters - 1),
            _ => format!("^{ANY}{{{}}}{LAST_OF_THREE}$", letters - 1),
        };
        let description = format!("{N} bytes as base64url without padding.");
        text(&description, pattern).min_length(Some(letters)).max_length(Some(letters)).build().into()
    }
}

impl<const N: usize> ToSchema for FixedBytes<N> {
    fn name() -> Cow<'static, str> {
        format!("Bytes{N}").into()
    }
}

fn text(description: &str, pattern: String) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).pattern(Some(pattern))
}

/// A number that fits 32 bits without a sign.
#[must_use]
pub fn number_u32() -> RefOr<Schema> {
    let number =
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    number.minimum(Some(0)).maximum(Some(u32::MAX)).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern<T: PartialSchema>() -> String {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["pattern"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_length_and_the_last_character_are_told() {
        assert_eq!(pattern::<FixedBytes<12>>(), "^[A-Za-z0-9_-]{16}$");
        assert_eq!(pattern::<FixedBytes<16>>(), "^[A-Za-z0-9_-]{21}[AQgw]$");
        assert_eq!(pattern::<FixedBytes<32>>(), "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$");
        assert_eq!(<FixedBytes<32> as ToSchema>::name(), "Bytes32");
    }

    #[test]
    fn the_last_characters_are_the_encodings() {
        let last = |length: usize, class: &str| {
            (0..=255u8).all(|byte| {
                let encoded = data_encoding::BASE64URL_NOPAD.encode(&vec![byte; length]);
                class.contains(encoded.chars().last().unwrap())
            })
        };
        assert!(last(1, LAST_OF_TWO) && last(2, LAST_OF_THREE));
    }
}
