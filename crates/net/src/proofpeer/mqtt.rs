//! One connection to a broker, of either version of MQTT. Profile, MQTT.

use super::MqttVersion;
use super::url::{BrokerUrl, Scheme};
use rumqttc::v5::mqttbytes::v5 as five;
use rumqttc::{NetworkOptions, Outgoing, QoS, TlsConfiguration, Transport, v5};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

/// Requests that wait for a broker.
pub(super) const QUEUE: usize = 4096;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Seconds until a connection stands, TLS and MQTT included.
const CONNECT_SECS: u64 = 10;
/// Messages with QoS 1 that a broker has not confirmed yet; a broker of MQTT 5 can ask for fewer.
const IN_FLIGHT: u16 = 256;
/// Bytes of a packet that came with MQTT 3.1.1, where nobody can say what is wanted: far more than an envelope, which
/// is dropped by itself, since a larger packet costs the connection; but nothing that fills the memory.
const MAX_PACKET: usize = 16 << 20;
/// Bytes of a packet beside its payload.
const HEADER: usize = 1024;

/// What is sent by.
#[derive(Clone)]
pub(super) enum Client {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// What makes it go.
pub(super) enum EventLoop {
    V3(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// What happened on a connection.
pub(super) enum Happened {
    /// It stands.
    Connected {
        max_packet: Option<usize>,
        /// The broker takes QoS 0 alone.
        best_effort: bool,
    },
    /// A subscription has left, under this number.
    Subscribing(u16),
    /// The broker's answer to it.
    Subscribed { packet: u16, granted: bool },
    /// Something else of ours has left.
    Left,
    /// Our goodbye has left.
    SaidGoodbye,
    /// A message came.
    Message { topic: Vec<u8>, payload: Vec<u8>, retain: bool },
    /// Nothing of interest.
    Other,
}

/// What does not fit the queue.
pub(super) struct Full;

/// How a broker is connected to.
pub(super) struct Options {
    pub(super) url: BrokerUrl,
    pub(super) client_id: String,
    pub(super) version: MqttVersion,
    pub(super) tls: Arc<ClientConfig>,
    /// The largest payload of use.
    pub(super) envelope: usize,
}

impl Options {
    /// A connection that is opened by its first [`EventLoop::next`].
    pub(super) fn open(&self) -> (Client, EventLoop) {
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_SECS);
        // An address in brackets is no name that a certificate has.
        let host = match self.url.scheme.is_websocket() {
            true => self.url.to_string(),
            false => self.url.host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        };
        let login = self.url.login.as_ref().map(|(user, password)| (user.clone(), password.as_str().to_owned()));
        match self.version {
            MqttVersion::V3 => {
                let mut options = rumqttc::MqttOptions::new(&self.client_id, host, self.url.port);
                options.set_clean_session(true).set_keep_alive(KEEP_ALIVE).set_inflight(IN_FLIGHT);
                options.set_max_packet_size(MAX_PACKET, MAX_PACKET).set_transport(self.transport());
                if let Some((user, password)) = login {
                    options.set_credentials(user, password);
                }
                let (client, mut events) = rumqttc::AsyncClient::new(options, QUEUE);
                events.set_network_options(network);
                (Client::V3(client), EventLoop::V3(Box::new(events)))
            }
            MqttVersion::V5 => {
                let mut options = v5::MqttOptions::new(&self.client_id, host, self.url.port);
                options.set_clean_start(true).set_session_expiry_interval(Some(0)).set_keep_alive(KEEP_ALIVE);
                options.set_max_packet_size(u32::try_from(self.envelope + HEADER).ok());
                options.set_outgoing_inflight_upper_limit(IN_FLIGHT).set_transport(self.transport());
                options.set_connection_timeout(CONNECT_SECS).set_network_options(network);
                if let Some((user, password)) = login {
                    options.set_credentials(user, password);
                }
                let (client, events) = v5::AsyncClient::new(options, QUEUE);
                (Client::V5(client), EventLoop::V5(Box::new(events)))
            }
        }
    }

    fn transport(&self) -> Transport {
        let tls = || TlsConfiguration::Rustls(Arc::clone(&self.tls));
        match self.url.scheme {
            Scheme::Mqtt => Transport::tcp(),
            Scheme::Mqtts => Transport::tls_with_config(tls()),
            Scheme::Ws => Transport::ws(),
            Scheme::Wss => Transport::wss_with_config(tls()),
        }
    }
}

impl Client {
    /// Never retained. PP-8.1c.
    pub(super) fn publish(&self, topic: String, payload: Vec<u8>, once_at_least: bool) -> Result<(), Full> {
        let qos = if once_at_least { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        match self {
            Self::V3(client) => client.try_publish(topic, qos, false, payload).map_err(|_| Full),
            Self::V5(client) => {
                let qos = if once_at_least { five_qos() } else { v5::mqttbytes::QoS::AtMostOnce };
                client.try_publish(topic, qos, false, payload).map_err(|_| Full)
            }
        }
    }

    /// With QoS 1, and nothing that was retained where the version can say so.
    pub(super) fn subscribe(&self, topic: String) -> Result<(), Full> {
        match self {
            Self::V3(client) => client.try_subscribe(topic, QoS::AtLeastOnce).map_err(|_| Full),
            Self::V5(client) => {
                let filter = five::Filter {
                    path: topic,
                    qos: five_qos(),
                    nolocal: false,
                    preserve_retain: false,
                    retain_forward_rule: five::RetainForwardRule::Never,
                };
                client.try_subscribe_many([filter]).map_err(|_| Full)
            }
        }
    }

    pub(super) fn unsubscribe(&self, topic: String) -> Result<(), Full> {
        match self {
            Self::V3(client) => client.try_unsubscribe(topic).map_err(|_| Full),
            Self::V5(client) => client.try_unsubscribe(topic).map_err(|_| Full),
        }
    }

    /// After all that waits.
    pub(super) fn disconnect(&self) -> Result<(), Full> {
        match self {
            Self::V3(client) => client.try_disconnect().map_err(|_| Full),
            Self::V5(client) => client.try_disconnect().map_err(|_| Full),
        }
    }
}

const fn five_qos() -> v5::mqttbytes::QoS {
    v5::mqttbytes::QoS::AtLeastOnce
}

impl EventLoop {
    /// Reads, writes and keeps time until something happens. After an error there is nothing more.
    pub(super) async fn next(&mut self) -> Result<Happened, String> {
        match self {
            Self::V3(events) => {
                use rumqttc::{Event, Incoming, SubscribeReasonCode as Code};
                Ok(match events.poll().await.map_err(|error| error.to_string())? {
                    Event::Incoming(Incoming::ConnAck(_)) => {
                        Happened::Connected { max_packet: None, best_effort: false }
                    }
                    Event::Incoming(Incoming::SubAck(ack)) => {
                        let granted = ack.return_codes.iter().all(|code| matches!(code, Code::Success(_)));
                        Happened::Subscribed { packet: ack.pkid, granted }
                    }
                    Event::Incoming(Incoming::Publish(message)) => Happened::Message {
                        topic: message.topic.into_bytes(),
                        payload: message.payload.into(),
                        retain: message.retain,
                    },
                    Event::Incoming(_) => Happened::Other,
                    Event::Outgoing(outgoing) => left(&outgoing),
                })
            }
            Self::V5(events) => {
                use five::{Packet, SubscribeReasonCode as Code};
                Ok(match events.poll().await.map_err(|error| error.to_string())? {
                    v5::Event::Incoming(Packet::ConnAck(ack)) => {
                        let said = ack.properties;
                        let max_packet = said.as_ref().and_then(|said| usize::try_from(said.max_packet_size?).ok());
                        let best_effort = said.is_some_and(|said| said.max_qos == Some(0));
                        Happened::Connected { max_packet, best_effort }
                    }
                    v5::Event::Incoming(Packet::SubAck(ack)) => {
                        let granted = ack.return_codes.iter().all(|code| matches!(code, Code::Success(_)));
                        Happened::Subscribed { packet: ack.pkid, granted }
                    }
                    v5::Event::Incoming(Packet::Publish(message)) => Happened::Message {
                        topic: message.topic.into(),
                        payload: message.payload.into(),
                        retain: message.retain,
                    },
                    v5::Event::Incoming(_) => Happened::Other,
                    v5::Event::Outgoing(outgoing) => left(&outgoing),
                })
            }
        }
    }
}

fn left(outgoing: &Outgoing) -> Happened {
    match outgoing {
        Outgoing::Subscribe(packet) => Happened::Subscribing(*packet),
        Outgoing::Publish(_) | Outgoing::Unsubscribe(_) | Outgoing::AwaitAck(_) => Happened::Left,
        Outgoing::Disconnect => Happened::SaidGoodbye,
        _ => Happened::Other,
    }
}
