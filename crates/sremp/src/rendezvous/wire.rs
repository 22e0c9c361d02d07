//! What runs inside TLS: a header from each side, then `u32 length | message`. Profile, Rendezvous framing.

use crate::{
    Error, Message,
    version::{HEADER_LEN, OWN_HEADER, VersionHeader},
};

/// The protocol's name in TLS; a connection without it is closed.
pub const ALPN: &[u8] = b"sremp-rdv/1";
/// Largest message in bytes. Profile, Limits: memory.
pub const MAX_MESSAGE: usize = 65536;
/// Bytes of the length in front.
const LENGTH_LEN: usize = 4;

/// One side of a connection between a client and a rendezvous server: bytes to messages and back.
///
/// ```
/// # use waypost_sremp::{Error, Message, message::ListServersRequest, rendezvous::Framing};
/// let (mut client, mut server) = (Framing::client(), Framing::server());
/// client.send(&ListServersRequest {}.into())?;
/// let bytes = client.take_output();
/// let mut input = &bytes[..];
/// assert!(matches!(server.read(&mut input), Ok(Some(Message::ListServersRequest(_)))));
/// assert_eq!(server.take_output(), b"SREMP\x01\x00");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Framing {
    is_server: bool,
    /// Whether the other side's header was read and understood.
    is_agreed: bool,
    partial: Vec<u8>,
    out: Vec<u8>,
}

impl Framing {
    /// Speaks first: its header is already in [`take_output`](Self::take_output).
    pub fn client() -> Self {
        Self { is_server: false, is_agreed: false, partial: Vec::new(), out: OWN_HEADER.to_bytes().to_vec() }
    }

    /// Shows its header only to those who showed theirs.
    pub const fn server() -> Self {
        Self { is_server: true, is_agreed: false, partial: Vec::new(), out: Vec::new() }
    }

    /// Takes bytes from the front of `input` until a message is complete or the input is empty, so call it
    /// until it gives none. Holds at most one message that is not complete.
    ///
    /// After an error nothing more is to be read. The server answers it by ERROR (see
    /// [`Input::Fault`](super::Input::Fault)) if [`is_agreed`](Self::is_agreed), sends what is left in
    /// [`take_output`](Self::take_output), and both sides close.
    ///
    /// # Errors
    /// Malformed: another protocol, a length out of 1..=65536, a message that is none. VERSION: another
    /// major version.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        if !self.is_agreed && !self.read_header(input)? {
            return Ok(None);
        }
        self.fill(input, LENGTH_LEN);
        let Some(length) = self.partial.first_chunk::<LENGTH_LEN>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(1..=MAX_MESSAGE).contains(&length) {
            return Err(Error::Malformed("a message of this length"));
        }
        self.fill(input, LENGTH_LEN + length);
        if self.partial.len() < LENGTH_LEN + length {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.partial);
        Message::decode(whole.get(LENGTH_LEN..).unwrap_or_default()).map(Some)
    }

    /// Puts a message into the output.
    ///
    /// # Errors
    /// It is longer than a message may be here.
    pub fn send(&mut self, message: &Message) -> Result<(), Error> {
        let bytes = message.encode();
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_MESSAGE);
        let length = length.ok_or(Error::Limit("a message for a rendezvous server"))?;
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    /// The bytes to send, which may be none.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Bytes that wait to be sent.
    pub fn output_len(&self) -> usize {
        self.out.len()
    }

    /// Whether the other side has shown a header of this version: before that no message is sent to it but
    /// a client's requests.
    pub const fn is_agreed(&self) -> bool {
        self.is_agreed
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// Malformed: within the header or a message.
    pub fn finish(&self) -> Result<(), Error> {
        let is_whole = self.is_agreed && self.partial.is_empty();
        if is_whole { Ok(()) } else { Err(Error::Malformed("the stream ends within a message")) }
    }

    /// Whether the header is complete and of this version. A server shows its own to everybody who speaks
    /// SREMP, of whatever version.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        self.fill(input, HEADER_LEN);
        if !VersionHeader::is_begun_by(&self.partial) {
            return Err(Error::Malformed("not an SREMP header"));
        }
        let Some(header) = self.partial.first_chunk::<HEADER_LEN>() else { return Ok(false) };
        let header = VersionHeader::decode(header)?;
        self.partial.clear();
        if self.is_server {
            self.out.extend_from_slice(&OWN_HEADER.to_bytes());
        }
        OWN_HEADER.agree(header)?;
        self.is_agreed = true;
        Ok(true)
    }

    /// Moves bytes over until there are `wanted`.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(input.len());
        let (front, rest) = input.split_at(missing);
        self.partial.extend_from_slice(front);
        *input = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorCode,
        message::{ErrorMessage, ListServersRequest, LookupRequest},
    };
    use waypost_core::ContactId;

    fn requests() -> Vec<Message> {
        let target = Some(ContactId::from_bytes([3; 32]));
        vec![
            ListServersRequest {}.into(),
            LookupRequest { target_identity: target, list_all: false, after: None, limit: None }.into(),
            Message::Unknown { name: "NEWS".to_owned() },
        ]
    }

    fn read_all(side: &mut Framing, stream: &[u8], step: usize) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        for mut input in stream.chunks(step) {
            while let Some(message) = side.read(&mut input)? {
                messages.push(message);
            }
        }
        side.finish()?;
        Ok(messages)
    }

    /// SR-10.2a
    #[test]
    fn reads_the_same_messages_however_the_bytes_arrive() {
        let mut client = Framing::client();
        for request in requests() {
            client.send(&request).unwrap();
        }
        let stream = client.take_output();
        for step in [1, 2, 6, 7, 8, 1000] {
            let mut server = Framing::server();
            assert_eq!(read_all(&mut server, &stream, step), Ok(requests()), "{step}");
            assert_eq!(server.take_output(), OWN_HEADER.to_bytes());
        }
    }

    /// SR-10.2b: a header of another version is answered by the own one, anything else by nothing.
    #[test]
    fn shows_its_header_to_other_versions_and_nothing_to_other_protocols() {
        let mut server = Framing::server();
        assert_eq!(server.read(&mut &b"SREMP\x02\x00"[..]), Err(Error::Misbehaved(ErrorCode::Version)));
        assert_eq!((server.take_output(), server.is_agreed()), (OWN_HEADER.to_bytes().to_vec(), false));
        let mut server = Framing::server();
        assert!(matches!(server.read(&mut &b"GE"[..]), Err(Error::Malformed(_))));
        assert_eq!(server.take_output(), [0u8; 0]);
        let mut client = Framing::client();
        assert_eq!(client.take_output(), OWN_HEADER.to_bytes());
        assert_eq!(client.read(&mut &b"SREMP\x01\x09"[..]), Ok(None));
        assert!(client.is_agreed() && client.take_output().is_empty());
    }

    #[test]
    fn refuses_lengths_out_of_bounds_before_the_message_is_there() {
        let header = OWN_HEADER.to_bytes();
        for length in [0u32, 65537, u32::MAX] {
            let stream = [&header[..], &length.to_be_bytes()].concat();
            assert!(matches!(read_all(&mut Framing::server(), &stream, 99), Err(Error::Malformed(_))), "{length}");
        }
        let stream = [&header[..], &65536u32.to_be_bytes(), &[0xc1; 65536]].concat();
        assert!(Framing::server().read(&mut &stream[..stream.len() - 1]).is_ok());
        assert!(matches!(read_all(&mut Framing::server(), &stream, 99), Err(Error::Malformed(_))));
        for end in 0..header.len() + 4 {
            let cut = &stream[..end];
            assert_eq!(read_all(&mut Framing::server(), cut, 99).is_ok(), end == header.len());
        }
    }

    #[test]
    fn sends_nothing_longer_than_it_would_read() {
        let error = ErrorMessage { request: Some("x".repeat(MAX_MESSAGE)), ..ErrorMessage::new(ErrorCode::Internal) };
        let mut server = Framing::server();
        assert!(server.send(&error.into()).is_err());
        assert_eq!(server.output_len(), 0);
    }
}
