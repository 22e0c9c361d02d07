//! People with data folders of their own, who run the real program.

use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use waypost_api::{Client, ClientEvents};
use waypost_node::Event;

/// Nothing here takes so long unless it hangs; generous, as the machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// The passphrase of everybody.
pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Somebody with a data folder and an address.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) listen: SocketAddr,
    folder: TempDir,
    /// The network namespace in which its commands run, if not the one of the test.
    within: Option<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Person {
    /// Somebody without an identity yet.
    pub(crate) fn nobody(name: &'static str) -> Self {
        Self { name, listen: own_address(), folder: tempfile::tempdir().unwrap(), within: None }
    }

    /// Somebody without an identity yet, whose commands run in a network namespace.
    pub(crate) fn nobody_within(name: &'static str, namespace: &str, listen: SocketAddr) -> Self {
        Self { listen, within: Some(namespace.to_owned()), ..Self::nobody(name) }
    }

    /// Somebody with an identity.
    pub(crate) async fn new(name: &'static str) -> Self {
        let person = Self::nobody(name);
        let listen = person.listen.to_string();
        person.ok(&["init", "--name", name, "--listen", &listen]).await;
        person
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A path beside the data folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(self.within.as_deref());
        command
            .args(args)
            .env("WAYPOST_HOME", self.home())
            .env("WAYPOST_PASSPHRASE", PASSPHRASE)
            .env("WAYPOST_BACKUP_PASSPHRASE", "another one")
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .env_remove("WAYPOST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        ended(self.command(args)).await
    }

    /// Runs a command that must end well; gives what it printed.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args).await;
        assert_eq!(ran.code, 0, "{} {args:?}: {ran:?}", self.name);
        ran.stdout
    }

    /// The same as data.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let text = self.ok(&args).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?} printed {text:?}: {error}"))
    }

    /// Runs a command that must end with this code; gives what it told.
    pub(crate) async fn fails(&self, code: i32, args: &[&str]) -> String {
        let ran = self.run(args).await;
        assert_eq!(ran.code, code, "{} {args:?}: {ran:?}", self.name);
        ran.stderr
    }

    /// Runs a command with this on its standard input.
    pub(crate) async fn with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = timeout(DEADLINE, child.wait_with_output()).await.expect("the command hangs").unwrap();
        ran(&output)
    }

    /// Starts the node and waits until it is ready.
    pub(crate) async fn up(&self) -> Running {
        self.up_with(&[]).await
    }

    pub(crate) async fn up_with(&self, args: &[&str]) -> Running {
        let args: Vec<&str> = ["up", "--json"].iter().chain(args).copied().collect();
        Running::ready(self.command(&args)).await
    }

    /// Listens to the running node.
    pub(crate) async fn listen(&self) -> Listener {
        let client = Client::connect(&self.home().join("api.sock")).await.unwrap();
        let events = client.events().await.unwrap();
        Listener { events, _client: client }
    }

    /// The own id.
    pub(crate) async fn id(&self) -> String {
        self.json(&["id"]).await["contact"].as_str().unwrap().to_owned()
    }

    /// A card with an invite.
    pub(crate) async fn invite(&self) -> String {
        self.ok(&["card", "--invite"]).await.trim().to_owned()
    }
}

/// The program, in a network namespace if one is named.
pub(crate) fn program(within: Option<&str>) -> Command {
    let waypost = env!("CARGO_BIN_EXE_waypost");
    let Some(namespace) = within else { return Command::new(waypost) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, waypost]);
    command
}

/// An address that no other test uses and that outlives a restart. Linux has all of 127.0.0.0/8, of which
/// nobody else takes such a corner; elsewhere a port that is free now must do.
pub(crate) fn own_address() -> SocketAddr {
    if cfg!(target_os = "linux") {
        let [b, c, d] = rand::random::<[u8; 3]>();
        return SocketAddr::from(([127, b | 0x80, c, d.clamp(1, 254)], 7300));
    }
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Ran {
    ran(&timeout(DEADLINE, command.output()).await.expect("the command hangs").unwrap())
}

fn ran(output: &std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout.clone()).unwrap(),
        stderr: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// A command that goes on.
pub(crate) struct Running {
    pub(crate) ready: Value,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a command that prints a line when it is ready, and waits for it.
    pub(crate) async fn ready(command: Command) -> Self {
        let mut running = Self::start(command);
        let ready = running.line().await;
        Self { ready: serde_json::from_str(&ready).unwrap(), ..running }
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { ready: Value::Null, child, stdin, stdout }
    }

    /// The next line of its output.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.stdout.next_line()).await.expect("no line comes").unwrap();
        line.expect("the command ended")
    }

    /// The next line of its output in which all of these are.
    pub(crate) async fn line_with(&mut self, parts: &[&str]) -> String {
        loop {
            let line = self.line().await;
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }

    pub(crate) async fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Ends its input and waits for its end.
    pub(crate) async fn finish(mut self) -> i32 {
        drop(self.stdin.take());
        self.code().await
    }

    /// Asks it to end, as a service manager does.
    pub(crate) async fn terminate(mut self) -> i32 {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(killed.success());
        self.code().await
    }

    /// Ends it without asking.
    pub(crate) async fn kill(mut self) {
        self.kill_now().await;
    }

    /// The same for one that is replaced.
    pub(crate) async fn kill_now(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn code(&mut self) -> i32 {
        let status = timeout(DEADLINE, self.child.wait()).await.expect("the command does not end").unwrap();
        status.code().unwrap_or(-1)
    }
}

/// The events of a running node.
pub(crate) struct Listener {
    events: ClientEvents,
    _client: Client,
}

impl Listener {
    /// Waits for an event.
    pub(crate) async fn wait<T>(&mut self, what: impl Fn(Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.events.next().await.expect("the node stopped");
                if let Some(found) = what(event) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, waiting).await.expect("the event does not come")
    }
}
