//! Reads images of every format that there has been, converts manifests of older formats, and merges policies.

mod format1;
pub mod manifest;
pub mod merge;

use crate::image::{self, Image, ImageError, v1};

/// Reads an image of any known format. [`Image::to_bytes`] writes it in the current one.
///
/// Only the container is judged: an image for another ABI version stays one, and has to be built again to boot.
///
/// # Errors
/// That the format is unknown, or the first thing that is wrong.
pub fn read(bytes: &[u8]) -> Result<Image, ImageError> {
    match image::format_of(bytes)? {
        1 => v1::read(bytes),
        unknown => Err(ImageError::Format(unknown)),
    }
}
