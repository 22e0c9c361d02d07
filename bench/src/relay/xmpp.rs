//! Prosody: letters as messages to users who are offline, acknowledged by stream management (XEP-0198).

use super::load::{Load, Tally, WINDOW, per_second};
use crate::child::{Server, free_address};
use anyhow::{Context, Result, bail, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::{fs, net::SocketAddr, path::Path, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SETTINGS: &str = r#"
daemonize = false
run_as_root = true
plugin_paths = {}
modules_enabled = { "saslauth", "smacks", "offline" }
modules_disabled = { "s2s", "tls", "posix" }
c2s_interfaces = { "127.0.0.1" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
"#;

/// A server that runs.
pub(super) struct Prosody {
    _server: Server,
    address: SocketAddr,
}

impl Prosody {
    /// Starts one in this folder, with an account for each side of each connection.
    pub(super) async fn start(folder: &Path, connections: usize) -> Result<Self> {
        let accounts = folder.join("data/localhost/accounts");
        fs::create_dir_all(&accounts)?;
        for lane in 0..connections {
            for name in ["from", "to"] {
                let file = accounts.join(format!("{name}{lane}.dat"));
                fs::write(file, "return { [\"password\"] = \"secret\"; };\n")?;
            }
        }
        let address = free_address()?;
        let place = folder.to_str().context("the folder's name is no text")?;
        let config = format!(
            "{SETTINGS}c2s_ports = {{ {} }}\ndata_path = \"{place}/data\"\npidfile = \"{place}/pid\"\n\
             certificates = \"{place}\"\nlog = {{ warn = \"{place}/prosody.log\" }}\nVirtualHost \"localhost\"\n",
            address.port()
        );
        let file = folder.join("prosody.cfg.lua");
        fs::write(&file, config)?;
        let mut command = Command::new("prosody");
        command.arg("--config").arg(file).arg("-F").stdout(std::process::Stdio::null());
        let mut server = Server::start(&mut command, &folder.join("log"))?;
        server.listens(address).await?;
        Ok(Self { _server: server, address })
    }

    /// Letters stored a second: counted when stream management acknowledges them.
    pub(super) async fn stores(&self, load: Load) -> Result<f64> {
        let mut lanes = Vec::new();
        for lane in 0..load.connections {
            lanes.push((Link::login(self.address, &format!("from{lane}")).await?, lane));
        }
        per_second(load.most, |tally| lanes.into_iter().map(|(link, lane)| send(link, lane, load, tally)).collect())
            .await
    }
}

async fn send(mut link: Link, lane: usize, load: Load, tally: &Tally) -> Result<()> {
    let letter = format!(
        "<message to='to{lane}@localhost' type='chat'><body>{}</body></message><r xmlns='urn:xmpp:sm:3'/>",
        "x".repeat(load.bytes)
    );
    let (mut sent, mut done) = (0, 0);
    while done < load.each() {
        while sent < load.each() && sent - done < WINDOW {
            link.unsent.push_str(&letter);
            sent += 1;
        }
        link.flush().await?;
        link.read().await?;
        if let Some(handled) = link.take_handled()?.filter(|&handled| handled > done) {
            tally.add((handled - done) as u64);
            done = handled;
        }
    }
    Ok(())
}

/// A client's stream, without TLS.
struct Link {
    stream: TcpStream,
    unsent: String,
    input: Vec<u8>,
}

impl Link {
    async fn login(address: SocketAddr, user: &str) -> Result<Self> {
        const OPEN: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                            xmlns:stream='http://etherx.jabber.org/streams'>";
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut link = Self { stream, unsent: String::new(), input: Vec::new() };
        link.ask(OPEN, "</stream:features>").await?;
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0secret"));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
        link.ask(&auth, "<success").await?;
        link.ask(OPEN, "</stream:features>").await?;
        let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        link.ask(bind, "</iq>").await?;
        link.ask("<enable xmlns='urn:xmpp:sm:3'/>", "<enabled").await?;
        Ok(link)
    }

    async fn ask(&mut self, text: &str, until: &str) -> Result<()> {
        self.unsent.push_str(text);
        self.flush().await?;
        while !String::from_utf8_lossy(&self.input).contains(until) {
            self.read().await?;
        }
        self.input.clear();
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(self.unsent.as_bytes()).await?;
        self.unsent.clear();
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.input).await? > 0, "Prosody closed the connection: {}", self.said());
        let said = self.said();
        if said.contains("<stream:error") || said.contains("<failure") || said.contains("type='error'") {
            bail!("Prosody said {said}");
        }
        Ok(())
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.input).into_owned()
    }

    /// How many stanzas it says it has handled, if it said so.
    fn take_handled(&mut self) -> Result<Option<usize>> {
        let said = self.said();
        let Some(end) = said.rfind('>') else { return Ok(None) };
        let handled = last_handled(said.get(..end).unwrap_or_default())?;
        self.input.drain(..=end);
        Ok(handled)
    }
}

/// The `h` of the last `<a h='5' xmlns='urn:xmpp:sm:3'/>`.
fn last_handled(said: &str) -> Result<Option<usize>> {
    let Some((_, last)) = said.rsplit_once("<a ") else { return Ok(None) };
    let number = last.split_once("h='").and_then(|(_, rest)| rest.split_once('\''));
    Ok(Some(number.context("an acknowledgement without a number")?.0.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_acknowledgement() {
        assert_eq!(last_handled("").unwrap(), None);
        let two = "<a xmlns='urn:xmpp:sm:3' h='5'/><a h='17' xmlns='urn:xmpp:sm:3'/";
        assert_eq!(last_handled(two).unwrap(), Some(17));
        assert!(last_handled("<a h=''/").is_err());
    }
}
