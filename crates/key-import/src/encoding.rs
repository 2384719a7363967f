//! Text out of bytes: UTF-16 and UTF-8 with their marks or without, anything else letter by letter.

use zeroize::Zeroizing;

/// How many bytes are looked at to recognise UTF-16 that has no mark.
const SAMPLE_BYTES: usize = 256;

/// The text. What is in an older code page keeps its digits, identifiers and line ends; other letters may come out wrong.
pub(crate) fn decode(bytes: &[u8]) -> Zeroizing<String> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => narrow(rest),
        _ if zeros(bytes, 1) => utf16(bytes, u16::from_le_bytes),
        _ if zeros(bytes, 0) => utf16(bytes, u16::from_be_bytes),
        _ => narrow(bytes),
    }
}

fn utf16(bytes: &[u8], convert: fn([u8; 2]) -> u16) -> Zeroizing<String> {
    let units = || bytes.as_chunks::<2>().0.iter().map(|pair| convert(*pair));
    // At most three bytes of UTF-8 per unit: the buffer never grows, so no stale copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2 * 3));
    text.extend(char::decode_utf16(units()).map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text
}

fn narrow(bytes: &[u8]) -> Zeroizing<String> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Zeroizing::new(text.to_owned());
    }
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    text.extend(bytes.iter().map(|byte| char::from(*byte)));
    text
}

/// Whether most bytes at odd (1) or even (0) places are zero.
fn zeros(bytes: &[u8], parity: usize) -> bool {
    let sample = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
    let places = sample.iter().skip(parity).step_by(2);
    let (all, zero) = (places.clone().count(), places.filter(|byte| **byte == 0).count());
    all >= 8 && zero * 10 > all * 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_text() {
        let text = "Schlüssel 回復キー 235818\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
            [b"\xFF\xFE", little.as_slice()].concat(),
            [b"\xFE\xFF", big.as_slice()].concat(),
        ] {
            assert_eq!(decode(&bytes).as_str(), text);
        }
        let unmarked: Vec<u8> = "Identifier: 235818\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&unmarked).as_str(), "Identifier: 235818\r\n");
        assert_eq!(decode(b"Schl\xFCssel: 1").as_str(), "Schlüssel: 1");
        assert_eq!(decode(b"").as_str(), "");
    }
}
