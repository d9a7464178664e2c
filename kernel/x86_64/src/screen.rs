//! Text on the screen: in the text mode of PC video cards, or drawn into a framebuffer.

use crate::boot_info::{Display, Surface};
use crate::memory::{Cache, Memory};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

const GLYPH_HEIGHT: u32 = RasterHeight::Size16.val() as u32;
const GLYPH_WIDTH: u32 = get_raster_width(FontWeight::Regular, RasterHeight::Size16) as u32;
/// Grey on black.
const TEXT_ATTRIBUTE: u16 = 0x0700;
/// Bytes of a character in text mode.
const CELL: u64 = 2;
/// Bytes of a pixel.
const PIXEL: u64 = 4;

/// A screen that shows lines of text. Its memory is written and never read: reading a framebuffer is slow,
/// and what stands there is whatever a device says.
pub struct Screen {
    display: Display,
    /// Virtual address of the display's memory.
    memory: u64,
    columns: u32,
    rows: u32,
    column: u32,
    row: u32,
}

impl Screen {
    /// Maps the display and clears it; `None` if it cannot be mapped or has no room for text.
    pub fn new(display: Display, memory: &mut Memory) -> Option<Self> {
        let (surface, cache, columns, rows, line) = match display {
            Display::Text(s) => (s, Cache::Off, s.width, s.height, u64::from(s.width) * CELL),
            Display::Pixels(s, _) => {
                (s, Cache::Combining, s.width / GLYPH_WIDTH, s.height / GLYPH_HEIGHT, u64::from(s.width) * PIXEL)
            }
        };
        let Surface { address, pitch, height, .. } = surface;
        if columns == 0 || rows == 0 || line > pitch.into() || !address.is_multiple_of(PIXEL) {
            return None;
        }
        let mapped = memory.map_device(address, u64::from(pitch) * u64::from(height), cache)?;
        let mut screen = Self { display, memory: mapped, columns, rows, column: 0, row: 0 };
        for row in 0..rows {
            screen.clear_row(row);
        }
        Some(screen)
    }

    /// Shows a character; what is not printable ASCII shows as `?`. At the end of the screen it goes on at the top, with an
    /// empty line below the newest: scrolling would read the memory.
    pub fn put(&mut self, byte: u8) {
        if byte == b'\n' || self.column == self.columns {
            self.column = 0;
            self.row = (self.row + 1) % self.rows;
            self.clear_row(self.row);
            if self.rows > 1 {
                self.clear_row((self.row + 1) % self.rows);
            }
        }
        if byte != b'\n' {
            let shown = if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' };
            self.draw(self.column, self.row, shown);
            self.column += 1;
        }
    }

    fn clear_row(&mut self, row: u32) {
        for column in 0..self.columns {
            self.draw(column, row, b' ');
        }
    }

    fn draw(&mut self, column: u32, row: u32, byte: u8) {
        match self.display {
            Display::Text(surface) => {
                let at = u64::from(row) * u64::from(surface.pitch) + u64::from(column) * CELL;
                // SAFETY: column and row are on the screen, whose lines fit the pitch; all of it is mapped.
                unsafe { ((self.memory + at) as *mut u16).write_volatile(TEXT_ATTRIBUTE | u16::from(byte)) };
            }
            Display::Pixels(surface, shifts) => {
                let Some(glyph) = get_raster(byte.into(), FontWeight::Regular, RasterHeight::Size16) else {
                    return;
                };
                for (y, line) in (row * GLYPH_HEIGHT..).zip(glyph.rows()) {
                    let start = u64::from(y) * u64::from(surface.pitch) + u64::from(column * GLYPH_WIDTH) * PIXEL;
                    for (x, &grey) in (0..).zip(line) {
                        let pixel = shifts.iter().map(|shift| u32::from(grey) << shift).sum();
                        // SAFETY: the glyph lies on the screen, whose lines fit the pitch; all of it is mapped.
                        unsafe { ((self.memory + start + x * PIXEL) as *mut u32).write_volatile(pixel) };
                    }
                }
            }
        }
    }
}
