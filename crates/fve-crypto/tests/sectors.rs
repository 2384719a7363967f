//! Every sector cipher against vectors, and as its own inverse.
//!
//! Origin of the vectors: computed from the keys of Windows-made volumes, whose whole plaintext was confirmed by two
//! other implementations; plain byte i = (7·i + floor(i / 256)) mod 256 at volume offset 0x12345000.

#![allow(clippy::unwrap_used, reason = "tests")]

use fve_crypto::{SectorCipher, SectorMethod, sha256};
use hex_literal::hex;

const OFFSET: u64 = 0x1234_5000;
const FVEK_8000: [u8; 64] = hex!(
    "9d2733e172dc85e13e3de5aaa0e0501b8444fe4bcabcca6b137dcc3f9f9300e2"
    "fd22a3f27966c51c94c8e3adce517b6ea013228b03583e8db1254d91786aeafe"
);
const FVEK_8001: [u8; 64] = hex!(
    "9600409badade8e84efc4d7cd6576bf4c10897b49f1499bf37f083cb364a29a3"
    "290f3829c6c74ceae614c261235fcc3d910d53318c677463668d12c83413ec80"
);
const FVEK_8002: [u8; 16] = hex!("6c96f82a942e875f029c3dd9e4351773");
const FVEK_8003: [u8; 32] = hex!("9c3c73a4ad15acccc5020c4100f5c27083664965079cf6b9de1854a176f066ee");
const FVEK_8004: [u8; 32] = hex!("cc493ad40376cf719d3725073d5c1a6ca5759fc4ad179c95572f16c01a260d66");
const FVEK_8005: [u8; 64] = hex!(
    "544548decfcfcfe0ab56d62aa7bd79aa35c9bab3c1d6a1a61dd7dd369e105523"
    "ae0d610d632d3148ce2005f2dec0a49ead19e8806f6c40bcf8482df51e9fe408"
);

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((7 * index + index / 256) % 256).expect("below 256")).collect()
}

fn check(method: SectorMethod, fvek: &[u8], sector_bytes: u32, expected_sha256: [u8; 32]) {
    let cipher = SectorCipher::new(method, fvek, sector_bytes).expect("key and sector size fit");
    let mut sector = plain(sector_bytes as usize);
    cipher.encrypt(OFFSET, &mut sector);
    assert_eq!(sha256(&sector), expected_sha256, "{method:?} {sector_bytes}");
    cipher.decrypt(OFFSET, &mut sector);
    assert_eq!(sector, plain(sector_bytes as usize), "{method:?} {sector_bytes}");
}

#[test]
fn sectors_of_512_bytes() {
    use SectorMethod as M;
    check(M::Cbc128Diffuser, &FVEK_8000, 512, hex!("4e3e585de6c6ce42818feaa37667bdb6781cc52290f95e0c3d5b0441711e8ad1"));
    check(M::Cbc256Diffuser, &FVEK_8001, 512, hex!("be3741ed7f3c638184471015d746b2ee65d15e9f793f26a7cb4e01ea2b482a93"));
    check(M::Cbc128, &FVEK_8002, 512, hex!("03733e85eb7730d738334f8f1b8ba165821276b45d0da0f56470ac872cbcb119"));
    check(M::Cbc256, &FVEK_8003, 512, hex!("cae0a306969a629ea625f53c1a52ee50194b44442d12f6c9336ab8631164bd8a"));
    check(M::Xts128, &FVEK_8004, 512, hex!("a51ff7215057e07285ece2ab60cf826edd7b1dfbee7495d28ee5187b547783c4"));
    check(M::Xts256, &FVEK_8005, 512, hex!("910e12dfafc543926fcced4543096ebfe74fa0af275906136fd19c5b112beebb"));
}

#[test]
fn sectors_of_4096_bytes() {
    use SectorMethod as M;
    check(
        M::Cbc128Diffuser,
        &FVEK_8000,
        4096,
        hex!("105565e1f26dfc126b2a8a3751a2f85b91f587d13dd35358e9fcd0d3fb510161"),
    );
    check(
        M::Cbc256Diffuser,
        &FVEK_8001,
        4096,
        hex!("fa4b2ee94f59bbf89d4a08e4bb6e04d23a37225913778efa5238505e7534c616"),
    );
    check(M::Cbc128, &FVEK_8002, 4096, hex!("12481cd45310a417fc3c0f4633694b2e416a83f0b9591e368e546cd624789968"));
    check(M::Cbc256, &FVEK_8003, 4096, hex!("5a588440b35c4fa50ee252ccb823aa9900b47d52159567e2ca29b152ac4aa6af"));
    check(M::Xts128, &FVEK_8004, 4096, hex!("8fb70bfc492346de15f0b4774b8a092d889b10ffd5898ea053d9a74510c32b11"));
    check(M::Xts256, &FVEK_8005, 4096, hex!("5d9c7a7e5a6ebde3452ccf6c436345e683491480e965b2ba72da8e6b450b4adc"));
}

/// Many sectors in one call give what one call per sector gives, for any count: batches must not show.
#[test]
fn batches_equal_single_sectors() {
    use SectorMethod as M;
    let fvek = FVEK_8001;
    for method in [M::Cbc128Diffuser, M::Cbc256Diffuser, M::Cbc128, M::Cbc256, M::Xts128, M::Xts256] {
        for sector_bytes in [512_u32, 1024, 2048, 4096] {
            let cipher = SectorCipher::new(method, &fvek[..method.key_bytes()], sector_bytes).expect("fits");
            let size = sector_bytes as usize;
            for count in [1_usize, 2, 7, 8, 15, 16, 17, 33, 63, 64, 65, 130] {
                let mut together = plain(size * count);
                cipher.encrypt(OFFSET, &mut together);
                let mut single = plain(size * count);
                for (index, sector) in single.chunks_exact_mut(size).enumerate() {
                    cipher.encrypt(OFFSET + (index * size) as u64, sector);
                }
                assert!(together == single, "encrypt {method:?} {sector_bytes} x {count}");
                cipher.decrypt(OFFSET, &mut together);
                assert!(together == plain(size * count), "decrypt {method:?} {sector_bytes} x {count}");
            }
        }
    }
}

#[test]
fn keys_of_the_wrong_length_are_refused() {
    assert!(SectorCipher::new(SectorMethod::Xts128, &[0; 64], 512).is_err());
    assert!(SectorCipher::new(SectorMethod::Cbc256, &[0; 16], 512).is_err());
    assert!(SectorCipher::new(SectorMethod::Cbc128, &[0; 16], 520).is_err());
}
