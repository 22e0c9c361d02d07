//! Records: maps with the field names as keys.

use super::{Field, Reader, Writer};
use crate::Error;

/// A struct of the profile. Written by the macro `record!`.
pub trait Record: Sized {
    /// Reads the map: known keys in any order, unknown ones skipped.
    ///
    /// # Errors
    /// Not a map, a required key is missing, a field of another type.
    fn read_fields(reader: &mut Reader<'_>) -> Result<Self, Error>;

    /// Writes the map: keys in the profile's order, absent ones left out.
    fn write_fields(&self, writer: &mut Writer);
}

/// Decodes bytes that are exactly one value.
///
/// # Errors
/// Malformed.
pub fn decode<T: Field>(bytes: &[u8]) -> Result<T, Error> {
    T::read(&mut Reader::new(bytes)?)
}

/// Encodes a value.
pub fn encode<T: Field>(value: &T) -> Vec<u8> {
    let mut writer = Writer::default();
    value.write(&mut writer);
    writer.into_bytes()
}

/// Declares a struct and how it travels: a map of its fields by name, `Option` ones may be left out.
macro_rules! record {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::msgpack::Record for $name {
            fn read_fields(reader: &mut $crate::msgpack::Reader<'_>) -> Result<Self, $crate::Error> {
                $(let mut $field: Option<$type> = None;)*
                for _ in 0..reader.map()? {
                    match reader.str()? {
                        $(stringify!($field) => $field = Some($crate::msgpack::Field::read(reader)?),)*
                        _ => reader.skip()?,
                    }
                }
                Ok(Self {
                    $($field: $field
                        .or_else(<$type as $crate::msgpack::Field>::absent)
                        .ok_or($crate::Error::Malformed(concat!("no ", stringify!($field))))?,)*
                })
            }

            fn write_fields(&self, writer: &mut $crate::msgpack::Writer) {
                writer.map(0 $(+ usize::from(!$crate::msgpack::Field::is_absent(&self.$field)))*);
                $(if !$crate::msgpack::Field::is_absent(&self.$field) {
                    writer.str(stringify!($field));
                    $crate::msgpack::Field::write(&self.$field, writer);
                })*
            }
        }
    )*};
}
pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        struct Pair {
            first: u16,
            second: Option<bool>,
        }
    }

    /// SR-10.1c
    #[test]
    fn reads_known_keys_in_any_order_and_skips_the_rest() {
        let bytes = [0x83, 0xa1, b'x', 0x91, 0xc0, 0xa6, b's', b'e', b'c', b'o', b'n', b'd', 0xc3]
            .into_iter()
            .chain([0xa5, b'f', b'i', b'r', b's', b't', 7])
            .collect::<Vec<_>>();
        let pair: Pair = decode(&bytes).unwrap();
        assert_eq!(pair, Pair { first: 7, second: Some(true) });
        assert_eq!(encode(&Pair { first: 7, second: None }), [0x81, 0xa5, b'f', b'i', b'r', b's', b't', 7]);
    }
}
