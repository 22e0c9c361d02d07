//! The second pass: fields out of bytes that [`check`](super::check) found well-formed.

use super::head::Head;
use crate::Error;

/// Reads items one after the other, borrowing from the input.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
}

const WRONG_TYPE: Error = Error::Malformed("a field of another type");

impl<'a> Reader<'a> {
    /// Checks the bytes, then starts at their front.
    ///
    /// # Errors
    /// They are not exactly one well-formed item.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        super::check(bytes)?;
        Ok(Self { input: bytes })
    }

    /// An unsigned number, in whatever form it is written.
    ///
    /// # Errors
    /// Something else.
    pub fn uint(&mut self) -> Result<u64, Error> {
        match Head::read(&mut self.input)? {
            Head::Uint(value) => Ok(value),
            Head::Negative => Err(Error::Malformed("a number below zero")),
            _ => Err(WRONG_TYPE),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// Something else.
    pub fn bool(&mut self) -> Result<bool, Error> {
        match Head::read(&mut self.input)? {
            Head::Bool(value) => Ok(value),
            _ => Err(WRONG_TYPE),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// Something else.
    pub fn str(&mut self) -> Result<&'a str, Error> {
        match Head::read(&mut self.input)? {
            Head::Str(text) => Ok(text),
            _ => Err(WRONG_TYPE),
        }
    }

    /// Bytes; neither text nor a list of numbers.
    ///
    /// # Errors
    /// Something else.
    pub fn bin(&mut self) -> Result<&'a [u8], Error> {
        match Head::read(&mut self.input)? {
            Head::Bin(bytes) => Ok(bytes),
            _ => Err(WRONG_TYPE),
        }
    }

    /// The head of a list: how many items follow.
    ///
    /// # Errors
    /// Something else.
    pub fn array(&mut self) -> Result<usize, Error> {
        match Head::read(&mut self.input)? {
            Head::Array(count) => Ok(count),
            _ => Err(WRONG_TYPE),
        }
    }

    /// The head of a map: how many keys follow, each with its value.
    ///
    /// # Errors
    /// Something else.
    pub fn map(&mut self) -> Result<usize, Error> {
        match Head::read(&mut self.input)? {
            Head::Map(count) => Ok(count),
            _ => Err(WRONG_TYPE),
        }
    }

    /// Steps over a nil, if there is one.
    pub fn nil(&mut self) -> bool {
        match self.input.split_first() {
            Some((0xc0, rest)) => {
                self.input = rest;
                true
            }
            _ => false,
        }
    }

    /// Steps over one item, whatever it is.
    ///
    /// # Errors
    /// Bytes are missing.
    pub fn skip(&mut self) -> Result<(), Error> {
        let mut left = 1usize;
        while left > 0 {
            left -= 1;
            left += match Head::read(&mut self.input)? {
                Head::Array(count) => count,
                Head::Map(count) => 2 * count,
                _ => 0,
            };
        }
        Ok(())
    }
}
