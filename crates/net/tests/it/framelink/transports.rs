//! Links over what is not TCP. FL-0.3

use super::{PATIENCE, psk};
use std::process::Stdio;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::timeout;
use waypost_framelink::link::Status;
use waypost_framelink::{Fault, Mode, Settings};
use waypost_net::Error;
use waypost_net::framelink::{Link, Pipes, Transport};

async fn converse(top: impl Transport, bottom: impl Transport) {
    let top = Link::connect(top, psk(1), Mode::Hybrid, Settings::default()).unwrap();
    let bottom = Link::accept(bottom, vec![psk(1)], vec![Mode::Hybrid], Settings::default()).unwrap();
    let talk = async {
        top.send(&[3; 200_000]).await.unwrap();
        top.close();
        assert_eq!(bottom.recv().await.unwrap().unwrap().payload, [3; 200_000]);
        assert_eq!(bottom.recv().await.unwrap(), None);
        bottom.close();
        assert_eq!(top.recv().await.unwrap(), None);
        assert_eq!(top.ended().await.status, Status::Closed);
    };
    timeout(PATIENCE, talk).await.unwrap();
}

#[tokio::test]
async fn a_unix_socket_carries_a_link() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    converse(ours, theirs).await;
}

/// As with ssh: the other end is whatever the child's input and output lead to.
#[tokio::test]
async fn the_pipes_of_child_processes_carry_a_link() {
    let child = || {
        let piped = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = piped.unwrap();
        (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child)
    };
    let ((to_bottom, from_top, _one), (to_top, from_bottom, _other)) = (child(), child());
    converse(Pipes { reader: from_bottom, writer: to_bottom }, Pipes { reader: from_top, writer: to_top }).await;
}

/// Threats: a reflected M1.
#[tokio::test]
async fn a_process_that_sends_everything_back_is_no_peer() {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let pipes = Pipes { reader: child.stdout.take().unwrap(), writer: child.stdin.take().unwrap() };
    let link = Link::connect(pipes, psk(1), Mode::Hybrid, Settings::default()).unwrap();
    let Err(Error::Link(end)) = timeout(PATIENCE, link.opened()).await.unwrap() else { panic!("a link with itself") };
    assert_eq!(end.fault, Some(Fault::RoleClash));
}

/// Several small pieces instead of one: a stream has no borders.
#[tokio::test]
async fn a_narrow_stream_of_any_kind_carries_a_link() {
    let (ours, theirs) = tokio::io::duplex(100);
    converse(Pipes::of(ours), theirs).await;
}
