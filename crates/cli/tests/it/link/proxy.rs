//! Somebody between two sides of a link, who ends and changes what passes.

use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};

/// What becomes of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It goes through.
    Pass,
    /// After so many bytes to the listening side it ends, as a broken connection does.
    Cut(u64),
    /// One bit of the byte at this place on the way to the listening side is turned.
    Flip(u64),
}

/// Listens, and knows how many bytes went through in both directions.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) passed: watch::Receiver<u64>,
    /// Dropped to end all connections.
    pub(crate) cut: watch::Sender<bool>,
}

impl Proxy {
    /// Before `to`; the connections have these fates, and those after them pass.
    pub(crate) async fn before(to: SocketAddr, fates: Vec<Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, passed) = watch::channel(0);
        let (cut, cuts) = watch::channel(false);
        let count = Arc::new(count);
        tokio::spawn(async move {
            let mut fates = fates.into_iter();
            while let Ok((near, _)) = listener.accept().await {
                let fate = fates.next().unwrap_or(Fate::Pass);
                let (count, mut cuts) = (Arc::clone(&count), cuts.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        () = pass(near, far, fate, &count) => {}
                        _ = cuts.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Self { address, passed, cut }
    }

    /// Waits until so many bytes have passed.
    pub(crate) async fn passed(&mut self, bytes: u64) {
        tokio::time::timeout(crate::people::DEADLINE, self.passed.wait_for(|passed| *passed >= bytes))
            .await
            .expect("so much does not pass")
            .unwrap();
    }
}

async fn pass(near: TcpStream, far: TcpStream, fate: Fate, count: &watch::Sender<u64>) {
    let (mut near_in, near_out) = near.into_split();
    let (mut far_in, far_out) = far.into_split();
    let (near_out, far_out) = (Mutex::new(near_out), Mutex::new(far_out));
    let onward = async {
        let (mut seen, mut buf) = (0_u64, vec![0; 16384]);
        loop {
            let read = near_in.read(&mut buf).await.unwrap_or(0);
            let mut bytes = buf[..read].to_vec();
            match fate {
                Fate::Cut(after) if seen + read as u64 >= after => {
                    bytes.truncate(usize::try_from(after - seen).unwrap());
                    let _ = far_out.lock().await.write_all(&bytes).await;
                    return true;
                }
                Fate::Flip(at) if (seen..seen + read as u64).contains(&at) => {
                    bytes[usize::try_from(at - seen).unwrap()] ^= 0x10;
                }
                _ => {}
            }
            seen += read as u64;
            let mut far_out = far_out.lock().await;
            if read == 0 {
                let _ = far_out.shutdown().await;
                return false;
            }
            if far_out.write_all(&bytes).await.is_err() {
                return true;
            }
            count.send_modify(|count| *count += read as u64);
        }
    };
    let back = async {
        let mut buf = vec![0; 16384];
        loop {
            let read = far_in.read(&mut buf).await.unwrap_or(0);
            let mut near_out = near_out.lock().await;
            if read == 0 {
                let _ = near_out.shutdown().await;
                return false;
            }
            if near_out.write_all(&buf[..read]).await.is_err() {
                return true;
            }
            count.send_modify(|count| *count += read as u64);
        }
    };
    tokio::pin!(onward, back);
    let (mut onward_over, mut back_over) = (false, false);
    while !(onward_over && back_over) {
        let broken = tokio::select! {
            broken = &mut onward, if !onward_over => { onward_over = true; broken }
            broken = &mut back, if !back_over => { back_over = true; broken }
        };
        if broken {
            return;
        }
    }
}

/// Resets a connection, as a program that dies does.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}
