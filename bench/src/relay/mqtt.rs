//! mosquitto with persistence: letters as publications with QoS 1 to persistent sessions.

use super::load::{Load, Tally, WINDOW, per_second};
use crate::child::{Server, free_address};
use anyhow::{Context, Result, bail, ensure};
use std::{fs, net::SocketAddr, path::Path, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What mosquitto does with what it was given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Saving {
    /// In memory; saved every half hour and when it ends.
    Default,
    /// The whole database is written anew after changes, as often as mosquitto can be told to.
    EveryChange,
}

/// A broker that runs.
pub(super) struct Mosquitto {
    _server: Server,
    address: SocketAddr,
}

impl Mosquitto {
    /// Starts one with an empty database in this folder.
    pub(super) async fn start(folder: &Path, saving: Saving) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let saving = match saving {
            Saving::Default => "",
            Saving::EveryChange => "autosave_on_changes true\nautosave_interval 1\n",
        };
        let place = folder.to_str().context("the folder's name is no text")?;
        // It would leave the rights to its folder behind otherwise.
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nuser {user}\nset_tcp_nodelay true\npersistence true\n\
             persistence_location {place}/\nmax_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 0\n{saving}",
            address.port()
        );
        let file = folder.join("mosquitto.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("mosquitto");
        let mut server = Server::start(command.arg("-c").arg(file), &folder.join("log"))?;
        server.listens(address).await?;
        Ok(Self { _server: server, address })
    }

    /// Letters stored a second: counted at PUBACK; the subscriber's session waits without a connection.
    pub(super) async fn stores(&self, load: Load) -> Result<f64> {
        let mut lanes = Vec::new();
        for lane in 0..load.connections {
            let mut recipient = Link::connect(self.address, &format!("to{lane}"), false).await?;
            recipient.subscribe(&format!("bench/{lane}")).await?;
            recipient.leave().await?;
            let link = Link::connect(self.address, &format!("from{lane}"), true).await?;
            lanes.push((link, lane));
        }
        let run = |(link, lane), tally| publish(link, lane, load, tally, Until::Acknowledged);
        per_second(load.most, |tally| lanes.into_iter().map(|lane| run(lane, tally)).collect()).await
    }

    /// Letters delivered a second: the subscriber is there, and answers each by a publication with QoS 1, which
    /// is how a sender learns of it here.
    pub(super) async fn deliveries(&self, load: Load) -> Result<f64> {
        let mut lanes = Vec::new();
        for lane in 0..load.connections {
            let mut to = Link::connect(self.address, &format!("to{lane}"), false).await?;
            to.subscribe(&format!("bench/{lane}")).await?;
            let mut from = Link::connect(self.address, &format!("from{lane}"), false).await?;
            from.subscribe(&format!("receipt/{lane}")).await?;
            lanes.push((from, to, lane));
        }
        let run = async |(from, to, lane), tally| {
            tokio::select! {
                sent = publish(from, lane, load, tally, Until::Answered) => sent,
                failed = receive(to, lane) => failed,
            }
        };
        per_second(load.most, |tally| lanes.into_iter().map(|lane| run(lane, tally)).collect()).await
    }
}

/// When a publication is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Acknowledged,
    Answered,
}

async fn publish(mut link: Link, lane: usize, load: Load, tally: &Tally, until: Until) -> Result<()> {
    let (topic, payload) = (format!("bench/{lane}"), vec![7; load.bytes]);
    let (mut sent, mut done) = (0, 0);
    while done < load.each() {
        while sent < load.each() && sent - done < WINDOW {
            link.publish(&topic, &payload)?;
            sent += 1;
        }
        link.flush().await?;
        for packet in link.read().await? {
            let is_done = match packet {
                Packet::Acknowledged => until == Until::Acknowledged,
                Packet::Publication(id) => {
                    link.acknowledge(id);
                    until == Until::Answered
                }
                other => bail!("mosquitto said {other:?}"),
            };
            if is_done {
                done += 1;
                tally.add(1);
            }
        }
    }
    Ok(())
}

/// Until the sender is done and the lane ends.
async fn receive(mut link: Link, lane: usize) -> Result<()> {
    let topic = format!("receipt/{lane}");
    loop {
        for packet in link.read().await? {
            if let Packet::Publication(id) = packet {
                link.acknowledge(id);
                link.publish(&topic, &[1; 16])?;
            }
        }
        link.flush().await?;
    }
}

/// A client's connection, MQTT 3.1.1.
struct Link {
    stream: TcpStream,
    unsent: Vec<u8>,
    input: Vec<u8>,
    last_id: u16,
}

/// What a broker says.
#[derive(Debug, PartialEq, Eq)]
enum Packet {
    Connected,
    Subscribed,
    Acknowledged,
    /// Its packet id.
    Publication(u16),
}

impl Link {
    async fn connect(address: SocketAddr, name: &str, forgets: bool) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut link = Self { stream, unsent: Vec::new(), input: Vec::new(), last_id: 0 };
        let flags = if forgets { 0x02 } else { 0 };
        let head = [&[0, 4][..], b"MQTT", &[4, flags, 0, 0], &text(name)?].concat();
        link.packet(0x10, &head);
        link.expect(Packet::Connected).await?;
        Ok(link)
    }

    async fn subscribe(&mut self, topic: &str) -> Result<()> {
        let body = [&[0, 1][..], &text(topic)?, &[1]].concat();
        self.packet(0x82, &body);
        self.expect(Packet::Subscribed).await
    }

    async fn leave(mut self) -> Result<()> {
        self.packet(0xe0, &[]);
        self.flush().await?;
        Ok(self.stream.shutdown().await?)
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<()> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let body = [&text(topic)?, &self.last_id.to_be_bytes()[..], payload].concat();
        self.packet(0x32, &body);
        Ok(())
    }

    fn acknowledge(&mut self, id: u16) {
        self.packet(0x40, &id.to_be_bytes());
    }

    fn packet(&mut self, first: u8, body: &[u8]) {
        self.unsent.push(first);
        let mut length = body.len();
        while length >= 128 {
            self.unsent.push((length % 128) as u8 | 128);
            length /= 128;
        }
        self.unsent.push(length as u8);
        self.unsent.extend_from_slice(body);
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.unsent).await?;
        self.unsent.clear();
        Ok(())
    }

    async fn expect(&mut self, packet: Packet) -> Result<()> {
        self.flush().await?;
        let said = self.read().await?;
        ensure!(said == [packet], "mosquitto said {said:?}");
        Ok(())
    }

    /// What came, at least one packet.
    async fn read(&mut self) -> Result<Vec<Packet>> {
        let mut packets = Vec::new();
        while packets.is_empty() {
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "mosquitto closed the connection");
            let mut start = 0;
            while let Some((packet, length)) = take(self.input.get(start..).unwrap_or_default())? {
                packets.push(packet);
                start += length;
            }
            self.input.drain(..start);
        }
        Ok(packets)
    }
}

/// The first packet and its length, once it is complete.
fn take(input: &[u8]) -> Result<Option<(Packet, usize)>> {
    let Some((first, rest)) = input.split_first() else { return Ok(None) };
    let Some(digits) = rest.iter().position(|byte| byte & 128 == 0).map(|last| last + 1) else { return Ok(None) };
    let digit = |length, byte: &u8| length * 128 + usize::from(byte & 127);
    let length = rest.get(..digits).unwrap_or_default().iter().rev().fold(0, digit);
    let Some(body) = rest.get(digits..digits + length) else { return Ok(None) };
    let packet = match first >> 4 {
        2 => {
            ensure!(body.last() == Some(&0), "mosquitto refused the connection");
            Packet::Connected
        }
        3 => {
            let topic = body.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
            let id = body.get(topic + 2..).and_then(<[u8]>::first_chunk).context("a publication without an id")?;
            Packet::Publication(u16::from_be_bytes(*id))
        }
        4 => Packet::Acknowledged,
        9 => Packet::Subscribed,
        other => bail!("mosquitto sent a packet of type {other}"),
    };
    Ok(Some((packet, 1 + digits + length)))
}

fn text(text: &str) -> Result<Vec<u8>> {
    Ok([&u16::try_from(text.len())?.to_be_bytes()[..], text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_packets_only_when_they_are_complete() {
        let publication = [&[0x32, 0x87, 0x01, 0, 3][..], b"a/b", &[1, 2], &[9; 128]].concat();
        assert_eq!(publication.len(), 3 + 135);
        for length in 0..publication.len() {
            assert_eq!(take(&publication[..length]).unwrap(), None, "{length}");
        }
        let two = [&publication[..], &[0x40, 2, 0, 7]].concat();
        assert_eq!(take(&two).unwrap(), Some((Packet::Publication(0x102), 138)));
        assert_eq!(take(&two[138..]).unwrap(), Some((Packet::Acknowledged, 4)));
        assert!(take(&[0x20, 2, 0, 5]).is_err(), "refused");
    }
}
