use crate::{keyring, passphrase, rng};
use std::{fs, path::Path};
use waypost_core::{ErrorKind, HasKind};
use waypost_keyring::{Error, KdfCost, Keyring, Passphrase, sealed};
use zeroize::Zeroizing;

const COST: KdfCost = KdfCost::DANGER_FAST;

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn opens_with_the_passphrase_it_was_created_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let mut keyring = keyring();
    keyring.set_slot("muttr/pgp", Zeroizing::new(b"a key".to_vec())).unwrap();
    keyring.create(&path, &passphrase(), COST, &mut rng()).unwrap();
    let opened = Keyring::open(&path, &passphrase()).unwrap();
    assert_eq!(*opened.export(), *keyring.export());
    assert_eq!(opened.slot("muttr/pgp"), Some(&b"a key"[..]));
    assert_eq!(names(folder.path()), ["keyring"], "nothing else is left in the folder");
}

#[cfg(unix)]
#[test]
fn is_read_by_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    keyring().create(&path, &passphrase(), COST, &mut rng()).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    keyring().save(&path, &passphrase(), COST, &mut rng()).unwrap();
    assert_eq!(mode(), 0o600, "also after it is saved again");
}

#[test]
fn is_created_only_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    fs::write(&path, "precious").unwrap();
    let error = keyring().create(&path, &passphrase(), COST, &mut rng()).unwrap_err();
    assert!(matches!(error, Error::Exists(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(names(folder.path()), ["keyring"]);
}

#[cfg(unix)]
#[test]
fn is_not_created_through_a_dangling_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(keyring().create(&path, &passphrase(), COST, &mut rng()), Err(Error::Exists(_))));
    assert_eq!(names(folder.path()), ["keyring"]);
}

#[test]
fn is_replaced_at_once_with_another_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let mut keyring = keyring();
    keyring.create(&path, &passphrase(), COST, &mut rng()).unwrap();
    keyring.rotate_noise(crate::T0);
    let other = Passphrase::new("battery staple").unwrap();
    keyring.save(&path, &other, COST, &mut rng()).unwrap();
    assert!(matches!(Keyring::open(&path, &passphrase()), Err(Error::WrongPassphrase)));
    assert_eq!(*Keyring::open(&path, &other).unwrap().export(), *keyring.export());
    assert_eq!(names(folder.path()), ["keyring"]);
}

#[test]
fn tells_apart_what_can_be_wrong_with_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let open = || Keyring::open(&path, &passphrase()).unwrap_err();
    assert!(matches!(open(), Error::NotFound(_)));

    keyring().create(&path, &passphrase(), COST, &mut rng()).unwrap();
    let whole = fs::read(&path).unwrap();
    let wrong = Keyring::open(&path, &Passphrase::empty()).unwrap_err();
    assert!(matches!(wrong, Error::WrongPassphrase));
    assert_eq!(wrong.kind(), ErrorKind::Locked);

    fs::write(&path, "something else altogether, and quite long as well").unwrap();
    assert!(matches!(open(), Error::NotSealed));

    let mut newer = whole.clone();
    newer[8] = 2;
    fs::write(&path, &newer).unwrap();
    assert!(matches!(open(), Error::Newer { found: 2, known: 1 }));

    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(open(), Error::Damaged(_)));

    fs::write(&path, vec![0; 5 << 20]).unwrap();
    assert!(matches!(open(), Error::NotSealed));

    let backup = sealed::seal(b"letters", &passphrase(), COST, &mut rng(), "backup").unwrap();
    fs::write(&path, backup).unwrap();
    assert!(matches!(open(), Error::OtherPurpose { .. }));
    assert_eq!(open().to_string(), "this is a backup, not a keyring");
}

#[test]
fn holds_no_secret_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let mut rng = rng();
    let keyring = Keyring::generate(&mut rng, crate::T0);
    keyring.create(&path, &passphrase(), COST, &mut rng).unwrap();
    let bytes = fs::read(&path).unwrap();
    let secrets = [keyring.identity_secret(), keyring.noise_secret(), keyring.dr_secret(), keyring.database_key()];
    for secret in secrets.into_iter().chain([&keyring.export()[1..33].try_into().unwrap()]) {
        assert!(!bytes.windows(8).any(|window| window == &secret[..8]));
    }
    assert_eq!(format!("{keyring:?} {:?}", passphrase()), "Keyring(..) Passphrase(..)");
}
