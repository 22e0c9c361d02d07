//! The kept inputs of every target, as ordinary tests.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by a panic")]

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use waypost_fuzz_targets::TARGETS;

/// The folder `fuzz`.
fn fuzz() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).parent().unwrap().to_path_buf()
}

/// The names in a folder, without what follows a dot.
fn stems(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_kept_input_is_taken_without_a_panic() {
    for (name, target) in TARGETS {
        let folder = fuzz().join("corpus").join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let file = entry.unwrap().path();
            // Shown only when the test fails: the last line names the input.
            println!("{}", file.display());
            target(&fs::read(file).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", folder.display());
    }
}

#[test]
fn every_target_has_its_wrapper_its_binary_and_its_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "a name stands twice");
    assert_eq!(stems(&fuzz().join("fuzz_targets")), names, "fuzz/fuzz_targets");
    assert_eq!(stems(&fuzz().join("corpus")), names, "fuzz/corpus");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &names {
        let path = format!("path = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&path), "fuzz/Cargo.toml lacks {path}");
        let wrapper = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(wrapper.contains(&format!("waypost_fuzz_targets::{name}(data)")), "fuzz_targets/{name}.rs");
    }
}

#[test]
fn the_conversation_of_the_ratchet_target_is_taken_in_any_order() {
    let (mut ratchet, mut blobs) = waypost_fuzz_targets::ratchet::conversation().unwrap();
    blobs.reverse();
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    for (id, blob) in blobs {
        ratchet.decrypt(waypost_fuzz_targets::people::NOW, id, &blob, &mut rng).unwrap();
    }
}

#[test]
fn the_blobs_of_the_vault_targets_are_taken() {
    let world = waypost_fuzz_targets::vault::world().unwrap();
    assert_eq!(world.blobs.len(), 3);
    for (sender, id, blob) in &world.blobs {
        assert!(world.open(*sender, *id, blob), "message {id} of sender {sender}");
    }
}
