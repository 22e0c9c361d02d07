//! Certificates and keys in files.

use crate::Error;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// The name in a certificate that is known by its key alone.
const NAME: &str = "rendezvous.invalid";

pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    match found {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(Error::certificate(file, &"there is no certificate in it")),
        Err(error) => Err(Error::certificate(file, &error)),
    }
}

pub(super) fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
        pem::Error::NoItemsFound => Error::certificate(file, &"there is no private key in it"),
        error => Error::certificate(file, &error),
    })
}

/// Makes a key and a certificate, both in one file that only its owner can read. AWS-LC draws the key.
pub(super) fn make_unless_there(file: &Path) -> Result<(), Error> {
    if file.try_exists().map_err(|error| Error::certificate(file, &error))? {
        return Ok(());
    }
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]);
    let made = made.map_err(|error| Error::certificate(file, &error))?;
    let text = Zeroizing::new([made.cert.pem(), made.signing_key.serialize_pem()].concat());
    write(file, text.as_bytes()).map_err(|error| Error::certificate(file, &error))
}

/// All of it or nothing, also after a loss of power.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(draft)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(draft, file)?;
    sync_folder(file)
}

/// Makes the name durable too; only Unix lets a folder be synced.
fn sync_folder(file: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tls::ServerTls;
    use std::fs;

    #[test]
    fn keeps_a_certificate_of_its_own_making_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rendezvous.pem");
        let made = ServerTls::self_signed(&file).unwrap();
        assert_eq!(ServerTls::self_signed(&file).unwrap().id(), made.id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
        let other = ServerTls::self_signed(&folder.path().join("other.pem")).unwrap();
        assert_ne!(other.id(), made.id());
    }

    #[test]
    fn says_which_file_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let (file, empty) = (folder.path().join("a.pem"), folder.path().join("empty.pem"));
        ServerTls::self_signed(&file).unwrap();
        fs::write(&empty, "nothing").unwrap();
        let missing = folder.path().join("missing.pem");
        for (chain, key, wrong) in
            [(&empty, &file, "empty.pem"), (&file, &empty, "empty.pem"), (&missing, &file, "missing.pem")]
        {
            let error = ServerTls::from_pem_files(chain, key).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        let other = folder.path().join("other.pem");
        ServerTls::self_signed(&other).unwrap();
        assert!(ServerTls::from_pem_files(&file, &other).is_err(), "the key of another certificate");
    }
}
