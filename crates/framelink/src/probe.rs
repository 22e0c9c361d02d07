//! Looks at what the public interface hides, for the fuzz targets and the benchmark only.

pub use crate::kernel::{BLOCK, CIPHER_BLOCK, Kernel, Path};
