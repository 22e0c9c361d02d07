//! Looks at what the public interface hides, for the fuzz targets and the benchmark only.

pub use crate::kernel::{BLOCK, CIPHER_BLOCK, Kernel, Path};

/// One input to all paths of the kernel.
#[derive(Debug)]
pub struct KernelInput<'a> {
    /// K.
    pub key: [u8; 32],
    /// C0.
    pub first_counter: [u8; 16],
    /// Blocks of AES behind C0.
    pub position: u128,
    /// The state of the hash.
    pub state: [u32; 8],
    /// What is sealed, opened and encrypted.
    pub bytes: &'a [u8],
    /// How far the outputs lie from the start of their memory.
    pub shift: usize,
    /// How far the cipher is ahead of the hash; opening it is a block more.
    pub ahead: usize,
}

/// What one path makes of an input. The outputs are longer than it, and filled with [`UNTOUCHED`] before.
#[derive(Debug, PartialEq, Eq)]
pub struct KernelOutcome {
    /// By [`Kernel::seal`].
    pub sealed: Vec<u8>,
    /// The state after it.
    pub sealed_state: [u32; 8],
    /// By [`Kernel::open`].
    pub opened: Vec<u8>,
    /// The state after it.
    pub opened_state: [u32; 8],
    /// By [`Kernel::crypt`].
    pub crypted: Vec<u8>,
}

/// What a byte of an output is that no path has written.
pub const UNTOUCHED: u8 = 0xA5;

impl KernelInput<'_> {
    /// None if this machine cannot go that path.
    pub fn go(&self, path: Path) -> Option<KernelOutcome> {
        let mut kernel = Kernel::with_path(path, &self.key, &self.first_counter)?;
        let output = || vec![UNTOUCHED; self.shift + self.bytes.len() + self.ahead + BLOCK];
        let (mut sealed, mut opened, mut crypted) = (output(), output(), output());
        let (mut sealed_state, mut opened_state) = (self.state, self.state);
        let (plain, place) = (self.bytes.get(self.ahead..).unwrap_or_default(), sealed.get_mut(self.shift..)?);
        kernel.seal(&mut sealed_state, self.position, self.bytes, plain, place);
        let (place, lead) = (opened.get_mut(self.shift..)?, BLOCK + self.ahead);
        kernel.open(&mut opened_state, self.position, place, lead, self.bytes);
        kernel.crypt(self.position, self.bytes, crypted.get_mut(self.shift..)?);
        Some(KernelOutcome { sealed, sealed_state, opened, opened_state, crypted })
    }

    /// # Panics
    /// If a path of this machine does otherwise than the portable one.
    pub fn check(&self) {
        let expected = self.go(Path::Portable);
        for path in Path::available() {
            assert_eq!(self.go(path), expected, "{path:?}");
        }
    }
}
