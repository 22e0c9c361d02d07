//! Who is where, told and asked, over TLS.

use super::{
    link::Person,
    load::{Tally, WINDOW, per_second},
    waypost::Waypost,
};
use crate::{progress, report::Row};
use anyhow::{Result, anyhow, bail, ensure};
use rand::{SeedableRng, rngs::StdRng};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use waypost_core::ContactId;
use waypost_net::{Clock, tls::ClientTls};
use waypost_sremp::{
    Message,
    endpoint::Endpoint,
    message::{LookupRequest, RegisterRequest},
    rendezvous::{Framing, ServerUri},
};

/// Connections of those who register: of one connection the server takes them one after the other.
const REGISTERING: usize = 64;
/// Connections of those who look up.
const CONNECTIONS: usize = 8;
const PEOPLE: usize = 6_000;
const LOOKUPS: usize = 40_000;
const DIALS: usize = 4_000;
const MOST: Duration = Duration::from_secs(5);
/// All must be registered before they are looked up.
const ALL: Duration = Duration::from_secs(60);

pub(super) async fn rows(binary: &Path, folder: &Path) -> Result<Vec<Row>> {
    const GROUP: &str = "rendezvous server, TLS 1.3";
    progress("rendezvous: registrations and lookups");
    let running = Waypost::new(binary, folder.join("rendezvous")).start("rendezvous")?;
    let (address, uri) = running.rendezvous()?;
    let server = Server { address, uri, tls: ClientTls::default() };
    let mut rng = StdRng::from_rng(&mut rand::rng());

    let people = (0..PEOPLE).map(|_| Person::new(&mut rng)).collect::<Result<Vec<_>>>()?;
    let ids: Vec<_> = people.iter().map(Person::id).collect();
    let (_, id) = server.connect().await?;
    let mut lanes = Vec::new();
    for people in people.chunks(PEOPLE.div_ceil(REGISTERING)) {
        let requests = people.iter().map(|person| registration(&id, person)).collect::<Result<Vec<_>>>()?;
        lanes.push((server.connect().await?.0, requests));
    }
    let registered = per_second(ALL, |tally| {
        lanes.into_iter().map(|(link, requests)| ask(link, requests.into_iter(), tally)).collect()
    });
    let registered = registered.await?;

    let mut lanes = Vec::new();
    for _ in 0..CONNECTIONS {
        lanes.push(server.connect().await?.0);
    }
    let ids = Arc::new(ids);
    let looked_up = per_second(MOST, |tally| {
        let some = |lane| {
            let ids = ids.clone();
            (lane..LOOKUPS).step_by(CONNECTIONS).filter_map(move |n| ids.get(n % ids.len()).copied()).map(lookup)
        };
        lanes.into_iter().enumerate().map(|(lane, link)| ask(link, some(lane), tally)).collect()
    });
    let looked_up = looked_up.await?;

    let dialled = per_second(MOST, |tally| {
        (0..CONNECTIONS).map(|lane| dial(&server, ids.iter().skip(lane).take(DIALS / CONNECTIONS), tally)).collect()
    });
    let dialled = dialled.await?;
    Ok(vec![
        Row::alone(GROUP, "registrations, durable, 64 connections", "/s", registered),
        Row::alone(GROUP, "lookups, 8 connections kept open", "/s", looked_up),
        Row::alone(GROUP, "lookups, a connection for each, 8 at once", "/s", dialled),
    ])
}

/// Where the server is.
struct Server {
    address: SocketAddr,
    uri: ServerUri,
    tls: ClientTls,
}

impl Server {
    /// Connects; gives the server's id too.
    async fn connect(&self) -> Result<(Link<impl AsyncRead + AsyncWrite + Unpin + use<>>, [u8; 32])> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (stream, id) = self.tls.connect(&self.uri, stream).await?;
        Ok((Link { stream, framing: Framing::client(), buffer: vec![0; 16 << 10] }, id))
    }
}

/// A client's connection.
struct Link<S> {
    stream: S,
    framing: Framing,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.framing.take_output()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads once; how many answers are complete. Each must be a good one.
    async fn answers(&mut self) -> Result<usize> {
        let count = self.stream.read(&mut self.buffer).await?;
        ensure!(count > 0, "the server closed the connection");
        let (mut input, mut answers) = (self.buffer.get(..count).unwrap_or_default(), 0);
        while let Some(message) = self.framing.read(&mut input).map_err(error)? {
            match message {
                Message::RegisterResponse(response) if response.success => answers += 1,
                Message::LookupResponse(response) if response.peers.len() == 1 => answers += 1,
                other => bail!("the server said {other:?}"),
            }
        }
        Ok(answers)
    }
}

async fn ask(
    mut link: Link<impl AsyncRead + AsyncWrite + Unpin>,
    mut requests: impl Iterator<Item = Message>,
    tally: &Tally,
) -> Result<()> {
    let mut outstanding = 0;
    loop {
        while outstanding < WINDOW
            && let Some(request) = requests.next()
        {
            link.framing.send(&request).map_err(error)?;
            outstanding += 1;
        }
        if outstanding == 0 {
            return Ok(());
        }
        link.flush().await?;
        let answers = link.answers().await?;
        outstanding -= answers.min(outstanding);
        tally.add(answers as u64);
    }
}

async fn dial(server: &Server, ids: impl Iterator<Item = &ContactId>, tally: &Tally) -> Result<()> {
    for id in ids {
        let (mut link, _) = server.connect().await?;
        link.framing.send(&lookup(*id)).map_err(error)?;
        link.flush().await?;
        while link.answers().await? == 0 {}
        tally.add(1);
        link.stream.shutdown().await?;
    }
    Ok(())
}

fn registration(server: &[u8; 32], person: &Person) -> Result<Message> {
    let endpoint = Endpoint::new("192.0.2.7", 7300).map_err(|_| anyhow!("no endpoint"))?;
    let now = Clock::start().now().wall;
    let identity = person.keys.identity();
    Ok(RegisterRequest::signed(server, &person.signing, identity, &endpoint, 3600, now.as_millis(), now).into())
}

fn lookup(id: ContactId) -> Message {
    LookupRequest { target_identity: Some(id), list_all: false, after: None, limit: None }.into()
}

fn error(error: waypost_sremp::Error) -> anyhow::Error {
    anyhow!("a client of the server: {error}")
}
