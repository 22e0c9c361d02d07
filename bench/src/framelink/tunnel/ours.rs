//! `waypost link` as two processes; until the program has it, two runtimes in this one.

use super::load::{Tunnel, exit};
use crate::{
    binary,
    child::{Server, free_address},
    framelink::machines::psk,
};
use anyhow::{Context, Result};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use waypost_framelink::{Mode, Psk, Settings};
use waypost_net::framelink::{Link, write_psk};

/// Bytes read from a socket at once, as `waypost link` does.
const READ: usize = 64 * 1024;

pub(super) fn start(
    runtime: &Runtime,
    folder: &Path,
    binary: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Tunnel> {
    let binary = binary::given_or_built(binary)?;
    let mut help = Command::new(&binary);
    help.args(["link", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !help.status()?.success() {
        notes.push("the program has no `waypost link`: the tunnel is made of two runtimes in this process".into());
        return in_process();
    }
    let exit = exit()?;
    let [middle, entry] = [free_address()?, free_address()?];
    let key = folder.join("link.psk");
    write_psk(&key, &psk()?)?;
    let server = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("link").args(arguments).arg("--psk-file").arg(&key).stdout(Stdio::null());
        Server::start(&mut command, &folder.join(name))
    };
    let mut far = server("listen.log", &["listen", &middle.to_string(), "--target", &exit.local_addr()?.to_string()])?;
    runtime.block_on(far.listens(middle))?;
    let mut near = server("connect.log", &["connect", &middle.to_string(), "--local", &entry.to_string()])?;
    runtime.block_on(near.listens(entry))?;
    Ok(Tunnel { name: "ours".into(), entry, exit, _servers: vec![near, far] })
}

/// Each side with a runtime of its own, as two processes would have.
fn in_process() -> Result<Tunnel> {
    let exit = exit()?;
    let target = exit.local_addr()?;
    let middle = side(move |stream, psk| async move {
        let link = Link::accept(stream, vec![psk], vec![Mode::Hybrid], Settings::default())?;
        carry(TcpStream::connect(target).await?, link).await
    })?;
    let entry = side(move |stream, psk| async move {
        let link = Link::connect(TcpStream::connect(middle).await?, psk, Mode::Hybrid, Settings::default())?;
        carry(stream, link).await
    })?;
    Ok(Tunnel { name: "ours".into(), entry, exit, _servers: Vec::new() })
}

/// Takes connections for as long as this process lives; where.
fn side<F>(serve: impl Fn(TcpStream, Psk) -> F + Send + 'static) -> Result<SocketAddr>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let (address, psk) = (listener.local_addr()?, psk()?);
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                // It ends with its connection, however that ends.
                tokio::spawn(serve(stream, psk.clone()));
            }
            #[expect(unreachable_code, reason = "names the type of the errors")]
            Ok::<(), std::io::Error>(())
        })
    });
    Ok(address)
}

async fn carry(stream: TcpStream, link: Link) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.into_split();
    let link = Arc::new(link);
    link.opened().await?;
    let out = Arc::clone(&link);
    let there = tokio::spawn(async move {
        let mut chunk = vec![0; READ];
        loop {
            match reader.read(&mut chunk).await? {
                0 => break,
                read => out.send(chunk.get(..read).context("a chunk")?).await?,
            }
        }
        out.close();
        anyhow::Ok(())
    });
    let mut chunk = vec![0; READ];
    loop {
        match link.read(&mut chunk).await? {
            0 => break,
            read => writer.write_all(chunk.get(..read).context("a chunk")?).await?,
        }
    }
    writer.shutdown().await?;
    there.await?
}
