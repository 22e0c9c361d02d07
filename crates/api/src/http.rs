//! JSON-RPC over HTTP POST `/rpc` and events as a stream of server-sent events at `/events`, for
//! programs on this machine that hold the token.
//!
//! A page in a browser must not reach it: requests need the token, the `Host` header must name this
//! listener (a name that an attacker's DNS points here does not), an `Origin` must be this listener
//! itself, and no CORS header is ever sent.

use crate::limits::{EVENT_STREAMS, REQUEST_BYTES, REQUEST_TIME, STOP_TIME};
use crate::openrpc::{SUBSCRIBE, UNSUBSCRIBE};
use crate::token::Token;
use crate::{Fault, rpc, service};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::Stream;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use waypost_node::{Events, Node};

/// Longest head of a request; ours are under a kilobyte.
const HEAD_BYTES: usize = 16 * 1024;

/// What all connections share.
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) token: Token,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    streams: Arc<Semaphore>,
}

impl Site {
    pub(crate) fn new(node: Node, token: Token, address: SocketAddr, stop: CancellationToken) -> Self {
        Self { node, token, address, stop, streams: Arc::new(Semaphore::new(EVENT_STREAMS)) }
    }

    /// Whether a `Host` or the end of an `Origin` names this listener.
    fn is_named(&self, host: &[u8]) -> bool {
        let port = self.address.port();
        let names = [self.address.to_string(), format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        names.iter().any(|name| host.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        if headers.get_all(header::HOST).iter().count() != 1
            || !headers.get(header::HOST).is_some_and(|host| self.is_named(host.as_bytes()))
        {
            return Err((StatusCode::MISDIRECTED_REQUEST, "the Host header does not name this listener\n"));
        }
        if let Some(origin) = headers.get(header::ORIGIN)
            && !origin.as_bytes().strip_prefix(b"http://").is_some_and(|host| self.is_named(host))
        {
            return Err((StatusCode::FORBIDDEN, "pages of other sites have no access\n"));
        }
        if !headers.get(header::AUTHORIZATION).is_some_and(|value| self.token.admits(value.as_bytes())) {
            return Err((
                StatusCode::UNAUTHORIZED,
                "send \"Authorization: Bearer TOKEN\" with the content of api.token\n",
            ));
        }
        Ok(())
    }
}

/// The routes, behind the checks.
pub(crate) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/rpc", post(call))
        .route("/events", get(stream))
        .layer(from_fn_with_state(site.clone(), admit))
        .with_state(site)
}

/// Serves one connection until the client leaves it or `stop`.
pub(crate) async fn serve_connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(STOP_TIME, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection over HTTP ended badly");
    }
}

async fn admit(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match site.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal @ (status, _)) => {
            let mut response = refusal.into_response();
            if status == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

async fn call(State(site): State<Arc<Site>>, headers: HeaderMap, body: Body) -> Response {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    if !json {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json\n").into_response();
    }
    let text = match timeout(REQUEST_TIME, to_bytes(body, REQUEST_BYTES)).await {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            let fault = Fault::too_long(format!("a request has at most {REQUEST_BYTES} bytes"));
            return json_response(StatusCode::PAYLOAD_TOO_LARGE, rpc::refusal(fault));
        }
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time\n").into_response(),
    };
    let answer = rpc::answer(&text, |request| async {
        match request.method.as_str() {
            SUBSCRIBE | UNSUBSCRIBE => Err(Fault::over_http()),
            _ => service::handle(&site.node, request).await,
        }
    })
    .await;
    match answer {
        Some(answer) => json_response(StatusCode::OK, answer),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn stream(State(site): State<Arc<Site>>, method: Method) -> Response {
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(permit) = site.streams.clone().try_acquire_owned() else {
        return (StatusCode::TOO_MANY_REQUESTS, "too many event streams are open; close one\n").into_response();
    };
    let events = events(site.node.events(), site.stop.clone(), permit);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// Each event under its own name, with all of it as JSON.
fn events(
    events: Events,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<SseEvent, axum::Error>> {
    futures::stream::unfold((events, stop, permit), |(mut events, stop, permit)| async {
        let event = tokio::select! {
            event = events.next() => event?,
            () = stop.cancelled() => return None,
        };
        Some((to_sse(&event), (events, stop, permit)))
    })
}

fn to_sse(event: &waypost_node::Event) -> Result<SseEvent, axum::Error> {
    let value = serde_json::to_value(event).map_err(axum::Error::new)?;
    let name = value.get("event").and_then(|name| name.as_str()).unwrap_or("event").to_owned();
    SseEvent::default().event(name).json_data(value)
}

fn json_response(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
