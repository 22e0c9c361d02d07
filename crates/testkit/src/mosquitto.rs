//! Debian's mosquitto, which `cargo xtask test` installs: a broker of its own for each test.

use rcgen::generate_simple_self_signed;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// Debian puts it where not every user's path leads.
const PROGRAMS: [&str; 2] = ["/usr/sbin/mosquitto", "mosquitto"];
const SCHEMES: [&str; 4] = ["mqtt", "ws", "mqtts", "wss"];

/// A running broker, which ends when this is dropped. Methods panic if it does not do what a test needs.
#[derive(Debug)]
pub struct Mosquitto {
    child: Child,
    folder: TempDir,
    ports: Vec<u16>,
}

impl Mosquitto {
    /// With listeners for every scheme. A machine without mosquitto fails the test.
    pub fn start() -> Self {
        // Somebody else may take a port before mosquitto does.
        (0..5).find_map(|_| Self::try_start()).expect("mosquitto starts")
    }

    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let free: Vec<TcpListener> = SCHEMES.map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).into();
        let ports: Vec<u16> = free.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let mut text = "per_listener_settings false\nallow_anonymous true\npersistence false\nuser root\n\
            log_dest stderr\nlog_type all\n"
            .to_owned();
        for (scheme, port) in SCHEMES.iter().zip(&ports) {
            text += &format!("listener {port} 127.0.0.1\n");
            if scheme.starts_with("ws") {
                text += "protocol websockets\n";
            }
            if scheme.ends_with('s') && *scheme != "ws" {
                let folder = folder.path().display();
                text += &format!("certfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n");
            }
        }
        fs::write(path("mosquitto.conf"), text).unwrap();
        drop(free);
        let child = run(folder.path());
        let mut this = Self { child, folder, ports };
        this.is_up().then_some(this)
    }

    /// Where it listens by a scheme.
    pub fn url(&self, scheme: &str) -> String {
        let at = SCHEMES.iter().position(|known| *known == scheme).unwrap();
        format!("{scheme}://localhost:{}", self.ports[at])
    }

    /// Its port for plain TCP.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// The authority that its certificate is from.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// What it wrote about what clients do.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Mosquitto::kill`].
    pub fn restart(&mut self) {
        self.child = run(self.folder.path());
        assert!(self.is_up(), "mosquitto starts again");
    }

    #[expect(clippy::disallowed_methods, reason = "another program opens the ports, and tells nobody")]
    fn is_up(&mut self) -> bool {
        for _ in 0..500 {
            if self.ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let start = |program| {
        let mut command = Command::new(program);
        command.arg("-c").arg(folder.join("mosquitto.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone().unwrap()).spawn().ok()
    };
    PROGRAMS.into_iter().find_map(start).expect("mosquitto is not installed: apt-get install mosquitto")
}
