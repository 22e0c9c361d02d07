//! The test vectors of the profile, or others of the same form (`WAYPOST_VECTORS`).

mod chunks;
mod identity;
mod msgpack;
mod noise;
mod ratchet;
mod selection;
mod verification;

/// The name of the error a case must end with.
fn code<T>(result: Result<T, waypost_sremp::Error>) -> Result<T, &'static str> {
    result.map_err(|error| error.code().name())
}
