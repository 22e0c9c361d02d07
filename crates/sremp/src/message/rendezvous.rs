//! Messages between a rendezvous server and its clients. SREMP 7, profile SR-7.1a to SR-7.3.

use crate::{crypto::ed25519::Signature, endpoint::DnsEndpoint, identity::SignedIdentity, msgpack::record};
use waypost_core::{ContactId, Wall};

record! {
    /// REGISTER_REQUEST. SREMP 7.1, profile SR-7.1a.
    pub struct RegisterRequest {
        /// Who.
        pub identity: SignedIdentity,
        /// Where.
        pub endpoint: DnsEndpoint,
        /// For how long, in seconds; 0 means to leave.
        pub ttl_seconds: u32,
        /// Binds all of it to this server.
        pub signature: Signature,
        /// Rises with each registration at this server.
        pub seq: u64,
        /// When it was signed.
        pub issued: Wall,
    }

    /// REGISTER_RESPONSE. SREMP 7.1, profile SR-7.1b.
    pub struct RegisterResponse {
        /// Whether it is registered.
        pub success: bool,
        /// Until when; now, if it is not.
        pub expires_at: Wall,
        /// When to renew, in seconds.
        pub renewal_interval: u32,
        /// The code's name.
        pub error_message: Option<String>,
        /// Why it is not.
        pub error_code: Option<u16>,
    }

    /// LOOKUP_REQUEST. SREMP 7.2, profile SR-7.2b.
    pub struct LookupRequest {
        /// Whom.
        pub target_identity: Option<ContactId>,
        /// Or everybody who wants to be listed.
        pub list_all: bool,
        /// Where the last page ended.
        pub after: Option<ContactId>,
        /// Most entries of a page; absent or 0 means 50.
        pub limit: Option<u16>,
    }

    /// LOOKUP_RESPONSE. SREMP 7.2, profile SR-7.2c.
    pub struct LookupResponse {
        /// Who was found.
        pub peers: Vec<PeerInfo>,
        /// The code's name.
        pub error_message: Option<String>,
        /// Why nobody was.
        pub error_code: Option<u16>,
        /// Where this page ends, if more follow.
        pub next: Option<ContactId>,
    }

    /// PeerInfo. SREMP 7.2, profile SR-7.2d.
    pub struct PeerInfo {
        /// Who.
        pub identity: SignedIdentity,
        /// Where.
        pub endpoint: DnsEndpoint,
        /// When they registered last.
        pub last_seen: Wall,
        /// Whether the registration still holds.
        pub online: bool,
        /// The peer's own signature for the endpoint.
        pub registration: Option<Registration>,
    }

    /// What of a registration a client needs to check the endpoint itself. Profile SR-7.2d.
    pub struct Registration {
        /// As registered.
        pub ttl_seconds: u32,
        /// As registered.
        pub seq: u64,
        /// As registered.
        pub issued: Wall,
        /// The server's id.
        pub server: [u8; 32],
        /// As registered.
        pub signature: Signature,
    }

    /// LIST_SERVERS_REQUEST. SREMP 7.3.
    #[derive(Copy)]
    pub struct ListServersRequest {}

    /// LIST_SERVERS_RESPONSE. SREMP 7.3, profile SR-7.3: suggestions for the user.
    pub struct ListServersResponse {
        /// At most 32.
        pub servers: Vec<ServerAddress>,
        /// The server's clock.
        pub timestamp: Wall,
    }

    /// SocketAddr of the seed.
    pub struct ServerAddress {
        /// A DNS name or an IP address, hopefully.
        pub host: String,
        /// TCP port.
        pub port: u16,
        /// What it is called.
        pub name: Option<String>,
        /// SHA-256 of its public key, the pin.
        pub spki: Option<[u8; 32]>,
    }
}
