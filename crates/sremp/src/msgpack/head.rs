//! One item: its type, its value, and for containers how many items follow.

use crate::Error;

/// The first part of an item. Strings and bytes are complete; a container's items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    Nil,
    Bool(bool),
    Uint(u64),
    /// Below zero: no field of the profile takes it, an unknown one may.
    Negative,
    Str(&'a str),
    Bin(&'a [u8]),
    Array(usize),
    Map(usize),
}

impl<'a> Head<'a> {
    /// Reads the next item's head and moves `input` behind it.
    pub(super) fn read(input: &mut &'a [u8]) -> Result<Self, Error> {
        let [first] = array(input)?;
        Ok(match first {
            0x00..=0x7f => Self::Uint(u64::from(first)),
            0x80..=0x8f => Self::map(input, usize::from(first & 0x0f))?,
            0x90..=0x9f => Self::array(input, usize::from(first & 0x0f))?,
            0xa0..=0xbf => Self::Str(text(input, usize::from(first & 0x1f))?),
            0xc0 => Self::Nil,
            0xc2 => Self::Bool(false),
            0xc3 => Self::Bool(true),
            0xc4 => Self::Bin(length_8(input).and_then(|length| bytes(input, length))?),
            0xc5 => Self::Bin(length_16(input).and_then(|length| bytes(input, length))?),
            0xc6 => Self::Bin(length_32(input).and_then(|length| bytes(input, length))?),
            0xcc => Self::Uint(u64::from(u8::from_be_bytes(array(input)?))),
            0xcd => Self::Uint(u64::from(u16::from_be_bytes(array(input)?))),
            0xce => Self::Uint(u64::from(u32::from_be_bytes(array(input)?))),
            0xcf => Self::Uint(u64::from_be_bytes(array(input)?)),
            0xd0 => Self::signed(i64::from(i8::from_be_bytes(array(input)?))),
            0xd1 => Self::signed(i64::from(i16::from_be_bytes(array(input)?))),
            0xd2 => Self::signed(i64::from(i32::from_be_bytes(array(input)?))),
            0xd3 => Self::signed(i64::from_be_bytes(array(input)?)),
            0xd9 => Self::Str(length_8(input).and_then(|length| text(input, length))?),
            0xda => Self::Str(length_16(input).and_then(|length| text(input, length))?),
            0xdb => Self::Str(length_32(input).and_then(|length| text(input, length))?),
            0xdc => length_16(input).and_then(|count| Self::array(input, count))?,
            0xdd => length_32(input).and_then(|count| Self::array(input, count))?,
            0xde => length_16(input).and_then(|count| Self::map(input, count))?,
            0xdf => length_32(input).and_then(|count| Self::map(input, count))?,
            0xe0..=0xff => Self::Negative,
            // The type that is never used, float and ext.
            0xc1 | 0xc7..=0xcb | 0xd4..=0xd8 => return Err(Error::Malformed("a type that is not allowed")),
        })
    }

    fn signed(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Negative, Self::Uint)
    }

    /// Each item takes at least one byte: a larger claim is refused before anybody allocates for it.
    fn array(input: &[u8], count: usize) -> Result<Self, Error> {
        if count > input.len() { Err(CUT) } else { Ok(Self::Array(count)) }
    }

    fn map(input: &[u8], count: usize) -> Result<Self, Error> {
        if count > input.len() / 2 { Err(CUT) } else { Ok(Self::Map(count)) }
    }
}

const CUT: Error = Error::Malformed("bytes are missing");

fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Error> {
    let (front, rest) = input.split_first_chunk().ok_or(CUT)?;
    *input = rest;
    Ok(*front)
}

fn bytes<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], Error> {
    let (front, rest) = input.split_at_checked(length).ok_or(CUT)?;
    *input = rest;
    Ok(front)
}

fn text<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes(input, length)?).map_err(|_| Error::Malformed("text is not UTF-8"))
}

fn length_8(input: &mut &[u8]) -> Result<usize, Error> {
    array(input).map(|[length]| usize::from(length))
}

fn length_16(input: &mut &[u8]) -> Result<usize, Error> {
    array(input).map(|bytes| usize::from(u16::from_be_bytes(bytes)))
}

fn length_32(input: &mut &[u8]) -> Result<usize, Error> {
    usize::try_from(u32::from_be_bytes(array(input)?)).map_err(|_| CUT)
}
