//! Framelinks over sockets of this machine.

mod files;
mod listener;
mod transfer;
mod transports;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use waypost_framelink::{Mode, Psk, Settings};
use waypost_net::framelink::{Accepted, Link, ListenLimits, Listener, ListenerOptions};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn psk(seed: u8) -> Psk {
    Psk::from_bytes(std::array::from_fn(|index| seed ^ u8::try_from(index).unwrap())).unwrap()
}

fn listen(psks: Vec<Psk>, settings: Settings, limits: ListenLimits) -> (Listener, CancellationToken) {
    let stop = CancellationToken::new();
    let options = ListenerOptions { psks, modes: vec![Mode::Hybrid, Mode::Psk], settings, limits };
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options, &stop).unwrap();
    (listener, stop)
}

/// Connects with socket buffers of a size.
async fn connect(to: SocketAddr, buffers: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(size) = buffers {
        socket.set_send_buffer_size(size).unwrap();
        socket.set_recv_buffer_size(size).unwrap();
    }
    socket.connect(to).await.unwrap()
}

/// Both ends of a link over TCP.
async fn pair(mode: Mode, settings: Settings) -> (Link, Link) {
    let (mut listener, _stop) = listen(vec![psk(1)], settings.clone(), ListenLimits::default());
    let stream = connect(listener.local_addr(), None).await;
    let top = Link::connect(stream, psk(1), mode, settings).unwrap();
    top.opened().await.unwrap();
    let Accepted { link: bottom, .. } = listener.accept().await.unwrap();
    (top, bottom)
}
