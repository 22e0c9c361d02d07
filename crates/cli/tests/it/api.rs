//! Programs that use a node: stdio, the socket, HTTP and its events.

use crate::conversation::alice_and_bob;
use crate::people::{DEADLINE, Person};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const STATUS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"node.status"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn stdio_answers_with_a_daemon_and_without() {
    let alice = Person::new("Alice").await;
    let input = format!("{STATUS}\n[{STATUS},{STATUS}]\nnonsense\n");
    for daemon in [false, true] {
        let _up = if daemon { Some(alice.up().await) } else { None };
        let ran = alice.with_input(&["api", "--stdio"], &input).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        let answers: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), 3, "{ran:?}");
        let single = answers.iter().find(|answer| answer["id"] == 1).unwrap();
        assert_eq!(single["result"]["identity"]["name"], "Alice");
        assert!(answers.iter().any(|answer| answer.as_array().is_some_and(|batch| batch.len() == 2)));
        assert!(answers.iter().any(|answer| answer["error"]["code"] == -32700));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_wants_its_token_its_name_and_no_other_sites() {
    let alice = Person::new("Alice").await;
    let up = alice.up_with(&["--http", "127.0.0.1:0"]).await;
    let address = up.ready["http"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(alice.home().join("api.http")).unwrap(), address);
    let token_file = alice.home().join("api.token");
    assert_eq!(std::fs::metadata(&token_file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(token_file).unwrap();
    let post = |host: &str, headers: &str, body: &str| {
        let request = format!(
            "POST /rpc HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        http(address.clone(), request)
    };
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let json_type = "Content-Type: application/json\r\n";
    let good = format!("{bearer}{json_type}");

    let (status, body) = post(&address, &good, STATUS).await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["result"]["identity"]["name"], "Alice");
    let localhost = address.replace("127.0.0.1", "localhost");
    assert_eq!(post(&localhost, &good, STATUS).await.0, 200);

    assert_eq!(post(&address, json_type, STATUS).await.0, 401);
    assert_eq!(
        post(&address, &format!("Authorization: Bearer {}\r\n{json_type}", "0".repeat(64)), STATUS).await.0,
        401
    );
    assert_eq!(post("evil.example", &good, STATUS).await.0, 421);
    assert_eq!(post(&address, &format!("{good}Origin: https://evil.example\r\n"), STATUS).await.0, 403);
    assert_eq!(post(&address, &format!("{good}Origin: http://{address}\r\n"), STATUS).await.0, 200);
    assert_eq!(post(&address, &bearer, STATUS).await.0, 415);
    assert_eq!(post(&address, &good, &" ".repeat(1024 * 1024 + 1)).await.0, 413);
    assert_eq!(post(&address, &good, r#"{"jsonrpc":"2.0","method":"node.status"}"#).await.0, 204);
    let refused = alice.fails(2, &["config", "set", "api.http", "0.0.0.0:7380"]).await;
    assert!(refused.contains("loopback"), "{refused}");
    assert_eq!(up.terminate().await, 0);
    assert!(!alice.home().join("api.http").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn http_streams_events() {
    let (alice, alice_up, bob, _bob_up) = alice_and_bob().await;
    alice_up.terminate().await;
    let up = alice.up_with(&["--http", "127.0.0.1:0"]).await;
    let address = up.ready["http"].as_str().unwrap().to_owned();
    let token = std::fs::read_to_string(alice.home().join("api.token")).unwrap();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!("GET /events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = async || timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(next().await.unwrap(), "HTTP/1.1 200 OK");
    while !next().await.unwrap().is_empty() {}
    bob.ok(&["send", "Alice", "over the stream"]).await;
    while next().await.unwrap() != "event: letter" {}
    let data = next().await.unwrap();
    let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(event["entry"]["body"]["text"], "over the stream");
    assert_eq!(up.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_on_the_socket_carry_answers_and_events() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    let stream = tokio::net::UnixStream::connect(alice.home().join("api.sock")).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut next = async || {
        let line = timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    writer.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\"}\n").await.unwrap();
    assert_eq!(next().await, json!({"jsonrpc":"2.0","id":1,"result":{"changed":1}}));
    bob.ok(&["send", "Alice", "hello"]).await;
    loop {
        let message = next().await;
        assert_eq!(message["method"], "event");
        if message["params"]["event"] == "letter" {
            assert_eq!(message["params"]["entry"]["body"]["text"], "hello");
            break;
        }
    }
    writer.write_all(&[b'x'; 2 * 1024 * 1024]).await.ok();
    loop {
        let message = next().await;
        if message["error"]["data"]["kind"] == "limit" {
            break;
        }
    }
}

/// One request on a connection of its own; gives the status and the body.
async fn http(address: String, request: String) -> (u16, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        // The server may answer and close before it has read everything.
        let (_, _) = tokio::join!(writer.write_all(request.as_bytes()), reader.read_to_end(&mut answer));
        String::from_utf8(answer).unwrap()
    };
    let answer = timeout(DEADLINE, exchange).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}
