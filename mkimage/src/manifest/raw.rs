//! The shape of a manifest, before anything is known of its values.

use super::{Fault, MANIFEST_FORMAT, Position};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(rename = "format")]
    _format: i64,
    pub(super) name: Spanned<String>,
    pub(super) cmdline: Option<Spanned<String>>,
    pub(super) policy: Spanned<String>,
    pub(super) services: Option<Spanned<bool>>,
    pub(super) kernel: Kernel,
    pub(super) program: Spanned<Vec<Program>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kernel {
    pub(crate) package: Spanned<String>,
    pub(crate) bin: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub(super) name: Spanned<String>,
    pub(super) package: Spanned<String>,
    pub(super) bin: Option<Spanned<String>>,
    pub(super) boot: Option<Spanned<bool>>,
    pub(super) loads: Option<Spanned<bool>>,
}

/// Read first: what other formats have beside it is not known.
#[derive(Deserialize)]
struct Format {
    format: Spanned<i64>,
}

pub(super) fn parse(text: &str) -> Result<Manifest, Fault> {
    parse_format(text, MANIFEST_FORMAT)
}

/// Reads a manifest of this format, and of no other.
pub(crate) fn parse_format<T: DeserializeOwned>(text: &str, wanted: i64) -> Result<T, Fault> {
    let format: Format = toml::from_str(text).map_err(|e| fault(text, &e))?;
    let found = *format.format.get_ref();
    if found != wanted {
        let advice = match found {
            1 => "run `mkimage migrate MANIFEST`, and see the entry of UPDATING.md that names",
            _ => "see the entries of UPDATING.md that name",
        };
        let message = format!(
            "manifest format {found} is not known, this mkimage reads format {wanted}: \
             {advice} `manifest format`"
        );
        return Err(Fault { at: Position::of(text, format.format.span().start), message });
    }
    toml::from_str(text).map_err(|e| fault(text, &e))
}

fn fault(text: &str, error: &toml::de::Error) -> Fault {
    let start = error.span().map_or(0, |span| span.start);
    Fault { at: Position::of(text, start), message: error.message().to_owned() }
}
