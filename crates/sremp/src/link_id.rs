//! What a connection is called between the account and the shell.

/// One connection. Dialled ones are even and named by the engine, accepted ones odd and named by the
/// driver; no name is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl LinkId {
    /// Whether this side dialled it.
    pub const fn is_dialled(self) -> bool {
        self.0 & 1 == 0
    }
}
