//! What can go wrong with secrets at rest.

use std::{io, path::PathBuf};
use waypost_core::{ErrorKind, HasKind};

/// Why a keyring or a sealed container could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is there already, and is not overwritten.
    #[error("{0} exists already; move it away or choose another folder")]
    Exists(PathBuf),
    /// There is no such file.
    #[error("{0} does not exist")]
    NotFound(PathBuf),
    /// The operating system said no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is whole, but this passphrase does not open it.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// A passphrase of no characters; see [`crate::Passphrase::empty`].
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The content is not what was once written; only a backup or the words help.
    #[error("the content is damaged ({0}); restore it from a backup or from the recovery words")]
    Damaged(&'static str),
    /// It is no sealed container at all.
    #[error("this is not a file of Waypost's")]
    NotSealed,
    /// A later version of this program wrote it.
    #[error("it was written in format {found}, this version reads up to {known}; use a newer version")]
    Newer {
        /// The format of the content.
        found: u8,
        /// The newest format this version knows.
        known: u8,
    },
    /// It was sealed for something else.
    #[error("this is a {found}, not a {wanted}")]
    OtherPurpose {
        /// What it was sealed for.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The words are not the words of a root.
    #[error("these are not recovery words: {0}")]
    BadWords(String),
    /// A bound of this crate was reached.
    #[error("{0}")]
    Limit(&'static str),
    /// There is not memory enough to derive the key.
    #[error("not enough memory to open or seal ({mib} MiB are needed)")]
    Memory {
        /// How much the key derivation asks for.
        mib: u32,
    },
}

impl Error {
    pub(crate) fn check_format(found: u8, known: u8) -> Result<(), Self> {
        match found {
            0 => Err(Self::Damaged("it has no format")),
            _ if found > known => Err(Self::Newer { found, known }),
            _ => Ok(()),
        }
    }

    pub(crate) fn io(what: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound if what != "create" => Self::NotFound(path.to_owned()),
            io::ErrorKind::AlreadyExists => Self::Exists(path.to_owned()),
            _ => Self::Io { what, path: path.to_owned(), source },
        }
    }
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists(_) => ErrorKind::Conflict,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Io { .. } | Self::Memory { .. } | Self::Damaged(_) => ErrorKind::Environment,
            Self::WrongPassphrase | Self::EmptyPassphrase => ErrorKind::Locked,
            Self::NotSealed | Self::Newer { .. } | Self::OtherPurpose { .. } | Self::BadWords(_) | Self::Limit(_) => {
                ErrorKind::BadInput
            }
        }
    }
}
