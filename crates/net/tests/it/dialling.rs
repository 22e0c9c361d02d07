//! Where connections go: names, the address filter, a proxy.

use super::node::{Node, Pair, listening};
use super::servers::{Authority, PATIENCE, Server};
use super::socks::Socks;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use waypost_core::SrempAddress;
use waypost_net::rendezvous::{ClientCommand, ClientConfig, ClientEvent, ClientFault, RendezvousClient};
use waypost_net::sremp::{DriverCommand, DriverConfig, DriverEvent};
use waypost_net::{Dialling, Resolved};
use waypost_sremp::connection::Dialled;
use waypost_sremp::endpoint::{AddressFilter, Learned};
use waypost_sremp::{CloseReason, ErrorCode, LinkId};

fn by(socks: &Socks) -> Dialling {
    Dialling { proxy: Some(socks.proxy()), ..Dialling::default() }
}

fn to(host: &str, node: &Node) -> SrempAddress {
    SrempAddress { host: host.to_owned(), port: node.address().port }
}

fn connect(node: &Node, link: u64, to: SrempAddress, learned: Learned) -> LinkId {
    let (link, dialled) = (LinkId(link), Dialled::default());
    node.driver.command(DriverCommand::Dial { link, to, learned, dialled });
    link
}

async fn resolve(node: &mut Node, host: SrempAddress) -> Resolved {
    node.driver.command(DriverCommand::Resolve { ticket: 7, host });
    match node.next().await {
        DriverEvent::Resolved { ticket: 7, found } => found,
        other => panic!("not resolved: {other:?}"),
    }
}

/// Checklist 26: a name of others that resolves to a private address.
#[tokio::test]
async fn a_name_of_others_that_resolves_to_a_private_address_is_refused() {
    let listener = Node::start(2, listening()).await;
    let mut dialler = Node::start(1, DriverConfig::default()).await;
    let forbidden = CloseReason::Local(ErrorCode::Forbidden);
    for (n, host) in ["localhost", "127.0.0.1"].into_iter().enumerate() {
        let link = connect(&dialler, 100 + 2 * n as u64, to(host, &listener), Learned::FromOthers);
        assert_eq!(dialler.closed(link).await, forbidden, "{host}");
    }
    let filter = AddressFilter { allow_private_endpoints: true };
    let dialling = Dialling { filter, ..Dialling::default() };
    let mut allowed = Node::start(3, DriverConfig { dialling, ..DriverConfig::default() }).await;
    let link = connect(&allowed, 100, to("localhost", &listener), Learned::FromOthers);
    let mut listener = listener;
    assert_eq!(tokio::join!(allowed.ready(), listener.ready()).0, link);
}

#[tokio::test]
async fn looks_up_names_for_the_engine() {
    let mut node = Node::start(1, DriverConfig::default()).await;
    let host = |text: &str| text.parse::<SrempAddress>().unwrap();
    let Resolved::Addresses(found) = resolve(&mut node, host("localhost:7")).await else { panic!() };
    assert!(found.contains(&"127.0.0.1:7".parse().unwrap()), "{found:?}");
    let literal = Resolved::Addresses(vec!["[2001:db8::1]:7".parse().unwrap()]);
    assert_eq!(resolve(&mut node, host("[2001:db8::1]:7")).await, literal);
    assert_eq!(resolve(&mut node, host("nobody.invalid:7")).await, Resolved::Addresses(Vec::new()));
}

#[tokio::test]
async fn names_go_to_the_proxy_as_they_are() {
    let socks = Socks::start().await;
    let mut listener = Node::start(2, listening()).await;
    let config = DriverConfig { dialling: by(&socks), ..DriverConfig::default() };
    let mut dialler = Node::start(1, config).await;
    let name = to("someone.example", &listener);
    assert_eq!(resolve(&mut dialler, name.clone()).await, Resolved::ByProxy);
    let link = connect(&dialler, 100, name, Learned::FromOthers);
    let (out, into) = tokio::join!(dialler.ready(), listener.ready());
    assert_eq!(out, link);
    let mut pair = Pair { dialler, listener, out, into };
    pair.talk(1).await;
    assert_eq!(socks.asked()[0].host, "name:someone.example");
    // Who is dialled for another reason shares no way with it.
    let link = connect(&pair.dialler, 102, to("127.0.0.1", &pair.listener), Learned::FromUser);
    let (out, _) = tokio::join!(pair.dialler.ready(), pair.listener.ready());
    assert_eq!(out, link);
    let [first, second] = &socks.asked()[..] else { panic!() };
    assert_eq!(second.host, "address:127.0.0.1");
    assert_ne!(first.user, second.user);
}

#[tokio::test]
async fn others_cannot_send_us_to_near_things_by_the_proxy() {
    let socks = Socks::start().await;
    let listener = Node::start(2, listening()).await;
    let config = DriverConfig { dialling: by(&socks), ..DriverConfig::default() };
    let mut dialler = Node::start(1, config).await;
    for (n, host) in ["localhost", "127.0.0.1", "nas.local"].into_iter().enumerate() {
        let link = connect(&dialler, 100 + 2 * n as u64, to(host, &listener), Learned::FromOthers);
        assert_eq!(dialler.closed(link).await, CloseReason::Local(ErrorCode::Forbidden), "{host}");
    }
    assert_eq!(socks.asked(), []);
}

#[tokio::test]
async fn without_its_proxy_nobody_is_dialled() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dialling = Dialling { proxy: Some(gone.to_string().parse().unwrap()), ..Dialling::default() };
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut dialler = Node::start(1, DriverConfig { dialling: dialling.clone(), ..DriverConfig::default() }).await;
    let address = target.local_addr().unwrap().to_string().parse().unwrap();
    let link = connect(&dialler, 100, address, Learned::FromUser);
    assert_eq!(dialler.closed(link).await, CloseReason::Proxy);
    let (sender, mut news) = mpsc::channel(4);
    let client = RendezvousClient::start(ClientConfig { dialling, ..ClientConfig::default() }, sender);
    let server = format!("sremp-rdv://{}", target.local_addr().unwrap()).parse().unwrap();
    client.command(ClientCommand::Open { link: LinkId(1), server, learned: Learned::FromUser });
    let closed = timeout(PATIENCE, news.recv()).await.unwrap().unwrap();
    assert!(matches!(closed, ClientEvent::Closed { fault: Some(ClientFault::Proxy), .. }), "{closed:?}");
    tokio::select! {
        biased;
        accepted = target.accept() => panic!("dialled directly: {accepted:?}"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn rendezvous_servers_are_reached_by_the_proxy() {
    let (socks, authority) = (Socks::start().await, Authority::new());
    let server = Server::start(authority.server(&["rdv.example"])).await;
    let config = ClientConfig { dialling: by(&socks), tls: authority.client(), ..ClientConfig::default() };
    let (sender, mut news) = mpsc::channel(4);
    let client = RendezvousClient::start(config, sender);
    let server_uri = server.named("rdv.example");
    client.command(ClientCommand::Open { link: LinkId(1), server: server_uri, learned: Learned::FromUser });
    let opened = timeout(PATIENCE, news.recv()).await.unwrap().unwrap();
    assert!(matches!(opened, ClientEvent::Opened { server_id, .. } if server_id == server.id), "{opened:?}");
    assert_eq!(socks.asked()[0].host, "name:rdv.example");
}

#[tokio::test]
async fn a_probe_finds_who_speaks_sremp_and_nobody_else() {
    let node = Node::start(2, listening()).await;
    let filter = AddressFilter { allow_private_endpoints: true };
    let dialling = Dialling { filter, ..Dialling::default() };
    let endpoint = |address: String| address.parse().unwrap();
    let there = endpoint(node.address().to_string());
    assert!(dialling.probe(&there, PATIENCE).await);
    assert!(!Dialling::default().probe(&there, PATIENCE).await, "a private address");
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = endpoint(other.local_addr().unwrap().to_string());
    let closes = async { drop(other.accept().await.unwrap()) };
    assert!(!tokio::join!(dialling.probe(&address, PATIENCE), closes).0);
}
