//! SRV records of a real name server.

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::net::SocketAddr;
use tokio::net::UdpSocket;
use waypost_net::bootstrap::{SrvLookup, SrvRecord, SrvResolver};

/// A name server that knows the rendezvous servers of one domain.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let answer = answer(&Message::from_vec(&buffer[..length]).unwrap());
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

fn answer(query: &Message) -> Message {
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    let asked = query.queries[0].clone();
    let is_known = asked.name().to_ascii() == "_sremp-rdv._tcp.example.org." && asked.query_type() == RecordType::SRV;
    if is_known {
        for (priority, target) in [(5, "RDV1.example.org."), (9, "rdv2.example.org.")] {
            let srv = SRV::new(priority, 1, 4455, Name::from_ascii(target).unwrap());
            answer.add_answer(Record::from_rdata(asked.name().clone(), 60, RData::SRV(srv)));
        }
    } else {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.add_query(asked);
    answer
}

/// SR-11.3
#[tokio::test]
async fn finds_the_servers_of_a_domain() {
    let resolver = SrvResolver::asking(name_server().await);
    let mut found = resolver.srv("_sremp-rdv._tcp.example.org.").await;
    found.sort_by_key(|record| record.priority);
    let record = |priority, target: &str| SrvRecord { priority, weight: 1, port: 4455, target: target.to_owned() };
    assert_eq!(found, [record(5, "rdv1.example.org"), record(9, "rdv2.example.org")]);
    assert_eq!(resolver.srv("_sremp-rdv._tcp.example.com.").await, []);
    assert_eq!(resolver.srv("not a name at all, and ..longer.").await, []);
}
