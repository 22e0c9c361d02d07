//! People with running nodes, served on their sockets.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use waypost_api::Server;
use waypost_core::Wall;
use waypost_node::setup::{self, NewIdentity};
use waypost_node::{Config, Home, KdfCost, Node, Passphrase};

/// Nothing here takes so long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Somebody with a node that is served.
pub(crate) struct Person {
    pub(crate) node: Node,
    folder: TempDir,
    server: Server,
}

impl Person {
    pub(crate) async fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        let mut config = Config::default();
        config.sremp.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let cost = KdfCost::DANGER_FAST;
        let now = Wall::from_millis(1_790_000_000_000);
        let passphrase = Passphrase::empty();
        let new = NewIdentity { name, passphrase, words: None, config: config.clone(), now, cost };
        setup::init(&home, new, &mut rand::rng()).unwrap();
        let keys = setup::unlock(&home, Passphrase::empty(), cost).unwrap();
        let node = Node::start(&home, home.lock().unwrap(), keys, config).await.unwrap();
        let server = Server::start(node.clone(), &home, None).await.unwrap();
        Self { node, folder, server }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("home/api.sock")
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) async fn connect(&self) -> Connection {
        let (reader, writer) = UnixStream::connect(self.socket()).await.unwrap().into_split();
        Connection { lines: BufReader::new(reader).lines(), writer }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        self.node.stop();
        timeout(DEADLINE, self.node.stopped()).await.unwrap();
    }
}

/// A client that writes its lines itself.
pub(crate) struct Connection {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Connection {
    pub(crate) async fn write(&mut self, id: u64, method: &str, params: &Value) {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write_line(&request.to_string()).await;
    }

    pub(crate) async fn write_line(&mut self, line: &str) {
        timeout(DEADLINE, self.writer.write_all(format!("{line}\n").as_bytes())).await.unwrap().unwrap();
    }

    pub(crate) async fn read(&mut self) -> Value {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("no line comes").unwrap();
        serde_json::from_str(&line.expect("the connection ended")).unwrap()
    }

    /// Writes lines and reads as many meanwhile.
    pub(crate) async fn pipeline(&mut self, requests: &[String]) -> Vec<Value> {
        let (lines, writer) = (&mut self.lines, &mut self.writer);
        let reading = async {
            let mut answers = Vec::new();
            while answers.len() < requests.len() {
                let line = lines.next_line().await.unwrap().expect("the connection ended");
                answers.push(serde_json::from_str(&line).unwrap());
            }
            answers
        };
        let writing = async {
            for request in requests {
                writer.write_all(format!("{request}\n").as_bytes()).await.unwrap();
            }
        };
        timeout(DEADLINE, async { tokio::join!(reading, writing).0 }).await.expect("it hangs")
    }

    /// Whether an answer is there already.
    pub(crate) fn has_something(&mut self) -> bool {
        let mut byte = [0];
        self.lines.get_ref().get_ref().try_read(&mut byte).is_ok()
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.write(1, method, &params).await;
        loop {
            let answer = self.read().await;
            if answer["id"] == 1 {
                return answer;
            }
        }
    }
}
