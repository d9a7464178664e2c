//! Pictures of real screens.

mod guest;

use std::fs::File;
use std::io::BufReader;

use guest::{Ending, Guest};
use qemu::{Error, Machine, screenshot};

#[test]
fn the_screen_of_the_firmware_is_a_picture_with_something_on_it() {
    let guest = Guest::new("\nselix: up\n", Ending::Hang);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("screen.png");
    screenshot(&Machine::disk(guest.disk()), "selix: up", &file).unwrap();

    let mut reader = png::Decoder::new(BufReader::new(File::open(&file).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert!(frame.width >= 640 && frame.height >= 400, "{} by {}", frame.width, frame.height);
    assert!(pixels.iter().any(|&channel| channel > 0), "all is black");
}

#[test]
fn no_picture_is_taken_of_a_machine_that_fails_before() {
    let guest = Guest::new("\nselix: boot\n", Ending::TripleFault);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("screen.png");
    let error = screenshot(&Machine::disk(guest.disk()), "selix: up", &file).unwrap_err();
    assert!(matches!(error, Error::NoScreenshot(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("triple fault") && error.contains("selix: up"), "{error}");
    assert!(!file.exists());
}
