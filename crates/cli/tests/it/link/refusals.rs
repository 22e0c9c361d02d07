//! Links that never come to be, and arguments that cannot be. Profile, Tool: exit codes 1 and 2.

use super::Host;
use std::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Exit 2, each in plain words.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_a_link_from_being_is_named() {
    let (host, stranger) = (Host::new().await, Host::new().await);
    let (mut listening, address) = host.listen(&["--mode", "hybrid"]).await;
    stranger.connect(address, &[]).end().await.assert(2, "does not know this key");
    host.connect(address, &["--mode", "psk"]).end().await.assert(2, "does not allow this mode");
    host.connect(address, &["--align", "stream"]).end().await.assert(2, "set differently");
    for words in ["does not know the key", "a mode that is not allowed", "set differently"] {
        let failed = listening.event("failed").await;
        assert!(failed["message"].as_str().unwrap().contains(words), "{failed}");
    }
    // It goes on after all of them.
    let mut good = host.connect(address, &[]);
    good.event("open").await;
    let (good, listened) = tokio::join!(good.end(), listening.end());
    assert_eq!((good.code, listened.code), (0, 0), "{good:?} {listened:?}");
    host.connect(address, &[]).end().await.assert(2, "cannot connect");
}

/// Others that answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_framelink_is_told_apart() {
    let host = Host::new().await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = other.accept().await.unwrap();
            let mut first = [0; 8];
            let _ = stream.read_exact(&mut first).await;
            match number {
                0 => stream.write_all(&first).await.unwrap(),
                1 => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap(),
                _ => {}
            }
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    host.connect(address, &[]).end().await.assert(2, "both sides are the one that connects");
    host.connect(address, &[]).end().await.assert(2, "speaks no framelink");
    host.connect(address, &[]).end().await.assert(2, "closed the connection before");
}

/// The hint of a raw side whose peer is keyed, and both ways of raw sides that do not fit.
#[tokio::test(flavor = "multi_thread")]
async fn raw_sides_that_do_not_fit_say_what_to_look_at() {
    let host = Host::new().await;
    let raw = ["--mode", "raw", "--block-file", "block"];
    let (mut listening, address) = host.listening(&[&["listen", "127.0.0.1:0"], &raw[..]].concat()).await;
    let keyed = host.connect(address, &[]);
    listening.event("warning").await;
    let (listened, keyed) = tokio::join!(listening.end(), keyed.end());
    listened.assert(4, "it speaks psk or hybrid");
    listened.assert(4, "counts as used");
    assert_eq!(keyed.code, 2, "{keyed:?}");

    // Two TOPs, on two machines: each has its ledger.
    assert_eq!(host.run(&["genblock", "twins"]).await.code, 0);
    let raw = ["--mode", "raw", "--block-file", "twins", "--role", "top"];
    let listen = [&["listen", "127.0.0.1:0", "--state-dir", "here"], &raw[..]].concat();
    let (mut listening, address) = host.listening(&listen).await;
    let there = address.to_string();
    let mut connecting = host.start(&[&["connect", &there, "--state-dir", "there"], &raw[..]].concat());
    connecting.write(b"the first frame that cannot be read").await;
    listening.event("warning").await;
    listening.end().await.assert(4, "is one --role top and the other bottom");
}

/// Exit 1
#[tokio::test]
async fn wrong_usage_is_explained() {
    let host = Host::new().await;
    let nowhere = "127.0.0.1:9";
    let listen = "127.0.0.1:0";
    let wrong: [(&[&str], &str); 17] = [
        (&["connect"], "Usage"),
        (&["connect", "nowhere"], "HOST:PORT is needed"),
        (&["listen", "localhost:7777"], "invalid"),
        (&["frobnicate"], "unrecognized"),
        (&["connect", nowhere], "--psk-file is missing"),
        (&["connect", nowhere, "--psk-file", "key", "--psk-file", "key"], "one key"),
        (&["connect", nowhere, "--psk-file", "key", "--mode", "psk,hybrid"], "one mode"),
        (&["listen", listen, "--mode", "raw,psk", "--block-file", "block"], "no other mode"),
        (&["listen", listen, "--mode", "raw"], "--block-file is missing"),
        (&["listen", listen, "--mode", "raw", "--block-file", "block", "--psk-file", "key"], "not for --mode raw"),
        (&["connect", nowhere, "--psk-file", "key", "--role", "top"], "--role is for --mode raw"),
        (&["connect", nowhere, "--psk-file", "key", "--mac-init", "standard"], "is for --mode raw"),
        (&["connect", nowhere, "--psk-file", "key", "--max-frame", "100"], "these numbers cannot be"),
        (&["connect", nowhere, "--psk-file", "key", "--credit", "0"], "these numbers cannot be"),
        (&["send", "key", "--psk-file", "key"], "--connect"),
        (&["send", "nofile", "--psk-file", "key", "--connect", nowhere], "cannot read nofile"),
        (&["receive", "nofolder", "--psk-file", "key", "--connect", nowhere], "is not a folder"),
    ];
    for (args, words) in wrong {
        host.run(args).await.assert(1, words);
    }
    let args = ["send", "key", "--mode", "raw", "--connect", nowhere];
    host.run(&args).await.assert(1, "files do not travel in mode raw");
    let taken = TcpListener::bind(listen).await.unwrap();
    let args = ["listen", &taken.local_addr().unwrap().to_string(), "--psk-file", "key"];
    host.run(&args).await.assert(1, "choose another port");
    // The rest of the program counts otherwise, and help is no failure.
    assert_eq!(crate::people::program(None).arg("frobnicate").output().await.unwrap().status.code(), Some(2));
    assert_eq!(host.command(&["listen", "--help"]).output().await.unwrap().status.code(), Some(0));
}

/// Rule of the manual: text on stderr as text, nothing with --quiet but errors.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_says_nothing_but_errors() {
    let host = Host::new().await;
    let (listening, address) = host.listen(&[]).await;
    fs::write(host.file("input"), b"some").unwrap();
    let to = address.to_string();
    let mut command = host.command(&["connect", &to, "--psk-file", "key", "-q"]);
    let quiet = command.stdin(fs::File::open(host.file("input")).unwrap()).output();
    let (quiet, listened) = tokio::join!(quiet, listening.end());
    let quiet = quiet.unwrap();
    assert_eq!((quiet.status.code(), quiet.stderr.as_slice()), (Some(0), &b""[..]));
    assert_eq!(listened.stdout, b"some");
    let mut command = host.command(&["connect", &to, "--psk-file", "key", "-q"]);
    let failed = command.output().await.unwrap();
    assert_eq!(failed.status.code(), Some(2));
    let told = String::from_utf8(failed.stderr).unwrap();
    assert!(told.starts_with("waypost: cannot connect to") && told.lines().count() == 1, "{told}");
}
