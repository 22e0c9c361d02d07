//! Messages and streams in both directions.

use super::{PATIENCE, connect, pair, psk};
use tokio::net::TcpListener;
use tokio::time::timeout;
use waypost_framelink::link::Status;
use waypost_framelink::{Mode, Settings, code};
use waypost_net::framelink::Link;

/// FL-3.1, FL-3.2
#[tokio::test]
async fn messages_of_all_sizes_arrive_whole_and_in_order() {
    let (top, bottom) = pair(Mode::Hybrid, Settings::default()).await;
    let sizes = [0, 1, 15, 16, 17, 65535, 65536, 65537, 5_000_000];
    let sender = async {
        for size in sizes {
            top.send(&vec![7; size]).await.unwrap();
        }
        top.send_frame(9, b"ours".to_vec()).await.unwrap();
        top.close();
    };
    let receiver = async {
        for size in sizes {
            let message = bottom.recv().await.unwrap().unwrap();
            assert_eq!((message.code, message.payload.len()), (code::DATA, size));
        }
        assert_eq!(bottom.recv().await.unwrap().unwrap().code, 9);
        assert_eq!(bottom.recv().await.unwrap(), None);
    };
    timeout(PATIENCE, async { tokio::join!(sender, receiver) }).await.unwrap();
    // The other direction goes on.
    bottom.send(b"still here").await.unwrap();
    bottom.close();
    assert_eq!(top.recv().await.unwrap().unwrap().payload, b"still here");
    assert_eq!(top.recv().await.unwrap(), None);
    let (first, second) = timeout(PATIENCE, async { tokio::join!(top.ended(), bottom.ended()) }).await.unwrap();
    assert_eq!((first.status, second.status), (Status::Closed, Status::Closed));
    assert!(top.peer_received().is_some_and(|seq| seq > 80));
}

/// Profile, Deadlock rule: nobody reads before everything is written.
async fn both_write_before_they_read(length: usize, buffers: u32) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stream, accepted) = tokio::join!(connect(listener.local_addr().unwrap(), Some(buffers)), listener.accept());
    let accepted = accepted.unwrap().0;
    let small = socket2::SockRef::from(&accepted);
    small.set_send_buffer_size(buffers as usize).unwrap();
    small.set_recv_buffer_size(buffers as usize).unwrap();
    let top = Link::connect(stream, psk(1), Mode::Psk, Settings::default()).unwrap();
    let bottom = Link::accept(accepted, vec![psk(1)], vec![Mode::Psk], Settings::default()).unwrap();
    let side = async |link: Link, fill: u8| {
        let write = async {
            for part in vec![fill; length].chunks(1 << 20) {
                link.send(part).await.unwrap();
            }
            link.close();
        };
        let read = async {
            let (mut buf, mut total) = (vec![0; 1 << 16], 0);
            loop {
                match link.read(&mut buf).await.unwrap() {
                    0 => break total,
                    read => total += read,
                }
            }
        };
        let ((), total) = tokio::join!(write, read);
        assert_eq!(total, length);
        link.ended().await.status
    };
    let both = async { tokio::join!(side(top, 1), side(bottom, 2)) };
    assert_eq!(timeout(PATIENCE, both).await.unwrap(), (Status::Closed, Status::Closed));
}

/// Threats: both sides write at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_send_64_mib_at_once_through_small_buffers() {
    both_write_before_they_read(64 << 20, 32 * 1024).await;
}

/// Threats: both sides write at once, and hardly anything fits between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_send_at_once_through_tiny_buffers() {
    both_write_before_they_read(300_000, 8 * 1024).await;
}
