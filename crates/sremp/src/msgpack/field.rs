//! Values a field can have, and how each is written.

use super::{Reader, Record, Writer};
use crate::Error;
use crate::crypto::{ed25519::Signature, x25519::PublicKey};
use std::{fmt, ops::Deref};
use waypost_core::{ContactId, LetterId, Wall};
use zeroize::Zeroize;

/// A value of a record's field.
pub trait Field: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The next item is of another type or out of range.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error>;

    /// Writes it.
    fn write(&self, writer: &mut Writer);

    /// What stands for a key that is left out, where that is allowed.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether the key is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Field> Field for Option<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        if reader.nil() { Ok(None) } else { T::read(reader).map(Some) }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Some(value) => value.write(writer),
            None => writer.nil(),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        // Grows as items come: a claimed length costs nothing.
        let count = reader.array()?;
        (0..count).map(|_| T::read(reader)).collect()
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(self.len());
        for item in self {
            item.write(writer);
        }
    }
}

impl<T: Record> Field for T {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        T::read_fields(reader)
    }

    fn write(&self, writer: &mut Writer) {
        self.write_fields(writer);
    }
}

/// Bytes of any length.
#[derive(Clone, Default, PartialEq, Eq, Hash, Zeroize)]
pub struct Blob(pub Vec<u8>);

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Field for Blob {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.bin().map(|bytes| Self(bytes.to_vec()))
    }

    fn write(&self, writer: &mut Writer) {
        writer.bin(&self.0);
    }
}

impl<const N: usize> Field for [u8; N] {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.bin()?.try_into().map_err(|_| Error::Malformed("bytes of another length"))
    }

    fn write(&self, writer: &mut Writer) {
        writer.bin(self);
    }
}

macro_rules! bytes_field {
    ($($name:ty: $take:expr, $give:expr;)*) => {$(
        impl Field for $name {
            fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
                Field::read(reader).map($take)
            }

            fn write(&self, writer: &mut Writer) {
                let give: fn(&Self) -> &[u8] = $give;
                writer.bin(give(self));
            }
        }
    )*};
}

bytes_field! {
    ContactId: Self::from_bytes, |key| key.as_bytes();
    LetterId: Self::from_bytes, |id| id.as_bytes();
    PublicKey: Self, |key| &key.0;
    Signature: Self, |signature| &signature.0;
}

macro_rules! uint_field {
    ($($name:ty),*) => {$(
        impl Field for $name {
            fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
                Self::try_from(reader.uint()?).map_err(|_| Error::Malformed("a number out of range"))
            }

            fn write(&self, writer: &mut Writer) {
                writer.uint(u64::from(*self));
            }
        }
    )*};
}

uint_field!(u16, u32, u64);

impl Field for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.bool()
    }

    fn write(&self, writer: &mut Writer) {
        writer.bool(*self);
    }
}

impl Field for String {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.str().map(str::to_owned)
    }

    fn write(&self, writer: &mut Writer) {
        writer.str(self);
    }
}

/// 9999-12-31T23:59:59.999Z.
const LAST_MOMENT: u64 = 253_402_300_799_999;

/// SREMP 10.1, profile SR-10.1d: a moment is its Unix milliseconds.
impl Field for Wall {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        match reader.uint()? {
            millis @ 0..=LAST_MOMENT => Ok(Self::from_millis(millis)),
            _ => Err(Error::Malformed("a moment after the year 9999")),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.as_millis().min(LAST_MOMENT));
    }
}

/// Text to bytes, in the order they were written. Equal keys do not get past the check.
impl Field for Vec<(String, Blob)> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let count = reader.map()?;
        (0..count).map(|_| Ok((String::read(reader)?, Blob::read(reader)?))).collect()
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(self.len());
        for (key, value) in self {
            writer.str(key);
            writer.bin(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR-10.1d
    #[test]
    fn ends_time_with_the_year_9999() {
        let last = super::super::encode(&Wall::from_millis(LAST_MOMENT));
        assert_eq!(super::super::decode::<Wall>(&last), Ok(Wall::from_millis(LAST_MOMENT)));
        let beyond = super::super::encode(&(LAST_MOMENT + 1));
        assert!(super::super::decode::<Wall>(&beyond).is_err());
    }

    #[test]
    fn takes_only_the_exact_number_of_bytes() {
        assert!(super::super::decode::<[u8; 2]>(&[0xc4, 2, 1, 2]).is_ok());
        assert!(super::super::decode::<[u8; 2]>(&[0xc4, 1, 1]).is_err());
        assert!(super::super::decode::<[u8; 2]>(&[0x92, 1, 2]).is_err());
        assert!(super::super::decode::<[u8; 2]>(&[0xa2, 1, 2]).is_err());
    }
}
