//! The code page of FAT short names.

use fatfs::{FsOptions, OemCpConverter};

use crate::dos_time::UTC_CLOCK;

/// Code page 850, from 0x80.
///
/// The volume does not tell its code page. Windows uses 850 in Western Europe, mtools always; 437, which Windows uses in
/// the United States, has nearly all of its letters in the same places. Only names without a long entry depend on it.
const UPPER_HALF: &str = "\
ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\
\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}";

#[derive(Debug)]
struct Cp850;

static CP850: Cp850 = Cp850;

impl OemCpConverter for Cp850 {
    fn decode(&self, byte: u8) -> char {
        match byte.checked_sub(0x80) {
            None => char::from(byte),
            Some(index) => UPPER_HALF.chars().nth(usize::from(index)).unwrap_or(char::REPLACEMENT_CHARACTER),
        }
    }

    fn encode(&self, letter: char) -> Option<u8> {
        if letter.is_ascii() {
            return u8::try_from(letter).ok();
        }
        let index = UPPER_HALF.chars().position(|known| known == letter)?;
        u8::try_from(index + 0x80).ok()
    }
}

/// A byte of a short name as a letter.
pub(crate) fn decode(byte: u8) -> char {
    CP850.decode(byte)
}

/// How volumes are mounted for writing.
pub(crate) fn mount_options() -> FsOptions {
    FsOptions::new().oem_cp_converter(&CP850).time_provider(&UTC_CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        assert_eq!(UPPER_HALF.chars().count(), 128);
        assert!((0..=255).all(|byte| CP850.encode(CP850.decode(byte)) == Some(byte)));
        assert_eq!((CP850.decode(0xE1), CP850.decode(0x99)), ('ß', 'Ö'));
    }
}
