//! The 24 recovery words of BIP-39 (English list): 32 bytes and a checksum a person can write down.

use crate::Error;
use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

const COUNT: usize = 24;

/// The words of a root, one space between two.
pub(crate) fn words_of(root: &[u8; 32]) -> Zeroizing<String> {
    // 24 words of at most 8 letters: room enough that the string never moves.
    let mut text = Zeroizing::new(String::with_capacity(COUNT * 9));
    // 32 bytes are always a right length.
    if let Ok(mnemonic) = Mnemonic::from_entropy_in(Language::English, root) {
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    text
}

/// The root of the words; capitals and any white space between words do not matter.
pub(crate) fn root_of(words: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    if words.len() > 1024 {
        return Err(Error::BadWords("far too long".to_owned()));
    }
    let mut text = Zeroizing::new(String::with_capacity(words.len() + 1));
    let mut count = 0;
    for word in words.split_whitespace() {
        if count > 0 {
            text.push(' ');
        }
        text.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
        count += 1;
    }
    if count != COUNT {
        return Err(Error::BadWords(format!("24 words are needed, these are {count}")));
    }
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &text).map_err(|error| {
        Error::BadWords(match error {
            // Where, not what: errors end up on screens and in logs.
            bip39::Error::UnknownWord(index) => format!("word {} is not in the list", index + 1),
            bip39::Error::InvalidChecksum => {
                "one word is wrong or two are exchanged (the checksum does not fit)".to_owned()
            }
            _ => "they cannot be read".to_owned(),
        })
    })?;
    let entropy = Zeroizing::new(mnemonic.to_entropy_array());
    let mut root = Zeroizing::new([0; 32]);
    let (bytes, len) = &*entropy;
    match bytes.first_chunk::<32>() {
        Some(first) if *len == 32 => root.copy_from_slice(first),
        _ => return Err(Error::BadWords("they cannot be read".to_owned())),
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_words_of_the_standard() {
        // The test vectors published with BIP-39: 32 bytes of 0x00 and of 0x80.
        let zeros = format!("{} art", ["abandon"; 23].join(" "));
        assert_eq!(*words_of(&[0; 32]), zeros);
        assert_eq!(*root_of(&zeros).unwrap(), [0; 32]);
        let eighties = "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor \
                        acoustic avoid letter advice cage absurd amount doctor acoustic bless";
        assert_eq!(*words_of(&[0x80; 32]), eighties);
        assert_eq!(*root_of(&eighties.to_uppercase().replace(' ', "\n\t ")).unwrap(), [0x80; 32]);
    }

    #[test]
    fn say_what_is_wrong_without_repeating_them() {
        let says = |words: &str| root_of(words).unwrap_err().to_string();
        assert!(says("abandon abandon").contains("these are 2"));
        assert!(says(&["abandon"; 24].join(" ")).contains("checksum"));
        let unknown = format!("abandon xyzzy {}", ["abandon"; 22].join(" "));
        assert!(says(&unknown).contains("word 2 is not in the list"), "{}", says(&unknown));
        assert!(!says(&unknown).contains("xyzzy"));
        assert!(says(&"a ".repeat(10_000)).contains("too long"));
    }
}
