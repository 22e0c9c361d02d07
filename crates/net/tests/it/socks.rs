//! A small SOCKS5 proxy that remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use waypost_net::Proxy;

/// What a client wanted: the user name, and the host as it was given, `name:..` or `address:..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) user: String,
    pub(crate) host: String,
}

pub(crate) struct Socks {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Socks {
    /// Every name leads to this machine.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Asked>>>::default());
        let list = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let client = listener.accept().await.unwrap().0;
                tokio::spawn(serve(client, Arc::clone(&list)));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::new(self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, asked: Arc<Mutex<Vec<Asked>>>) -> Option<()> {
    let methods = client.read_u16().await.ok()? & 0xff;
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered).await.ok()?;
    assert!(offered.contains(&2));
    client.write_all(&[5, 2]).await.ok()?;
    assert_eq!(client.read_u8().await.ok()?, 1);
    let user = text(&mut client).await?;
    text(&mut client).await?;
    client.write_all(&[1, 0]).await.ok()?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await.ok()?;
    let host = match head {
        [5, 1, 0, 1] => format!("address:{}", std::net::Ipv4Addr::from(client.read_u32().await.ok()?)),
        [5, 1, 0, 3] => format!("name:{}", text(&mut client).await?),
        other => panic!("{other:?}"),
    };
    let port = client.read_u16().await.ok()?;
    asked.lock().unwrap().push(Asked { user, host });
    match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(mut server) => {
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
            copy_bidirectional(&mut client, &mut server).await.ok()?;
        }
        Err(_) => client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?,
    }
    Some(())
}

async fn text(client: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![0; client.read_u8().await.ok()?.into()];
    client.read_exact(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}
