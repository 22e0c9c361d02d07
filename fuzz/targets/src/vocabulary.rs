//! Decoders of `waypost-core`.

use waypost_core::{Address, SrempAddress};

/// Addresses as a person types them: what is read, reads back the same from what it shows.
pub fn address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(&address));
    }
    if let Ok(address) = text.parse::<SrempAddress>() {
        assert_ne!(address.port, 0);
        assert_eq!(address.to_string().parse::<SrempAddress>().as_ref(), Ok(&address));
    }
}
