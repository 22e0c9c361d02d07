//! Frames: `u16 length | Noise message`. SREMP A, profile SR-A2 and SR-4.1d.

use crate::Error;

/// Largest Noise message, with its tag. SREMP A.
pub const MAX_FRAME: usize = 65535;
/// Bytes of the length in front.
pub const LENGTH_LEN: usize = 2;

/// Cuts a stream into frames. Holds at most one frame that is not complete.
#[derive(Debug, Default)]
pub struct FrameReader {
    partial: Vec<u8>,
}

impl FrameReader {
    /// Takes bytes from the front of `input` until a frame is complete or the input is empty.
    ///
    /// The frame is given without its length. Bytes behind it stay in `input`.
    ///
    /// # Errors
    /// Malformed: a frame of length 0, or longer than `longest`.
    pub fn next<'a>(&mut self, input: &mut &'a [u8], longest: usize) -> Result<Option<Frame<'a>>, Error> {
        if self.partial.is_empty()
            && let Some((length, rest)) = input.split_first_chunk()
        {
            // The usual case: the whole frame is in the input, nothing is copied.
            let length = checked(*length, longest)?;
            if let Some((frame, rest)) = rest.split_at_checked(length) {
                *input = rest;
                return Ok(Some(Frame::Borrowed(frame)));
            }
        }
        self.fill(input, LENGTH_LEN);
        let Some(length) = self.partial.first_chunk() else { return Ok(None) };
        let whole = LENGTH_LEN + checked(*length, longest)?;
        self.fill(input, whole);
        if self.partial.len() < whole {
            return Ok(None);
        }
        Ok(Some(Frame::Gathered(std::mem::take(&mut self.partial))))
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// Malformed: within a frame.
    pub fn finish(&self) -> Result<(), Error> {
        if self.partial.is_empty() { Ok(()) } else { Err(Error::Malformed("the stream ends within a frame")) }
    }

    /// Moves bytes over until there are `wanted`.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(input.len());
        let (front, rest) = input.split_at(missing);
        self.partial.extend_from_slice(front);
        *input = rest;
    }
}

fn checked(length: [u8; LENGTH_LEN], longest: usize) -> Result<usize, Error> {
    match usize::from(u16::from_be_bytes(length)) {
        0 => Err(Error::Malformed("a frame of length 0")),
        length if length > longest => Err(Error::Malformed("a frame longer than expected here")),
        length => Ok(length),
    }
}

/// One complete frame, without its length.
#[derive(Debug)]
pub enum Frame<'a> {
    /// A part of the input.
    Borrowed(&'a [u8]),
    /// Put together from several inputs, the length still in front.
    Gathered(Vec<u8>),
}

impl AsRef<[u8]> for Frame<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Gathered(bytes) => bytes.get(LENGTH_LEN..).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(mut stream: &[u8], step: usize) -> Result<Vec<Vec<u8>>, Error> {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        while !stream.is_empty() {
            let (mut input, rest) = stream.split_at(step.min(stream.len()));
            stream = rest;
            while !input.is_empty() {
                if let Some(frame) = reader.next(&mut input, MAX_FRAME)? {
                    frames.push(frame.as_ref().to_vec());
                }
            }
        }
        reader.finish()?;
        Ok(frames)
    }

    /// SR-4.1d
    #[test]
    fn cuts_the_same_frames_however_the_bytes_arrive() {
        let mut stream = vec![0, 1, 0xaa, 0, 3, 1, 2, 3, 0xff, 0xff];
        stream.resize(stream.len() + MAX_FRAME, 7);
        for step in [1, 2, 3, 5, 1000, stream.len()] {
            let frames = frames(&stream, step).unwrap();
            assert_eq!(frames, [vec![0xaa], vec![1, 2, 3], vec![7; MAX_FRAME]], "{step}");
        }
    }

    /// SR-4.1d
    #[test]
    fn refuses_a_length_of_zero_and_a_stream_that_ends_within_a_frame() {
        for stream in [&[0, 0][..], &[0], &[0, 5, 1, 2], &[0, 1, 1, 0, 0]] {
            for step in [1, 9] {
                assert!(frames(stream, step).is_err(), "{stream:?}");
            }
        }
    }

    #[test]
    fn refuses_a_claim_longer_than_expected_before_the_frame_is_there() {
        let mut input: &[u8] = &[0, 33];
        assert!(FrameReader::default().next(&mut input, 32).is_err());
    }
}
