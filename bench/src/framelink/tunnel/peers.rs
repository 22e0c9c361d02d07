//! spiped and stunnel, each as two processes.

use super::load::{Tunnel, exit};
use crate::child::{Server, free_address};
use anyhow::{Context, Result};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};
use tokio::runtime::Runtime;

/// Those that are on this machine.
pub(super) fn start(runtime: &Runtime, folder: &Path, notes: &mut Vec<String>) -> Result<Vec<Tunnel>> {
    let mut tunnels = Vec::new();
    for (program, arguments, start) in [
        ("spiped", ["-v"], spiped as fn(&Path, [SocketAddr; 3]) -> Result<[Command; 2]>),
        ("stunnel4", ["-version"], stunnel),
    ] {
        let Some(name) = version(program, &arguments) else {
            notes.push(format!("{program} is not on this machine: its figures are missing"));
            continue;
        };
        let folder = folder.join(program);
        fs::create_dir(&folder)?;
        let exit = exit()?;
        let [middle, entry] = [free_address()?, free_address()?];
        let [mut far, mut near] = start(&folder, [entry, middle, exit.local_addr()?])?;
        let mut far = Server::start(far.stdout(Stdio::null()), &folder.join("far.log"))?;
        runtime.block_on(far.listens(middle))?;
        let mut near = Server::start(near.stdout(Stdio::null()), &folder.join("near.log"))?;
        runtime.block_on(near.listens(entry))?;
        tunnels.push(Tunnel { name, entry, exit, _servers: vec![near, far] });
    }
    Ok(tunnels)
}

/// The program's name and version, as it says itself.
fn version(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let number = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(format!("{program} {number}"))
}

/// AES-256-CTR and HMAC-SHA-256, with the key exchange that it has by default.
fn spiped(folder: &Path, [entry, middle, exit]: [SocketAddr; 3]) -> Result<[Command; 2]> {
    let key = folder.join("key");
    fs::write(&key, [0x5a; 32])?;
    let side = |does: &str, from: SocketAddr, to: SocketAddr| {
        let mut command = Command::new("spiped");
        command.args(["-F", does, "-s", &bracketed(from), "-t", &bracketed(to), "-k"]).arg(&key);
        command.arg("-p").arg(folder.join(format!("pid{does}")));
        command
    };
    Ok([side("-d", middle, exit), side("-e", entry, middle)])
}

/// How spiped writes an address that needs no look-up.
fn bracketed(address: SocketAddr) -> String {
    format!("[{}]:{}", address.ip(), address.port())
}

/// TLS 1.3 with a certificate, which the connecting side does not check: that costs nothing per byte.
fn stunnel(folder: &Path, [entry, middle, exit]: [SocketAddr; 3]) -> Result<[Command; 2]> {
    let made = rcgen::generate_simple_self_signed(["bench.test".to_owned()])?;
    let certificate = folder.join("certificate.pem");
    fs::write(&certificate, made.signing_key.serialize_pem() + &made.cert.pem())?;
    let certificate = certificate.to_str().context("a folder's name that is not UTF-8")?;
    let side = |name: &str, from: SocketAddr, to: SocketAddr, more: &str| -> Result<Command> {
        let file = folder.join(name);
        let settings = format!(
            "foreground = yes\npid =\ndebug = err\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n\
             [bench]\naccept = {from}\nconnect = {to}\nsslVersion = TLSv1.3\n{more}\n"
        );
        fs::write(&file, settings)?;
        let mut command = Command::new("stunnel4");
        command.arg(file);
        Ok(command)
    };
    Ok([
        side("far.conf", middle, exit, &format!("cert = {certificate}"))?,
        side("near.conf", entry, middle, "client = yes")?,
    ])
}
