//! QR codes: in the terminal, as PNG and as SVG.

use crate::failure::Failure;
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use waypost_core::ErrorKind;

/// Modules of light around the code, as the standard wants.
const QUIET: usize = 4;

/// Pixels of a PNG a module.
const SCALE: usize = 8;

/// The code of one text.
pub(crate) struct Qr {
    code: QrCode,
}

impl Qr {
    /// Makes the code with as much redundancy as fits.
    pub(crate) fn new(text: &str) -> Result<Self, Failure> {
        QrCode::with_error_correction_level(text, EcLevel::M)
            .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L))
            .map(|code| Self { code })
            .map_err(|_| Failure::new(ErrorKind::Limit, "this is too long for a QR code").or_hint("share it as a link"))
    }

    /// Two modules a character. In color it is dark on light whatever the terminal's colors are;
    /// without, light modules are drawn, as most terminals are dark.
    pub(crate) fn terminal(&self, color: bool) -> String {
        let size = self.size();
        let mut text = String::new();
        for y in (0..size).step_by(2) {
            if color {
                text.push_str("\x1b[30;107m");
            }
            for x in 0..size {
                let (top, bottom) = (self.is_dark(x, y), self.is_dark(x, y + 1) && y + 1 < size);
                // What is drawn: dark modules in color, light ones without.
                text.push(match (top == color, bottom == color) {
                    (true, true) => '\u{2588}',
                    (true, false) => '\u{2580}',
                    (false, true) => '\u{2584}',
                    (false, false) => ' ',
                });
            }
            text.push_str(if color { "\x1b[0m\n" } else { "\n" });
        }
        text
    }

    /// Writes a new black and white PNG.
    pub(crate) fn write_png(&self, path: &Path) -> Result<(), Failure> {
        let pixels = self.size() * SCALE;
        let side = u32::try_from(pixels).unwrap_or(u32::MAX);
        let mut rows = Vec::with_capacity(pixels * pixels.div_ceil(8));
        for y in 0..pixels {
            for byte in 0..pixels.div_ceil(8) {
                let light = |bit: usize| u8::from(!self.is_dark((8 * byte + bit) / SCALE, y / SCALE));
                rows.push((0..8).fold(0, |byte, bit| byte << 1 | light(bit)));
            }
        }
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&rows))
            .map_err(|error| Failure::new(ErrorKind::Internal, format!("cannot make the PNG: {error}")))?;
        write_new(path, &bytes)
    }

    /// Writes a new SVG.
    pub(crate) fn write_svg(&self, path: &Path) -> Result<(), Failure> {
        let text = self.code.render::<svg::Color<'_>>().quiet_zone(true).build();
        write_new(path, text.as_bytes())
    }

    fn size(&self) -> usize {
        self.code.width() + 2 * QUIET
    }

    /// Coordinates begin in the quiet zone.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = QUIET..QUIET + self.code.width();
        inside.contains(&x) && inside.contains(&y) && self.code[(x - QUIET, y - QUIET)] == Color::Dark
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::file("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_quiet_zone_of_four_modules_around_the_code() {
        let text = Qr::new("waypost").unwrap().terminal(false);
        let lines: Vec<&str> = text.lines().collect();
        // 21 modules and twice 4 of quiet zone; light is drawn.
        assert_eq!((lines.len(), lines[0].chars().count()), (15, 29));
        assert_eq!(lines[0], "\u{2588}".repeat(29));
        assert!(lines[2].starts_with("\u{2588}\u{2588}\u{2588}\u{2588} "));
    }

    #[test]
    fn is_the_negative_in_color() {
        let text = Qr::new("waypost").unwrap().terminal(true);
        assert!(text.lines().nth(2).unwrap().starts_with("\x1b[30;107m    \u{2588}"));
    }

    #[test]
    fn takes_a_long_text_with_less_redundancy_and_refuses_one_too_long() {
        assert!(Qr::new(&"x".repeat(2900)).is_ok());
        assert!(Qr::new(&"x".repeat(3000)).is_err());
    }

    #[test]
    fn writes_files_and_overwrites_none() {
        let folder = tempfile::tempdir().unwrap();
        let (png, svg) = (folder.path().join("a.png"), folder.path().join("a.svg"));
        let code = Qr::new("waypost").unwrap();
        code.write_png(&png).unwrap();
        code.write_svg(&svg).unwrap();
        assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
        assert!(std::fs::read_to_string(&svg).unwrap().contains("<svg"));
        assert!(code.write_png(&png).is_err());
    }
}
