//! Key stretching: the salted, iterated hash that makes guessing passwords slow.
//!
//! `state = last[32] ‖ initial[32] ‖ salt[16] ‖ count u64 LE`, all but `initial` and `salt` zero at first; 2^20 times
//! `last = SHA-256(state)`, `count += 1`. The key is the final `last`.
//!
//! Source: Kornblum 2009; observed in every volume with a password or recovery password.

use secret::{RecoveryPassword, SecretBytes, SecretString};
use sha2::block_api::compress256;
use zeroize::{Zeroize, Zeroizing};

/// Rounds of SHA-256 for one attempt.
pub const ROUNDS: u64 = 0x10_0000;

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
pub(crate) const SHA256_INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The key that a recovery password stretches to: `initial = SHA-256(16-byte recovery key)`.
#[must_use]
pub fn recovery_password(password: &RecoveryPassword, salt: &[u8; 16]) -> SecretBytes<32> {
    let mut initial = crate::sha256(password.key());
    let key = stretch(&initial, salt, ROUNDS);
    initial.zeroize();
    key
}

/// How many recovery passwords [`recovery_passwords`] stretches at once on this processor.
#[must_use]
pub fn lanes() -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = crate::lanes::Wide::find() {
        return wide.count();
    }
    1
}

/// The keys that many recovery passwords stretch to with one salt, in their order: [`lanes`] of them at a time, side by
/// side, which takes less time than one after the other.
#[must_use]
pub fn recovery_passwords(passwords: &[RecoveryPassword], salt: &[u8; 16]) -> Vec<SecretBytes<32>> {
    many(passwords, salt, ROUNDS)
}

fn many(passwords: &[RecoveryPassword], salt: &[u8; 16], rounds: u64) -> Vec<SecretBytes<32>> {
    let mut keys = Vec::with_capacity(passwords.len());
    for passwords in passwords.chunks(lanes()) {
        let initial =
            Zeroizing::new(passwords.iter().map(|password| crate::sha256(password.key())).collect::<Vec<_>>());
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = crate::lanes::Wide::find() {
            let stretched = wide.stretch(&initial, salt, rounds);
            keys.extend(stretched.iter().map(|key| SecretBytes::from_fn(|bytes| bytes.copy_from_slice(key))));
            continue;
        }
        keys.extend(initial.iter().map(|initial| stretch(initial, salt, rounds)));
    }
    keys
}

/// The key that a password (or a PIN) stretches to: `initial = SHA-256(SHA-256(UTF-16LE text))`, no terminator, no
/// normalization.
#[must_use]
pub fn password(password: &SecretString, salt: &[u8; 16]) -> SecretBytes<32> {
    let mut once = crate::sha256(&password.to_utf16le());
    let mut initial = crate::sha256(&once);
    let key = stretch(&initial, salt, ROUNDS);
    once.zeroize();
    initial.zeroize();
    key
}

/// The iterated hash itself.
///
/// The 88-byte state is two SHA-256 blocks with a padding that never changes, so the rounds call the compression
/// function on prepared blocks instead of going through a hasher.
pub(crate) fn stretch(initial: &[u8; 32], salt: &[u8; 16], rounds: u64) -> SecretBytes<32> {
    let mut blocks = Zeroizing::new([[0_u8; 64]; 2]);
    blocks[0][32..].copy_from_slice(initial);
    blocks[1][..16].copy_from_slice(salt);
    blocks[1][24] = 0x80;
    blocks[1][56..].copy_from_slice(&(88_u64 * 8).to_be_bytes());
    for count in 0..rounds {
        blocks[1][16..24].copy_from_slice(&count.to_le_bytes());
        let mut state = SHA256_INITIAL;
        compress256(&mut state, blocks.as_slice());
        for (word, out) in state.iter().zip(blocks[0].chunks_exact_mut(4)) {
            out.copy_from_slice(&word.to_be_bytes());
        }
    }
    SecretBytes::from_fn(|key| key.copy_from_slice(&blocks[0][..32]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn check(rounds: u64, expected: [u8; 32]) {
        assert_eq!(stretch(&[0; 32], &[0; 16], rounds).expose(), &expected, "{rounds} rounds");
    }

    #[test]
    fn zero_input_after_a_few_rounds() {
        check(1, hex!("10eef285deef7a4b7c82b22aa53589b7833df29de3814649c772bbd5c832f365"));
        check(2, hex!("738285b6d07d0144f6f2286415b8837478cdf7ad8ec2290bbf6ec3b1b5b8d3a7"));
        check(4096, hex!("f6145897ac08772911b531dac2c9841bb78993242b7b246a8964474106669487"));
    }

    #[test]
    fn recovery_password_of_a_windows_volume() {
        let typed = "235818-357951-253979-013365-241120-245575-342914-591910";
        let password = RecoveryPassword::parse(typed).expect("valid");
        let key = recovery_password(&password, &hex!("2ba080989af9b50c203aaebd0b40d498"));
        assert_eq!(key.expose(), &hex!("1a39f926dab83e947fa85125b91e556e9ecc2bc5968924e03de234878d1fd4bd"));
    }

    #[test]
    fn many_at_once_are_each_alone() {
        let passwords: Vec<_> = (0..lanes() + 3).map(|_| RecoveryPassword::random()).collect();
        let keys = many(&passwords, &[7; 16], 100);
        assert_eq!(keys.len(), passwords.len());
        for (password, key) in passwords.iter().zip(keys) {
            assert_eq!(stretch(&crate::sha256(password.key()), &[7; 16], 100).expose(), key.expose());
        }
    }

    #[test]
    fn password_of_a_windows_volume() {
        let key = password(&SecretString::from("anaconda"), &hex!("8d7637cc5d885d5ff4f748dbc8440d2e"));
        assert_eq!(key.expose(), &hex!("37554410c6e0df5b4fe096259f4a21b847338d3e8d8d8d8c30012d1447cca957"));
    }
}
