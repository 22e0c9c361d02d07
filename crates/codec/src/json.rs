//! JSON that every reader understands alike.
//!
//! Beyond the grammar: valid UTF-8 without a byte order mark, a bound on nesting, no member named twice in one
//! object (after escapes are read), no lone surrogate, no number beyond a finite double. Integers are told from
//! other numbers by how they are written.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent, not below zero.
    Uint(u64),
    /// A number without fraction and exponent, below zero.
    Negative(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object, its members as they were written.
    Object(Object),
}

/// The members of an object, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

/// Not such a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not strict JSON: {0}")]
pub struct NotStrict(String);

/// Reads one value; nothing but white space may be around it.
///
/// # Errors
/// [`NotStrict`], with the place.
pub fn parse(bytes: &[u8], depth: usize) -> Result<Value, NotStrict> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { depth }.deserialize(&mut reader).map_err(|error| NotStrict(error.to_string()))?;
    reader.end().map_err(|error| NotStrict(error.to_string()))?;
    Ok(value)
}

impl Value {
    /// The object.
    pub const fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer from 0 up.
    pub const fn as_uint(&self) -> Option<u64> {
        match self {
            Self::Uint(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The list.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

impl Object {
    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All members.
    pub fn members(&self) -> &[(String, Value)] {
        &self.0
    }
}

/// Compact, members in the order they have.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Uint(number) => write!(f, "{number}"),
            Self::Negative(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{}", serde_json::Value::from(*number)),
            Self::String(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Object(object) => {
                f.write_str("{")?;
                for (at, (name, value)) in object.0.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", serde_json::Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Uint(number) => (*number).into(),
            Value::Negative(number) => (*number).into(),
            Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Self::Null, Self::Number),
            Value::String(text) => text.as_str().into(),
            Value::Array(items) => items.iter().map(Self::from).collect(),
            Value::Object(object) => object
                .0
                .iter()
                .map(|(name, value)| (name.clone(), Self::from(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Reads a value of at most this depth.
struct Seed {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Uint(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(u64::try_from(number).map_or(Value::Negative(number), Value::Uint))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { depth })? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let (mut object, mut names) = (Vec::new(), BTreeSet::new());
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a member is named twice"));
            }
            object.push((name, members.next_value_seed(Seed { depth })?));
        }
        Ok(Value::Object(Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Value> {
        parse(text.as_bytes(), 3).ok()
    }

    #[test]
    fn tells_integers_from_other_numbers() {
        assert_eq!(read("1"), Some(Value::Uint(1)));
        assert_eq!(read("-1"), Some(Value::Negative(-1)));
        for text in ["1.0", "1e0", "-0", "18446744073709551616"] {
            assert!(matches!(read(text), Some(Value::Float(_))), "{text}");
        }
        for text in ["1e999", "NaN", "Infinity", "01", "+1", "1."] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_two_readers_could_take_differently() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#""\ud800""#,
            "\u{feff}{}",
            "{} {}",
            "// no\n{}",
            "[[[[]]]]",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read("[[[]]]").is_some());
        assert!(read(r#" {"a":1,"A":2} "#).is_some());
        assert!(parse(b"\"\xff\"", 3).is_err());
    }

    #[test]
    fn finds_members() {
        let value = read(r#"{"a":"x","b":[true,null]}"#).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.get("a").and_then(Value::as_str), Some("x"));
        assert_eq!(object.get("b").and_then(Value::as_array).map(<[_]>::len), Some(2));
        assert!(!object.has("c"));
        assert_eq!(serde_json::Value::from(&value).to_string(), r#"{"a":"x","b":[true,null]}"#);
        let text = r#"{"b":[true,null,-1,1.5],"a":"\"\\"}"#;
        assert_eq!(read(text).unwrap().to_string(), text);
    }
}
