//! No secret appears in logs at any level. Profile, Limits and errors; checklist 24.

use super::{Ended, Host, Linking};
use std::fs;

/// What must not be found, as text and in hex, either case.
fn forms(secret: &[u8]) -> Vec<String> {
    let mut forms = vec![hex::encode(secret), hex::encode_upper(secret)];
    // As a list of numbers, as `{:?}` prints it; four in a row are no chance.
    forms.push(secret[..4].iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
    forms.extend(String::from_utf8(secret.to_vec()));
    forms
}

fn assert_without(ended: &Ended, secrets: &[Vec<u8>]) {
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        assert!(!ended.said.contains(&form), "{form} is told: {}", ended.said);
    }
}

fn loud(host: &Host, args: &[&str]) -> Linking {
    let mut command = host.command(args);
    command.args(["--json", "-vvv"]).env("WAYPOST_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    Linking::start(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_keys_or_what_is_sent() {
    let host = Host::new().await;
    let payload = b"the-payload-nobody-may-log-0123456789".to_vec();
    let line = fs::read(host.file("key")).unwrap().trim_ascii().to_vec();
    let decoded = data_encoding(&line[16..]);
    let block = fs::read(host.file("block")).unwrap();
    let mut secrets = vec![payload.clone(), line[16..].to_vec(), decoded];
    // Each part of the block that is a secret of its own.
    for half in [0, 128] {
        secrets
            .extend([(0, 32), (32, 48), (48, 80), (80, 112)].map(|(from, to)| block[half + from..half + to].to_vec()));
    }
    for way in [
        &["--psk-file", "key"][..],
        &["--psk-file", "key", "--mode", "psk"],
        &["--mode", "raw", "--block-file", "block"],
    ] {
        let mut listening = loud(&host, &[&["listen", "127.0.0.1:0"], way].concat());
        let address = listening.address().await.to_string();
        let mut connecting = loud(&host, &[&["connect", &address], way].concat());
        connecting.write(&payload).await;
        assert_eq!(listening.read(payload.len()).await, payload);
        listening.write(&payload).await;
        assert_eq!(connecting.read(payload.len()).await, payload);
        connecting.close();
        let (connected, listened) = tokio::join!(connecting.end(), listening.end());
        for ended in [connected, listened] {
            assert_eq!(ended.code, 0, "{ended:?}");
            assert_without(&ended, &secrets);
        }
    }
    // Nor do failures tell: a wrong key, a damaged file, a used block.
    let stranger = Host::new().await;
    let (listening, address) = host.listen(&["-vvv"]).await;
    let to = address.to_string();
    let theirs = fs::read(stranger.file("key")).unwrap().trim_ascii().to_vec();
    secrets.push(theirs[16..].to_vec());
    let refused = loud(&stranger, &["connect", &to, "--psk-file", "key"]).end().await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_without(&refused, &secrets);
    listening.signal("TERM").await;
    assert_without(&listening.end().await, &secrets);
    let used = loud(&host, &["connect", &to, "--mode", "raw", "--block-file", "block"]).end().await;
    assert_eq!(used.code, 7, "{used:?}");
    assert_without(&used, &secrets);
    fs::write(host.file("key"), [&line[..60], b"AAAA"].concat()).unwrap();
    let damaged = loud(&host, &["connect", &to, "--psk-file", "key"]).end().await;
    assert_eq!(damaged.code, 7, "{damaged:?}");
    assert!(!damaged.said.contains(str::from_utf8(&line[16..40]).unwrap()), "{damaged:?}");
}

/// The 32 bytes of a key line: base32 of RFC 4648 without padding.
fn data_encoding(digits: &[u8]) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        let value = alphabet.iter().position(|letter| letter == digit).unwrap();
        bits = bits << 5 | u32::try_from(value).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes.truncate(32);
    bytes
}
