//! Tests of the crate through its public interface.

mod fixed_rng;
mod vectors;
