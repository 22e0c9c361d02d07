//! Domain separation: what is signed or derived starts with a label of its own.

/// `SREMP/1 `, the name, one zero byte: `label!("identity")`.
macro_rules! label {
    ($name:literal) => {
        concat!("SREMP/1 ", $name, "\0").as_bytes()
    };
}
pub(crate) use label;

#[cfg(test)]
mod tests {
    #[test]
    fn ends_with_a_zero() {
        assert_eq!(hex::encode(label!("identity")), "5352454d502f31206964656e7469747900");
    }
}
