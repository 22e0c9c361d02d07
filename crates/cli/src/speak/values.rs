//! Values in commands.

use serde::{Deserialize, Deserializer, de::Error};

/// A 64-bit id: decimal text, because many JSON readers spoil numbers that long; a number is read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let id = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        id.map(Self).ok_or_else(|| D::Error::custom("an id is a decimal number of 64 bits, as text"))
    }
}

/// A frame's code: a number, or up to 8 hex digits as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let code = number.or_else(|| value.as_str().and_then(|text| u32::from_str_radix(text, 16).ok()));
        code.map(Self).ok_or_else(|| D::Error::custom("a code is a number of 32 bits, or its hex digits as text"))
    }
}

/// Bytes in hex.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hex(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(|_| D::Error::custom("bytes are given in hex"))
    }
}
