//! The screen shows the log: pictures of it are compared with the serial port, character by character.

use crate::SHIPPED;
use crate::support::{bios, logs, made, uefi};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use qemu::{Machine, screenshot};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Characters in a row of a PC video card's text mode, and rows.
const TEXT_COLUMNS: usize = 80;
const TEXT_ROWS: usize = 25;
/// Pixel lines of a character in text mode above the cursor, which the boot loader leaves somewhere on the screen.
const ABOVE_CURSOR: usize = 13;
/// The font that the kernel draws with.
const FONT: (FontWeight, RasterHeight) = (FontWeight::Regular, RasterHeight::Size16);
const MEMORY_MIB: [u32; 3] = [64, 128, 6144];

/// Columns and rows of a cell in pixels.
type CellSize = (usize, usize);
/// Column, row and character of a cell.
type Cell = (usize, usize, char);

/// What a screen shows: of each pixel the red channel, since all text is grey.
struct Screen {
    width: usize,
    height: usize,
    light: Vec<u8>,
}

impl Screen {
    fn read(png: &Path) -> Self {
        const CHANNELS: usize = 3;
        let mut reader = png::Decoder::new(BufReader::new(File::open(png).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        let light = pixels.chunks_exact(CHANNELS).map(|pixel| pixel[0]).collect();
        Self { width: frame.width as usize, height: frame.height as usize, light }
    }

    fn black(width: usize, height: usize) -> Self {
        Self { width, height, light: vec![0; width * height] }
    }

    /// The pixels of a character, line by line.
    fn cell(&self, (width, height): CellSize, column: usize, row: usize) -> Vec<&[u8]> {
        (row * height..(row + 1) * height).map(|y| &self.light[y * self.width + column * width..][..width]).collect()
    }
}

/// The rows that the kernel's lines of a log fill on a screen of so many columns, each filled up with blanks. A last line
/// that was not all there yet is left out: the picture is a moment younger.
fn rows(log: &str, columns: usize) -> Vec<Vec<char>> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let lines = whole.lines().skip_while(|line| !line.starts_with("selix: "));
    let rows = lines.flat_map(|line| {
        let text: Vec<_> = line.trim_end().chars().collect();
        text.chunks(columns).map(|part| [part, &vec![' '; columns - part.len()]].concat()).collect::<Vec<_>>()
    });
    rows.collect()
}

/// The first cell that does not show its character of the log in the kernel's font.
fn wrong_glyph(screen: &Screen, log: &str) -> Option<Cell> {
    let size = (get_raster_width(FONT.0, FONT.1), FONT.1.val());
    let cells = cells(log, screen.width / size.0);
    cells.into_iter().find(|&(column, row, character)| {
        let glyph = get_raster(character, FONT.0, FONT.1).expect("the log is ASCII");
        (row + 1) * size.1 > screen.height || screen.cell(size, column, row) != glyph.rows().collect::<Vec<_>>()
    })
}

/// The first cell that looks otherwise than an earlier one with the same character, or like one with another. So nothing
/// needs to be known of the video card's font.
fn wrong_shape(screen: &Screen, log: &str) -> Option<Cell> {
    let size = (screen.width / TEXT_COLUMNS, screen.height / TEXT_ROWS);
    let (mut shapes, mut characters) = (HashMap::new(), HashMap::new());
    cells(log, TEXT_COLUMNS).into_iter().find(|&(column, row, character)| {
        let shape = screen.cell(size, column, row)[..ABOVE_CURSOR].concat();
        let same = *shapes.entry(character).or_insert_with(|| shape.clone()) == shape;
        !same || *characters.entry(shape).or_insert(character) != character
    })
}

/// Every cell that a log fills.
fn cells(log: &str, columns: usize) -> Vec<Cell> {
    let rows = rows(log, columns);
    assert!(rows.len() > 3 && rows.len() <= TEXT_ROWS, "the log would not fit a screen:\n{log}");
    let cells = rows.iter().enumerate().flat_map(|(y, row)| row.iter().enumerate().map(move |(x, &c)| (x, y, c)));
    cells.collect()
}

/// Boots with each amount of memory and looks for what is wrong with the screen.
fn shows_the_log(name: &str, machine: impl Fn(&Path) -> Machine, wrong: fn(&Screen, &str) -> Option<Cell>) {
    let made = made(SHIPPED).expect("the image is built");
    std::fs::create_dir_all(logs()).expect("a folder for the pictures");
    for mebibytes in MEMORY_MIB {
        let png = logs().join(format!("screen-{name}-{mebibytes}.png"));
        let machine = machine(&made.iso).memory_mib(mebibytes);
        let log = screenshot(&machine, "selix: up", &png).expect("the line comes");
        assert_eq!(wrong(&Screen::read(&png), &log), None, "see {}; the log is\n{log}", png.display());
    }
}

#[test]
fn text_mode_shows_the_log() {
    shows_the_log("bios", bios, wrong_shape);
}

#[test]
fn the_framebuffer_shows_the_log() {
    shows_the_log("uefi", uefi, wrong_glyph);
}

#[test]
fn a_black_screen_shows_no_log() {
    let log = "selix: one\nselix: two\nselix: three\nselix: up\n";
    assert_eq!(wrong_shape(&Screen::black(720, 400), log), Some((1, 0, 'e')));
    assert_eq!(wrong_glyph(&Screen::black(1280, 800), log), Some((0, 0, 's')));
    assert!(wrong_glyph(&Screen::black(1280, 40), log).is_some());
}
