//! The name a file gets here: what the other side calls it, made harmless.

use crate::output::is_harmful;

/// Longest name: with a dot before and `.waypost-part` behind it, it stays below the 255 bytes of most disks.
const MOST: usize = 200;
/// Longest ending that survives when a name is cut.
const ENDING: usize = 16;

/// A name that stays in its folder, hides nothing, and is no option of any command.
pub(super) fn harmless(name: &str) -> String {
    let clean = |letter: char| if matches!(letter, '/' | '\\') || is_harmful(letter) { '_' } else { letter };
    let name: String = name.trim().chars().map(clean).collect();
    let rest = name.trim_start_matches(['.', '-', '~', ' ']);
    let mut name = if rest.len() < name.len() { format!("_{rest}") } else { name };
    name.truncate(name.trim_end_matches(['.', ' ']).len());
    if name.is_empty() { "file".into() } else { cut(name) }
}

fn cut(mut name: String) -> String {
    if name.len() <= MOST {
        return name;
    }
    let ending = name.rfind('.').and_then(|dot| name.get(dot..)).filter(|ending| ending.len() <= ENDING);
    let ending = ending.unwrap_or_default().to_owned();
    name.truncate(name.floor_char_boundary(MOST - ending.len()));
    name + &ending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay() {
        for name in ["film.mkv", "Zoë – 2.tar.gz", "a b", "日本語.txt", "x", "a-b.c_d", "\u{1f469}\u{200d}\u{1f680}"]
        {
            assert_eq!(harmless(name), name);
        }
    }

    #[test]
    fn no_name_leaves_its_folder_or_hides() {
        for (name, is) in [
            ("../../etc/passwd", "__.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("..\\..\\boot.ini", "__.._boot.ini"),
            ("..", "_"),
            (".", "_"),
            ("", "file"),
            ("   ", "file"),
            (".bashrc", "_bashrc"),
            (".ssh/authorized_keys", "_ssh_authorized_keys"),
            ("-rf", "_rf"),
            ("~root", "_root"),
            ("- . -x", "_x"),
            ("a\0b\nc\x1b[31m", "a_b_c_[31m"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("a\u{200b}b\u{feff}", "a_b_"),
            ("trailing. . ", "trailing"),
        ] {
            assert_eq!(harmless(name), is, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = harmless(&("ü".repeat(300) + ".tar"));
        assert!(name.len() <= MOST && name.ends_with("ü.tar"), "{name}");
        assert!(harmless(&"x.".repeat(300)).len() <= MOST);
        assert!(harmless(&format!("a.{}", "b".repeat(500))).len() <= MOST);
    }
}
