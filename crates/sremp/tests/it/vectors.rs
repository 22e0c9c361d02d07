//! The test vectors of the profile, or others of the same form (`WAYPOST_VECTORS`).

mod chunks;
mod identity;
mod msgpack;
mod noise;
mod pqxdh;
mod ratchet;
mod selection;
mod verification;

/// The name of the error a case must end with.
fn code<T>(result: Result<T, waypost_sremp::Error>) -> Result<T, &'static str> {
    result.map_err(|error| error.code().name())
}

/// Checks that a result is an error of this name.
fn assert_error<T>(result: Result<T, waypost_sremp::Error>, name: &str, place: &str) {
    match result {
        Ok(_) => panic!("{place}: {name} expected, but it went well"),
        Err(error) => assert_eq!(error.code().name(), name, "{place}: {error}"),
    }
}
