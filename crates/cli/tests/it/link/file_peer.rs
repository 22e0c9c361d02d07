//! A side of a file transfer that does not keep to the rules, made of bare links. Whoever holds the key can be one.

use super::Host;
use super::file::receiver;
use crate::people::DEADLINE;
use sha2::{Digest, Sha256};
use std::fs;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use waypost_framelink::{Mode, Settings};
use waypost_net::framelink::{Link, Message, read_psk};

const OFFER: u32 = 0x5746_0001;
const ACCEPT: u32 = 0x5746_0002;
const START: u32 = 0x5746_0003;
const GO: u32 = 0x5746_0004;
const END: u32 = 0x5746_0005;
const DONE: u32 = 0x5746_0006;
const REFUSE: u32 = 0x5746_0007;

/// Somebody at the other end.
struct Peer(Link);

impl Peer {
    async fn connect(host: &Host, to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let psk = read_psk(&host.file("key")).unwrap();
        let link = Link::connect(stream, psk, Mode::Hybrid, Settings::default()).unwrap();
        link.opened().await.unwrap();
        Self(link)
    }

    async fn say(&self, code: u32, parts: &[&[u8]]) {
        self.0.send_frame(code, parts.concat()).await.unwrap();
    }

    async fn offer(&self, size: u64, name: &str) {
        self.say(OFFER, &[&[0, 1], &size.to_be_bytes(), name.as_bytes()]).await;
    }

    async fn start(&self, offset: u64, before: &[u8]) {
        self.say(START, &[&offset.to_be_bytes(), &Sha256::digest(before)]).await;
    }

    async fn hear(&self, code: u32) -> Vec<u8> {
        let heard = timeout(DEADLINE, self.0.recv()).await.expect("nothing is said").unwrap();
        let Message { code: came, payload } = heard.expect("it closed");
        assert_eq!(came, code, "{}", String::from_utf8_lossy(&payload));
        payload
    }

    /// The whole of a small file.
    async fn send(&self, name: &str, bytes: &[u8]) {
        self.offer(bytes.len() as u64, name).await;
        assert_eq!(self.hear(ACCEPT).await, [0; 8]);
        self.start(0, b"").await;
        self.hear(GO).await;
        self.0.send(bytes).await.unwrap();
        self.say(END, &[&Sha256::digest(bytes)]).await;
        self.hear(DONE).await;
        self.0.close();
    }
}

/// No name leaves the folder, hides, or is an option.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_is_a_harmless_file() {
    let host = Host::new().await;
    for (name, is) in [
        ("../../../escaped", "__.._.._escaped"),
        ("/tmp/escaped", "_tmp_escaped"),
        ("..", "_"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("a\0b\x1b[2J\n", "a_b_[2J"),
        ("invoice\u{202e}fdp.sh", "invoice_fdp.sh"),
        (".f.waypost-part", "_f.waypost-part"),
        (&"ü".repeat(400), &"ü".repeat(100)),
    ] {
        let (receiving, address) = receiver(&host, &[]).await;
        let peer = Peer::connect(&host, address).await;
        peer.send(name, b"content").await;
        let ended = receiving.end().await;
        assert_eq!(ended.code, 0, "{name:?}: {ended:?}");
        let found: Vec<_> = fs::read_dir(host.file("in"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(found, [is], "{name:?}");
        assert!(!ended.said.contains(['\x1b', '\u{202e}']), "{ended:?}");
        fs::remove_file(host.file("in").join(is)).unwrap();
    }
    assert!(!host.file("escaped").exists());
}

/// A link that somebody put in the folder is not followed.
#[tokio::test(flavor = "multi_thread")]
async fn no_symbolic_link_is_followed() {
    let host = Host::new().await;
    fs::create_dir(host.file("in")).unwrap();
    fs::write(host.file("precious"), b"keep").unwrap();
    std::os::unix::fs::symlink(host.file("precious"), host.file("in/.f.waypost-part")).unwrap();
    std::os::unix::fs::symlink(host.file("nowhere"), host.file("in/g")).unwrap();
    for name in ["f", "g"] {
        let (receiving, address) = receiver(&host, &[]).await;
        let peer = Peer::connect(&host, address).await;
        peer.offer(4, name).await;
        peer.hear(REFUSE).await;
        peer.0.close();
        receiving.end().await.assert(1, "");
    }
    assert_eq!(fs::read(host.file("precious")).unwrap(), b"keep");
    assert!(!host.file("nowhere").exists());
}

/// Exit 4 and nothing in its place, however the other side lies.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_lies_leaves_no_file() {
    let host = Host::new().await;
    for lie in ["digest", "short", "long", "order", "offset", "garbage"] {
        let (receiving, address) = receiver(&host, &[]).await;
        let peer = Peer::connect(&host, address).await;
        let bytes = b"the content";
        peer.offer(bytes.len() as u64, "f").await;
        peer.hear(ACCEPT).await;
        match lie {
            "order" => peer.say(END, &[&Sha256::digest(bytes)]).await,
            "offset" => peer.start(7, bytes).await,
            "garbage" => peer.say(START, &[&[1, 2, 3]]).await,
            _ => {
                peer.start(0, b"").await;
                peer.hear(GO).await;
                let (sent, told): (&[u8], &[u8]) = match lie {
                    "digest" => (bytes, b"other"),
                    "short" => (&bytes[..5], &bytes[..5]),
                    _ => (b"the content and more", bytes),
                };
                peer.0.send(sent).await.unwrap();
                peer.say(END, &[&Sha256::digest(told)]).await;
            }
        }
        peer.hear(REFUSE).await;
        peer.0.close();
        let ended = receiving.end().await;
        assert_eq!(ended.code, 4, "{lie}: {ended:?}");
        assert!(!host.file("in/f").exists(), "{lie}");
        let _ = fs::remove_file(host.file("in/.f.waypost-part"));
    }
}

/// More than the disk has is refused before a byte of it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_larger_than_the_disk_is_refused_at_once() {
    let host = Host::new().await;
    let (receiving, address) = receiver(&host, &[]).await;
    let peer = Peer::connect(&host, address).await;
    peer.offer(1 << 62, "f").await;
    let refusal = peer.hear(REFUSE).await;
    assert_eq!(refusal[..2], [0, 3]);
    peer.0.close();
    receiving.end().await.assert(1, "the disk has room for");
}

/// Another version, another sort of peer.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_is_told_apart() {
    let host = Host::new().await;
    let (receiving, address) = receiver(&host, &[]).await;
    let peer = Peer::connect(&host, address).await;
    peer.say(OFFER, &[&[0, 2], b"whatever it says"]).await;
    assert_eq!(peer.hear(REFUSE).await[..2], [0, 1]);
    peer.0.close();
    receiving.end().await.assert(6, "speaks version 2");
}

/// The confirmation is lost on the way: the sender comes back and gets it, and only the same file does.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_confirmation_is_given_again() {
    let host = Host::new().await;
    let (receiving, address) = receiver(&host, &[]).await;
    let bytes = b"the content";
    let peer = Peer::connect(&host, address).await;
    peer.offer(11, "f").await;
    peer.hear(ACCEPT).await;
    peer.start(0, b"").await;
    peer.hear(GO).await;
    peer.0.send(bytes).await.unwrap();
    peer.say(END, &[&Sha256::digest(bytes)]).await;
    peer.hear(DONE).await;
    // It dies without having read that.
    peer.0.stop().cancel();
    peer.0.ended().await;
    let again = Peer::connect(&host, address).await;
    again.offer(11, "f").await;
    assert_eq!(again.hear(ACCEPT).await, 11_u64.to_be_bytes());
    again.start(11, bytes).await;
    again.hear(GO).await;
    again.say(END, &[&Sha256::digest(bytes)]).await;
    assert_eq!(again.hear(DONE).await, Sha256::digest(bytes).as_slice());
    again.0.close();
    receiving.end().await.assert(0, "");
    assert_eq!(fs::read(host.file("in/f")).unwrap(), bytes);
}

/// A receiver that lies: the sender does not claim that the file arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_believes_no_other_hash() {
    let host = Host::new().await;
    fs::write(host.file("f"), b"the content").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (lie, words) in
        [("done", "something else than what was sent"), ("offset", "unexpected"), ("offer", "unexpected")]
    {
        let sending = super::file::sender(&host, "f", listener.local_addr().unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        let psk = read_psk(&host.file("key")).unwrap();
        let peer = Peer(Link::accept(stream, vec![psk], vec![Mode::Hybrid], Settings::default()).unwrap());
        assert_eq!(peer.hear(OFFER).await, [&[0, 1, 0, 0, 0, 0, 0, 0, 0, 11][..], b"f"].concat());
        match lie {
            "offset" => peer.say(ACCEPT, &[&12_u64.to_be_bytes()]).await,
            "offer" => peer.offer(3, "mine").await,
            _ => {
                peer.say(ACCEPT, &[&[0; 8]]).await;
                peer.hear(START).await;
                peer.say(GO, &[]).await;
                assert_eq!(peer.hear(0).await, b"the content");
                peer.hear(END).await;
                peer.say(DONE, &[&[1; 32]]).await;
            }
        }
        while peer.0.recv().await.unwrap().is_some() {}
        peer.0.close();
        sending.end().await.assert(4, words);
    }
}
