//! The global log against the documents' examples, a tree made by the letter of RFC 6962, and other implementations.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use hex_literal::hex;
use proptest::prelude::*;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles as tlog;
use vault_protocol::audit::entry_hash;
use vault_protocol::log::{
    Checkpoint, Edge, Hash, InclusionProof, Note, NoteError, ProofError, Tile, TileId, Tiles, VerifierKey,
    consistency_spans, empty_root, inclusion_spans, is_consistent, is_included, log_name, node_hash, note_key_id,
    root_spans, signature_line,
};
use vault_protocol::{FixedBytes, PublicKey};

/// MTH of RFC 6962, section 2.1, word by word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut middle = 1;
            while middle * 2 < leaves.len() {
                middle *= 2;
            }
            node_hash(&naive_root(&leaves[..middle]), &naive_root(&leaves[middle..]))
        }
    }
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| entry_hash(&n.to_be_bytes())).collect()
}

/// The first `size` leaves.
fn first(leaves: &[Hash], size: u64) -> &[Hash] {
    &leaves[..usize::try_from(size).unwrap()]
}

fn leaf(leaves: &[Hash], index: u64) -> &Hash {
    &leaves[usize::try_from(index).unwrap()]
}

/// A tree grown in steps, as a service does it, with its tiles.
struct Grown {
    tiles: BTreeMap<TileId, Tile>,
    size: u64,
}

impl Grown {
    fn of(leaves: &[Hash]) -> Self {
        let mut grown = Self { tiles: BTreeMap::new(), size: 0 };
        grown.grow(leaves);
        grown
    }

    fn grow(&mut self, leaves: &[Hash]) -> Hash {
        let mut edge = Edge::new(self.size, |id| self.tiles.get(&id).cloned()).unwrap();
        for leaf in leaves {
            edge.push(*leaf);
        }
        self.size = edge.size();
        let root = edge.root();
        for (id, tile) in edge.into_changed() {
            let before = self.tiles.insert(id, tile.clone());
            let before = before.map(|tile| tile.hashes().to_vec()).unwrap_or_default();
            assert!(tile.hashes().starts_with(&before), "tiles only grow");
        }
        root
    }

    /// The tiles as they travel.
    fn tiles(&self) -> Tiles {
        let mut tiles = Tiles::default();
        for (id, tile) in &self.tiles {
            tiles.insert(*id, Tile::parse(&tile.to_bytes()).unwrap());
        }
        tiles
    }
}

/// The tree as the other implementation stores it.
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

fn stored(leaves: &[Hash]) -> Stored {
    let mut stored = Stored(Vec::new());
    for (n, leaf) in (0..).zip(leaves) {
        let new = tlog::stored_hashes_for_record_hash(n, tlog::Hash(*leaf), &stored).unwrap();
        stored.0.extend(new);
    }
    stored
}

fn theirs(path: &[Hash]) -> Vec<tlog::Hash> {
    path.iter().map(|hash| tlog::Hash(*hash)).collect()
}

#[test]
fn the_known_trees_of_certificate_transparency() {
    let inputs: [&[u8]; 8] = [
        b"",
        &hex!("00"),
        &hex!("10"),
        &hex!("2021"),
        &hex!("3031"),
        &hex!("40414243"),
        &hex!("5051525354555657"),
        &hex!("606162636465666768696a6b6c6d6e6f"),
    ];
    let roots = [
        hex!("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        hex!("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        hex!("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        hex!("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        hex!("4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        hex!("76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        hex!("ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        hex!("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];
    assert_eq!(empty_root(), hex!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    let mut grown = Grown::of(&[]);
    for (input, root) in inputs.iter().zip(roots) {
        assert_eq!(grown.grow(&[entry_hash(input)]), root);
    }
    // The audit paths and consistency proofs of the example tree in RFC 6962, section 2.1.3.
    let d: Vec<Hash> = inputs[..7].iter().map(|input| entry_hash(input)).collect();
    let (g, h, i) = (node_hash(&d[0], &d[1]), node_hash(&d[2], &d[3]), node_hash(&d[4], &d[5]));
    let (j, k, l) = (d[6], node_hash(&g, &h), node_hash(&i, &d[6]));
    let tiles = grown.tiles();
    assert_eq!(tiles.inclusion(0, 7).unwrap(), [d[1], h, l]);
    assert_eq!(tiles.inclusion(3, 7).unwrap(), [d[2], g, l]);
    assert_eq!(tiles.inclusion(4, 7).unwrap(), [d[5], j, k]);
    assert_eq!(tiles.inclusion(6, 7).unwrap(), [i, k]);
    assert_eq!(tiles.consistency(3, 7).unwrap(), [d[2], d[3], g, l]);
    assert_eq!(tiles.consistency(4, 7).unwrap(), [l]);
    assert_eq!(tiles.consistency(6, 7).unwrap(), [i, j, k]);
}

#[test]
fn every_inclusion_proof_of_every_small_tree_is_good_for_one_leaf() {
    let all = leaves(40);
    let (tiles, judge) = (Grown::of(&all).tiles(), stored(&all));
    for size in 0..=40 {
        let root = naive_root(first(&all, size));
        let hashes = tiles.hashes(&root_spans(size)).unwrap();
        assert_eq!(hashes.first().copied().unwrap_or_else(empty_root), root);
        for index in 0..size {
            let path = tiles.inclusion(index, size).unwrap();
            let leaf = leaf(&all, index);
            assert!(is_included(leaf, index, size, &path, &root));
            tlog::check_record(&theirs(&path), size, tlog::Hash(root), index, tlog::Hash(*leaf)).unwrap();
            assert_eq!(tlog::prove_record(size, index, &judge).unwrap(), theirs(&path));
            for other in (0..size + 2).filter(|other| *other != index) {
                assert!(!is_included(leaf, other, size, &path, &root), "{index} as {other} of {size}");
            }
            assert!(!is_included(&leaf.map(|byte| byte ^ 1), index, size, &path, &root));
            assert!(!is_included(leaf, index, size, &path, &root.map(|byte| byte ^ 1)));
            assert!(!is_included(leaf, index, size, &[&path[..], &[*leaf]].concat(), &root));
            if let Some((_, shorter)) = path.split_last() {
                assert!(!is_included(leaf, index, size, shorter, &root));
            }
        }
    }
}

#[test]
fn every_consistency_proof_of_every_small_tree_is_good_for_one_pair() {
    let all = leaves(40);
    let (tiles, judge) = (Grown::of(&all).tiles(), stored(&all));
    let root = |size: u64| naive_root(first(&all, size));
    for size in 0..=40 {
        for old in 0..=size {
            let path = tiles.consistency(old, size).unwrap();
            assert!(is_consistent((old, &root(old)), (size, &root(size)), &path), "{old} in {size}");
            let wrong = root(old).map(|byte| byte ^ 0x80);
            assert!(!is_consistent((old, &wrong), (size, &root(size)), &path), "{old} in {size}");
            if old == 0 {
                continue;
            }
            let (new_root, old_root) = (tlog::Hash(root(size)), tlog::Hash(root(old)));
            tlog::check_tree(&theirs(&path), size, new_root, old, old_root).unwrap();
            assert_eq!(tlog::prove_tree(size, old, &judge).unwrap(), theirs(&path));
            if old < size {
                assert!(!is_consistent((old, &root(old)), (size, &wrong), &path));
                assert!(!is_consistent((size, &root(size)), (old, &root(old)), &path), "no way back");
                assert!(!is_consistent((old, &root(old)), (size, &root(size)), &path[1..]));
                let longer = [&path[..], &[wrong]].concat();
                assert!(!is_consistent((old, &root(old)), (size, &root(size)), &longer));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Trees over several levels of tiles, grown in steps of any size.
    #[test]
    fn tiles_give_the_same_trees(steps in prop::collection::vec(1_usize..40_000, 1..4), picks in any::<[u32; 6]>()) {
        let all = leaves(steps.iter().sum());
        let mut grown = Grown::of(&[]);
        let mut begin = 0;
        for step in steps {
            let root = grown.grow(&all[begin..begin + step]);
            begin += step;
            prop_assert_eq!(root, naive_root(&all[..begin]));
        }
        let (tiles, size, root) = (grown.tiles(), grown.size, naive_root(&all));
        for pick in picks {
            let index = u64::from(pick) % size;
            let needed = Tiles::needed(&inclusion_spans(index, size));
            prop_assert!(needed.len() <= 6 && needed.iter().all(|id| id.width(size) > 0));
            let path = tiles.inclusion(index, size).unwrap();
            let leaf = leaf(&all, index);
            prop_assert!(is_included(leaf, index, size, &path, &root));
            tlog::check_record(&theirs(&path), size, tlog::Hash(root), index, tlog::Hash(*leaf)).unwrap();

            let old = index + 1;
            let old_root = naive_root(first(&all, old));
            prop_assert!(Tiles::needed(&consistency_spans(old, size)).len() <= 12);
            let path = tiles.consistency(old, size).unwrap();
            prop_assert!(is_consistent((old, &old_root), (size, &root), &path));
            tlog::check_tree(&theirs(&path), size, tlog::Hash(root), old, tlog::Hash(old_root)).unwrap();
        }
    }

    #[test]
    fn hostile_proofs_end(
        leaf: [u8; 32], index: u64, size: u64, old: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..80),
    ) {
        prop_assert!(!is_included(&leaf, index, size, &path, &[7; 32]));
        prop_assert!(!is_consistent((old.max(1), &leaf), (size, &[7; 32]), &path));
        for level in 0..=255 {
            let tile = TileId { level, index };
            prop_assert!(tile.width(size) <= 256);
        }
        let _ = (inclusion_spans(index, size), consistency_spans(old, size), Edge::tiles(size % (1 << 48)));
    }

    #[test]
    fn paths_of_tiles_read_back(level in 0_u8..6, index in 0_u64..1 << 48, width in 1_u64..=256) {
        let id = TileId { level, index };
        let path = id.path(width);
        prop_assert_eq!(TileId::parse(path.strip_prefix("tile/").unwrap()), Some((id, width)));
        let judge = tlog::Tile::new(8, level, index, u32::try_from(width).unwrap(), false);
        prop_assert_eq!(judge.path(), path.replacen("tile/", "tile/8/", 1));
    }
}

#[test]
fn other_paths_are_no_tiles() {
    assert_eq!(TileId { level: 1, index: 1_234_067 }.path(256), "tile/1/x001/x234/067");
    for bad in [
        "",
        "0",
        "0/",
        "0/0",
        "0/00",
        "0/0000",
        "0/001.p/0",
        "0/001.p/256",
        "0/001.p/01",
        "0/001.p/",
        "0/x001/1",
        "0/001/001",
        "0/x000/001",
        "6/000",
        "00/000",
        "-1/000",
        "+1/000",
        "0/x001/x234/x067",
        "0/001/",
        "/0/001",
        "0/001.p/5/",
        "0/001.p/5.p/5",
        "0/../001",
        "0/0x1",
        "0/x999/x999/x999/x999/x999/x999/999",
        "entries/000",
        "0/x281/x474/x976/x710/656",
    ] {
        assert_eq!(TileId::parse(bad), None, "{bad}");
    }
    for (bytes, good) in [(0, false), (31, false), (32, true), (33, false), (64, true), (8192, true), (8224, false)] {
        assert_eq!(Tile::parse(&vec![0; bytes]).is_some(), good, "{bytes}");
    }
}

#[test]
fn the_example_note_of_the_documents() {
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let key = VerifierKey::parse(text).unwrap();
    assert_eq!((key.to_text().as_str(), key.name()), (text, "PeterNeumann"));
    let note = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\n\
                \u{2014} PeterNeumann \
                x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    assert_eq!(Note::parse(note).unwrap().verify(&key), Ok(0));
    let other = note.replace("your problem is", "your problem was");
    assert_eq!(Note::parse(&other).unwrap().verify(&key), Err(NoteError::Signature));
    for bad in [
        text.replace("20a3", "20a4"),
        text.replace("10TW", "10"),
        text.replace("PeterN", "Peter N"),
        text.replace("PeterNeumann", ""),
        text.replace("+ARpc", "+AxpC"),
        String::new(),
    ] {
        assert_eq!(VerifierKey::parse(&bad), None, "{bad}");
    }
}

const ORIGIN: &str = "keys.example.org/log";

fn log_key() -> (SigningKey, PublicKey) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = PublicKey::Ed25519(FixedBytes(key.verifying_key().to_bytes()));
    (key, public)
}

fn signed(checkpoint: &Checkpoint) -> String {
    let (key, public) = log_key();
    let text = checkpoint.to_text();
    let line = signature_line(&checkpoint.origin, public.bytes(), &key.sign(text.as_bytes()).to_bytes());
    format!("{text}\n{line}")
}

fn checkpoint(size: u64) -> Checkpoint {
    let root = naive_root(&leaves(usize::try_from(size).unwrap()));
    Checkpoint { origin: ORIGIN.to_owned(), size, root }
}

#[test]
fn checkpoints_are_read_by_others_and_by_us() {
    assert_eq!(log_name("https://keys.example.org"), ORIGIN);
    let (_, public) = log_key();
    let (checkpoint, key) = (checkpoint(5), VerifierKey::of_log(ORIGIN, &public).unwrap());
    let note = signed(&checkpoint);
    assert_eq!(Note::parse(&note).unwrap().checkpoint(ORIGIN, &public), Ok(checkpoint.clone()));

    let judge = StandardVerifier::new(&key.to_text()).unwrap();
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let (good, rest) = theirs.verify(&VerifierList::new(vec![Box::new(judge)])).unwrap();
    assert_eq!((good.len(), rest.len()), (1, 0));
    let parsed = tlog::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((parsed.origin(), parsed.size(), parsed.hash().0), (ORIGIN, 5, checkpoint.root));
}

#[test]
fn witnesses_may_sign_too() {
    let (_, public) = log_key();
    let witness = SigningKey::from_bytes(&[9; 32]);
    let witness_pk = witness.verifying_key().to_bytes();
    let name = "witness.example.org/w1";
    let id = note_key_id(name, 4, &witness_pk);
    let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    let key = encode(&[&[4][..], &witness_pk].concat());
    let witness_key = VerifierKey::parse(&format!("{name}+{}+{key}", data_encoding::HEXLOWER.encode(&id))).unwrap();
    let line = |time: u64, said: u64, text: &str| {
        let signature = witness.sign(format!("cosignature/v1\ntime {said}\n{text}").as_bytes()).to_bytes();
        format!("\u{2014} {name} {}\n", encode(&[&id[..], &time.to_be_bytes(), &signature].concat()))
    };
    let (checkpoint, note) = (checkpoint(9), signed(&checkpoint(9)));
    let text = checkpoint.to_text();
    let parsed = Note::parse(&format!("{note}{}", line(1_700_000_000, 1_700_000_000, &text))).unwrap();
    assert_eq!(parsed.checkpoint(ORIGIN, &public), Ok(checkpoint));
    assert_eq!(parsed.verify(&witness_key), Ok(1_700_000_000));
    assert_eq!(Note::parse(&note).unwrap().verify(&witness_key), Err(NoteError::Unsigned));
    for forged in [line(1_700_000_001, 1_700_000_000, &text), line(1, 1, "another text\n")] {
        assert_eq!(Note::parse(&format!("{note}{forged}")).unwrap().verify(&witness_key), Err(NoteError::Signature));
    }
}

#[test]
fn other_notes_are_no_checkpoints() {
    let (_, public) = log_key();
    let note = signed(&checkpoint(5));
    let read = |note: &str| Note::parse(note).and_then(|parsed| parsed.checkpoint(ORIGIN, &public));
    let elsewhere = signed(&Checkpoint { origin: "elsewhere.example.org/log".to_owned(), ..checkpoint(5) });
    assert_eq!(read(&elsewhere), Err(NoteError::Origin));
    let other = PublicKey::Ed25519(FixedBytes(SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes()));
    assert_eq!(Note::parse(&note).unwrap().checkpoint(ORIGIN, &other), Err(NoteError::Unsigned));
    assert_eq!(read(&note.replace("\n5\n", "\n6\n")), Err(NoteError::Signature));
    for malformed in [
        String::new(),
        "\n\n".to_owned(),
        note.trim_end().to_owned(),
        note.replace("\n\n", "\n"),
        note.replace("\n5\n", "\n05\n"),
        note.replace("\n5\n", "\n+5\n"),
        note.replace("\n5\n", "\n-5\n"),
        note.replace("\n5\n", "\n281474976710657\n"),
        note.replace("=\n\n", "\n\n"),
        note.replace('\u{2014}', "-"),
        note.replace(ORIGIN, ""),
        note.replace('\n', "\r\n"),
        format!("{note}\u{2014} x y\n"),
        format!("{note}{}", "x".repeat(20_000)),
        format!("{note}{}", &note[note.find('\u{2014}').unwrap()..]),
    ] {
        assert_eq!(read(&malformed), Err(NoteError::Malformed), "{malformed:?}");
    }
}

#[test]
fn a_proof_is_a_text_that_proves_one_leaf() {
    let (_, public) = log_key();
    let all = leaves(9);
    let path = Grown::of(&all).tiles().inclusion(6, 9).unwrap();
    let proof = InclusionProof { index: 6, path, note: signed(&checkpoint(9)) };
    let text = proof.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 6\n"), "{text}");
    assert_eq!(InclusionProof::parse(&text), Ok(proof.clone()));
    let extra = text.replace("index 6", "extra AAAA\nindex 6");
    assert_eq!(InclusionProof::parse(&extra), Ok(proof.clone()));
    assert_eq!(proof.verify(&all[6], ORIGIN, &public).map(|checkpoint| checkpoint.size), Ok(9));
    assert_eq!(proof.verify(&all[5], ORIGIN, &public), Err(ProofError::Path));
    let moved = InclusionProof { index: 5, ..proof.clone() };
    assert_eq!(moved.verify(&all[6], ORIGIN, &public), Err(ProofError::Path));
    let unsigned = InclusionProof { note: proof.note.replace("\n9\n", "\n8\n"), ..proof };
    assert_eq!(unsigned.verify(&all[6], ORIGIN, &public), Err(ProofError::Note(NoteError::Signature)));
    for bad in [
        String::new(),
        text.replace("@v1", "@v2"),
        text.replace("index 6", "index 06"),
        text.replace("index 6", "index -6"),
        text.replace("index 6\n", ""),
        text.replacen("=\n", "\n", 1),
        text.replace("index 6\n", &format!("index 6\n{}", format!("{}=\n", "A".repeat(43)).repeat(64))),
    ] {
        assert_eq!(InclusionProof::parse(&bad), Err(ProofError::Malformed), "{bad}");
    }
}
