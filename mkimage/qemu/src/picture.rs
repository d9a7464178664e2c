//! A picture of the screen: read from QEMU's PPM file, written as PNG. Pure.

use std::io::Write;

/// Bytes of a pixel: red, green and blue.
const PIXEL_BYTES: usize = 3;
/// The format's name for binary pixels with three channels, see the manual page ppm(5).
const PPM: &str = "P6";
const FULL_BRIGHTNESS: &str = "255";

/// A picture with eight bits for each channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// Reads a PPM file, such as QEMU writes: without comments.
    pub(crate) fn from_ppm(file: &[u8]) -> Result<Self, String> {
        let mut rest = file;
        let mut word = || {
            let end = rest.iter().position(u8::is_ascii_whitespace).ok_or("the header is cut off")?;
            let (word, after) = rest.split_at(end);
            rest = &after[1..];
            std::str::from_utf8(word).map_err(|_| "the header is no text")
        };
        let (format, width, height, brightness) = (word()?, word()?, word()?, word()?);
        if format != PPM || brightness != FULL_BRIGHTNESS {
            return Err(format!("is {format} with brightness {brightness}, not {PPM} with {FULL_BRIGHTNESS}"));
        }
        let size = |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` is no size"));
        let (width, height) = (size(width)?, size(height)?);
        let bytes = (width as usize).checked_mul(height as usize).and_then(|pixels| pixels.checked_mul(PIXEL_BYTES));
        if bytes != Some(rest.len()) {
            return Err(format!("{width} by {height} pixels, but {} bytes of them", rest.len()));
        }
        Ok(Self { width, height, pixels: rest.to_vec() })
    }

    /// Writes it as PNG.
    pub(crate) fn write_png(&self, file: impl Write) -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_survives_the_way_from_ppm_to_png() {
        let picture = Picture::from_ppm(b"P6\n2 1\n255\n\x01\x02\x03\xff \n").unwrap();
        let mut png = Vec::new();
        picture.write_png(&mut png).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (2, 1));
        assert_eq!(pixels, b"\x01\x02\x03\xff \n");
    }

    #[test]
    fn a_file_that_is_no_picture_is_refused() {
        for (file, why) in [
            (&b""[..], "cut off"),
            (b"P6\n2 1\n255", "cut off"),
            (b"P5\n2 1\n255\n", "P5"),
            (b"P6\n2 1\n65535\n", "65535"),
            (b"P6\n2 -1\n255\n", "`-1`"),
            (b"P6\n2 1\n255\n12345", "5 bytes"),
            (b"P6\n2 1\n255\n1234567", "7 bytes"),
            (b"P6\n4294967295 4294967295\n255\n", "0 bytes"),
            (b"P6\n\xff 1\n255\n", "no text"),
        ] {
            let error = Picture::from_ppm(file).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
