//! The shape of a manifest, before anything is known of its values.

use super::{Fault, MANIFEST_FORMAT, Position};
use serde::Deserialize;
use toml::Spanned;

type Names = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(rename = "format")]
    _format: i64,
    pub(super) name: Spanned<String>,
    pub(super) cmdline: Option<Spanned<String>>,
    pub(super) kernel: Kernel,
    pub(super) program: Spanned<Vec<Program>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    pub(super) package: Spanned<String>,
    pub(super) bin: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub(super) name: Spanned<String>,
    pub(super) package: Spanned<String>,
    pub(super) bin: Option<Spanned<String>>,
    pub(super) priority: Option<Spanned<i64>>,
    pub(super) cpu: Option<Spanned<i64>>,
    pub(super) root: Option<Spanned<bool>>,
    pub(super) pager: Option<Spanned<bool>>,
    pub(super) loads: Option<Spanned<bool>>,
    pub(super) grants_for_others: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) traps: Names,
    #[serde(default)]
    pub(super) sends: Names,
    #[serde(default)]
    pub(super) calls: Names,
    #[serde(default)]
    pub(super) memory: Names,
}

/// Read first: what other formats have beside it is not known.
#[derive(Deserialize)]
struct Format {
    format: Spanned<i64>,
}

pub(super) fn parse(text: &str) -> Result<Manifest, Fault> {
    let format: Format = toml::from_str(text).map_err(|e| fault(text, &e))?;
    if *format.format.get_ref() != MANIFEST_FORMAT {
        let message = format!(
            "manifest format {} is not known, this mkimage reads format {MANIFEST_FORMAT}: \
             see the entries of UPDATING.md that name `manifest format`",
            format.format.get_ref()
        );
        return Err(Fault { at: Position::of(text, format.format.span().start), message });
    }
    toml::from_str(text).map_err(|e| fault(text, &e))
}

fn fault(text: &str, error: &toml::de::Error) -> Fault {
    let start = error.span().map_or(0, |span| span.start);
    Fault { at: Position::of(text, start), message: error.message().to_owned() }
}
