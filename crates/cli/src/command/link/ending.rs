//! Ends of links in plain words, with the next step. Framelink profile, Tool (exit codes); Limits and errors.

use crate::failure::{Exit, Failure, LinkExit};
use std::io;
use waypost_core::ErrorKind;
use waypost_framelink::link::{End, Status};
use waypost_framelink::{Fault, code::error};
use waypost_net::{Error, KeyFault};

/// What an end was, for whoever used the link; nothing if all is well.
pub(super) fn failure(end: &End) -> Option<Failure> {
    let told = |exit, kind, message: &str, hint: &str| {
        let failure = Failure::new(kind, message).exiting(Exit::Link(exit));
        Some(if hint.is_empty() { failure } else { failure.or_hint(hint) })
    };
    if let (true, Some(fault)) = (end.in_handshake, end.fault) {
        let (kind, message, hint) = handshake(fault);
        return told(LinkExit::Handshake, kind, message, hint);
    }
    match (end.status, end.fault) {
        (Status::Closed, None) | (Status::Ended, _) => None,
        (Status::Closed, Some(_)) => told(
            LinkExit::Truncated,
            ErrorKind::Unreachable,
            "the connection broke before the other side had everything",
            "what came from there is complete; send again",
        ),
        (Status::Truncated, _) => told(
            LinkExit::Truncated,
            ErrorKind::Unreachable,
            "the stream was cut before its end: what arrived is genuine, but not all of it",
            "somebody or something between ended the connection, or the other side was killed; try again",
        ),
        (Status::Violation(_), _) if end.keyed_peer => told(
            LinkExit::Violation,
            ErrorKind::PeerFault,
            "the other side does not speak raw",
            "it speaks psk or hybrid: use --mode hybrid with --psk-file, or start the other side with --mode raw. \
             The block counts as used; make a new one",
        ),
        (Status::Violation(Fault::HsAuth), _) => {
            let (kind, message, hint) = handshake(Fault::HsAuth);
            told(LinkExit::Handshake, kind, message, hint)
        }
        (Status::Violation(fault), _) => told(
            LinkExit::Violation,
            ErrorKind::Security,
            &format!("a frame does not hold ({fault}): bytes were changed on the way, or the two sides differ"),
            "what was passed on before is genuine. In raw: is it the same block, --align, --mac-init and --seq-wrap \
             on both sides, and is one --role top and the other bottom?",
        ),
        (Status::Timeout, _) => told(
            LinkExit::Timeout,
            ErrorKind::Unreachable,
            "the other side gave no sign of life for too long, or a frame came too slowly",
            "is the connection up? --keepalive sets how long to wait",
        ),
        (Status::PeerError(code), _) => {
            let (message, hint) = by_peer(code, end.text.as_deref());
            told(LinkExit::Aborted, ErrorKind::Refused, &message, hint)
        }
        (Status::Aborted(code), _) => told(LinkExit::Aborted, ErrorKind::Environment, by_us(code), ""),
        (status, _) => told(LinkExit::Violation, ErrorKind::Internal, status.name(), ""),
    }
}

/// Why no link came to be.
const fn handshake(fault: Fault) -> (ErrorKind, &'static str, &'static str) {
    use ErrorKind as Kind;
    let cause = match fault {
        Fault::Rejected(reason) => Fault::from_reason(reason),
        _ => None,
    };
    match (fault, cause) {
        (Fault::BadKey, _) => (Kind::Security, "who connected does not know the key", "copy the key file to it"),
        (_, Some(Fault::BadKey)) => (
            Kind::Security,
            "the other side does not know this key",
            "both sides need the same key file: copy it from there, or add it there with another --psk-file",
        ),
        (Fault::HsAuth, _) => (
            Kind::Security,
            "wrong key, or somebody changed bytes on the way",
            "both sides need the same key file; if they have it, somebody is between them",
        ),
        (Fault::BadMode, _) => {
            (Kind::Refused, "who connected asked for a mode that is not allowed here", "allow it with --mode")
        }
        (_, Some(Fault::BadMode)) => (
            Kind::Refused,
            "the other side does not allow this mode",
            "give the --mode that it has, or allow this one there, like --mode hybrid,psk",
        ),
        (Fault::BadOptions, _) | (_, Some(Fault::BadOptions)) => {
            (Kind::Refused, "the two sides are set differently", "give the same --align on both")
        }
        (Fault::RoleClash, _) => (
            Kind::Refused,
            "both sides are the one that connects",
            "one of them must be `waypost link listen`; or what answers there only sends back what it gets",
        ),
        (Fault::BadVersion, _) | (_, Some(Fault::BadVersion)) => {
            (Kind::Refused, "the other side speaks another version of framelink", "update the older one of the two")
        }
        (_, Some(Fault::Busy)) => (Kind::Limit, "the other side has too many links", "try again later"),
        (Fault::NotFramelink, _) => (
            Kind::PeerFault,
            "what is there speaks no framelink of mode psk or hybrid",
            "is the port right? A side with --mode raw looks like this too",
        ),
        (Fault::HsTimeout, _) => (
            Kind::Unreachable,
            "the other side did not answer in time",
            "is the port right? Something accepts connections there and says nothing, as --mode raw does",
        ),
        (Fault::HsClosed, _) => (
            Kind::Unreachable,
            "the other side closed the connection before the link was established",
            "is the port right, and does `waypost link listen` run there? After ten failed tries in a minute it \
             turns an address away for a while",
        ),
        _ => (Kind::PeerFault, "the handshake failed", "try again; if it fails again, somebody may be between you"),
    }
}

/// What the other side said at its end.
fn by_peer(code: u32, text: Option<&str>) -> (String, &'static str) {
    let (words, hint) = match code {
        error::VIOLATION => ("it got frames that do not hold", "bytes were changed on the way; try again"),
        error::PROTOCOL => ("it says that we broke the protocol", "is it the same version there?"),
        error::TIMEOUT => ("we gave no sign of life for too long", "is the connection up? Try again"),
        error::UNSUPPORTED_CODE => (
            "it does not understand what we sent",
            "a pipe talks to a pipe, and `link send` to `link receive`: run the same sort on both sides",
        ),
        error::LOCAL_ABORT => ("its own side of the stream was broken off", ""),
        error::UPSTREAM => ("its target cannot be reached", "does the program at --target run there?"),
        error::OVERLOAD => ("it has too much to do", "try again later"),
        error::GOING_AWAY => ("it was stopped", "start it again"),
        _ => ("", ""),
    };
    let mut message = match words {
        "" => format!("the other side ended the link with ERROR {code}"),
        words => format!("the other side ended the link: {words}"),
    };
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        message = format!("{message} (\"{text}\")");
    }
    (message, hint)
}

/// Why this side ended it.
const fn by_us(code: u32) -> &'static str {
    match code {
        error::GOING_AWAY => "stopped",
        error::LOCAL_ABORT => "this side of the stream was broken off: whoever was there reads or writes no more",
        error::UPSTREAM => "the target cannot be reached",
        error::UNSUPPORTED_CODE => {
            "the other side sends something else than a stream; is it `waypost link send` or `receive`?"
        }
        _ => "this side ended the link",
    }
}

/// What is wrong with a key or block file.
pub(super) fn key_file(error: Error) -> Failure {
    let Error::KeyFile { file, reason } = &error else {
        return Failure::new(ErrorKind::Internal, error.to_string()).exiting(Exit::Link(LinkExit::KeyFile));
    };
    let (file, kind) = (file.display(), ErrorKind::BadInput);
    let (kind, message, hint) = match reason {
        KeyFault::Content(Fault::PskFormat) => {
            (kind, format!("{file} is not a key file"), "it holds one line that begins with FRAMELINK-PSK-1-")
        }
        KeyFault::Content(Fault::PskCheck) => {
            (kind, format!("the key in {file} has a typing error"), "copy the whole file again")
        }
        KeyFault::Content(Fault::PskWeak) => {
            (kind, format!("the key in {file} is no random one"), "make one with `waypost link keygen`")
        }
        KeyFault::Content(Fault::Perms) => (
            kind,
            format!("others can read {file}"),
            "run `chmod 600` on it, and make a new one if somebody may have read it; --insecure-perms takes it as it is",
        ),
        KeyFault::Content(Fault::BlockSize) => (
            kind,
            format!("{file} is not a block file: a block has 256 bytes"),
            "make one with `waypost link genblock`",
        ),
        KeyFault::Content(Fault::BlockWeak) => (
            kind,
            format!("both halves of the block in {file} have one key"),
            "make another with `waypost link genblock`",
        ),
        KeyFault::Content(Fault::BlockUsed) => (
            ErrorKind::Conflict,
            format!("the block in {file} was used in this role before; a second use would give both streams away"),
            "make a new one with `waypost link genblock` and copy it to the other side",
        ),
        KeyFault::File(error) => match error.kind() {
            io::ErrorKind::NotFound => (
                ErrorKind::NotFound,
                format!("there is no {file}"),
                "make it with `waypost link keygen` or copy it here",
            ),
            io::ErrorKind::AlreadyExists => {
                (ErrorKind::Conflict, format!("{file} exists; nothing was changed"), "choose another name")
            }
            _ => (ErrorKind::Environment, format!("cannot use {file}: {error}"), "look at the file and its folder"),
        },
        reason => (kind, format!("{file}: {reason}"), "make a new one"),
    };
    Failure::new(kind, message).or_hint(hint).exiting(Exit::Link(LinkExit::KeyFile))
}

/// Why there is no connection.
pub(super) fn network(error: &Error) -> Failure {
    match error {
        Error::Link(end) => failure(end).unwrap_or(Failure::Pipe),
        Error::Unreachable { .. } => Failure::new(ErrorKind::Unreachable, error.to_string())
            .or_hint("does `waypost link listen` run there, and is the port open in its firewall?")
            .exiting(Exit::Link(LinkExit::Handshake)),
        Error::Listen { .. } => super::unusable(ErrorKind::Conflict, error.to_string())
            .or_hint("choose another port, or 0 for one that is free"),
        other => super::unusable(ErrorKind::Internal, other.to_string()),
    }
}
