//! Writes items, each in its shortest form.

/// Puts items one after the other into bytes.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Nothing yet, with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Nothing, as a value.
    pub fn nil(&mut self) {
        self.out.push(0xc0);
    }

    /// True or false.
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    /// An unsigned number.
    pub fn uint(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            if value >= 0x80 {
                self.out.push(0xcc);
            }
            self.out.push(value);
        } else if let Ok(value) = u16::try_from(value) {
            self.out.push(0xcd);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.out.push(0xce);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else {
            self.out.push(0xcf);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// Text.
    pub fn str(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length @ 0..=31) => self.out.push(0xa0 | length),
            _ => self.length([Some(0xd9), Some(0xda), Some(0xdb)], text.len()),
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Bytes.
    pub fn bin(&mut self, bytes: &[u8]) {
        self.length([Some(0xc4), Some(0xc5), Some(0xc6)], bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// The head of a list of `count` items.
    pub fn array(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(count @ 0..=15) => self.out.push(0x90 | count),
            _ => self.length([None, Some(0xdc), Some(0xdd)], count),
        }
    }

    /// The head of a map of `count` keys and values.
    pub fn map(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(count @ 0..=15) => self.out.push(0x80 | count),
            _ => self.length([None, Some(0xde), Some(0xdf)], count),
        }
    }

    /// A length in the shortest of the forms with 8, 16 and 32 bits. Nothing of ours comes near 4 GiB.
    fn length(&mut self, forms: [Option<u8>; 3], length: usize) {
        let [form_8, form_16, form_32] = forms;
        if let (Some(form), Ok(length)) = (form_8, u8::try_from(length)) {
            self.out.extend_from_slice(&[form, length]);
        } else if let (Some(form), Ok(length)) = (form_16, u16::try_from(length)) {
            self.out.push(form);
            self.out.extend_from_slice(&length.to_be_bytes());
        } else if let Some(form) = form_32 {
            self.out.push(form);
            self.out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;

    #[test]
    fn writes_each_number_in_its_shortest_form() {
        let forms: [(u64, &str); 8] = [
            (0, "00"),
            (0x7f, "7f"),
            (0x80, "cc80"),
            (0xff, "ccff"),
            (0x100, "cd0100"),
            (0x1_0000, "ce00010000"),
            (0x1_0000_0000, "cf0000000100000000"),
            (u64::MAX, "cfffffffffffffffff"),
        ];
        for (value, form) in forms {
            let mut writer = Writer::default();
            writer.uint(value);
            let bytes = writer.into_bytes();
            assert_eq!(hex::encode(&bytes), form);
            assert_eq!(Reader::new(&bytes).unwrap().uint(), Ok(value));
        }
    }

    #[test]
    fn writes_each_length_in_its_shortest_form() {
        for (length, heads) in [
            (0, ["a0", "c400"]),
            (31, ["bf", "c41f"]),
            (32, ["d920", "c420"]),
            (256, ["da0100", "c50100"]),
            (65536, ["db00010000", "c600010000"]),
        ] {
            let text = "x".repeat(length);
            let mut writer = Writer::default();
            writer.str(&text);
            assert_eq!(hex::encode(writer.into_bytes()).strip_suffix(&"78".repeat(length)), Some(heads[0]));
            let mut writer = Writer::default();
            writer.bin(text.as_bytes());
            assert_eq!(hex::encode(writer.into_bytes()).strip_suffix(&"78".repeat(length)), Some(heads[1]));
        }
        for (count, heads) in [(0, ["90", "80"]), (15, ["9f", "8f"]), (16, ["dc0010", "de0010"])] {
            let mut writer = Writer::default();
            writer.array(count);
            writer.map(count);
            assert_eq!(hex::encode(writer.into_bytes()), heads.concat());
        }
    }
}
