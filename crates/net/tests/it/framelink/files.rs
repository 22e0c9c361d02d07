//! Keys and blocks on disk.

use super::psk;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use waypost_framelink::{Block, Fault, Role};
use waypost_net::{Error, KeyFault};
use waypost_net::{Perms, framelink};

fn fault<T>(result: Result<T, Error>) -> Option<Fault> {
    match result {
        Err(Error::KeyFile { reason: KeyFault::Content(fault), .. }) => Some(fault),
        _ => None,
    }
}

/// FL-7.2
#[test]
fn a_key_file_is_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("link.psk");
    framelink::write_psk(&file, &psk(1)).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(framelink::read_psk(&file).unwrap() == psk(1));
    assert!(framelink::write_psk(&file, &psk(2)).is_err());
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    assert_eq!(fault(framelink::read_psk(&file)), Some(Fault::Perms));
    assert!(framelink::read_psk_with(&file, Perms::Any).is_ok());
}

/// FL-5.1: a block is used once in each role.
#[test]
fn a_block_is_taken_once_in_each_role() {
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (folder.path().join("block"), folder.path().join("state"));
    framelink::write_block(&file, &Block::generate(&mut rand::rng())).unwrap();
    let take = |role| framelink::take_block(&file, role, &state, Perms::OwnersOnly);
    assert!(take(Role::Top).is_ok());
    assert_eq!(fault(take(Role::Top)), Some(Fault::BlockUsed));
    assert!(take(Role::Bottom).is_ok());
    assert_eq!(fault(take(Role::Bottom)), Some(Fault::BlockUsed));
    let entry = fs::read_dir(state.join("framelink/used-blocks")).unwrap().next().unwrap().unwrap();
    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(entry.file_name().to_str().unwrap().split_once('.').unwrap().0.len(), 64);
}
