//! `mkimage migrate`.

use super::Outcome;
use mkimage::fsutil;
use mkimage::image::MAGIC;
use mkimage::manifest::ManifestError;
use mkimage::migrate::{self, merge};
use std::path::{Path, PathBuf};

/// Bring an image, a manifest or a local policy up to date
///
/// An image of an older format is written as NEW in the current one.
///
/// A manifest of an older format is rewritten, in place if there is no NEW, and its programs' authority goes into a policy file.
///
/// With --base and --newer, OLD is a policy that was changed locally: it is merged, block by block, with the newer one. Where both have
/// changed a block, NEW has both texts, with marks, and the exit code is 1: a policy with marks is refused by every other command.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// What to read
    old: PathBuf,
    /// What to write
    new: Option<PathBuf>,
    /// For a manifest: the policy file to write, relative to the manifest; with its name and the ending `.conf` if it is not given
    #[arg(long, value_name = "FILE", conflicts_with = "base")]
    policy: Option<String>,
    /// For a policy: the one that the local changes began with
    #[arg(long, value_name = "FILE", requires = "newer")]
    base: Option<PathBuf>,
    /// For a policy: the one to merge with
    #[arg(long, value_name = "FILE", requires = "base", requires = "new")]
    newer: Option<PathBuf>,
}

impl Migrate {
    pub(super) fn run(self) -> Outcome {
        if let (Some(base), Some(newer), Some(new)) = (&self.base, &self.newer, &self.new) {
            return policy(base, &self.old, newer, new);
        }
        let bytes = fsutil::read(&self.old)?;
        match String::from_utf8(bytes) {
            Ok(text) if !text.as_bytes().starts_with(&MAGIC) => self.manifest(&text),
            Ok(text) => self.image(text.as_bytes()),
            Err(error) => self.image(error.as_bytes()),
        }
    }

    fn image(&self, bytes: &[u8]) -> Outcome {
        let Some(new) = &self.new else {
            return Err("an image is written to another file: name that, as `mkimage migrate OLD NEW`".into());
        };
        let image = migrate::read(bytes).map_err(|e| format!("{} {e}", self.old.display()))?;
        if let Err(error) = image.verify() {
            eprintln!("mkimage: warning: {} {error}", self.old.display());
        }
        Ok(fsutil::write_atomic(new, &image.to_bytes())?)
    }

    fn manifest(&self, text: &str) -> Outcome {
        let new = self.new.as_ref().unwrap_or(&self.old);
        let name = self.policy.clone().unwrap_or_else(|| {
            let name = new.with_extension("conf");
            name.file_name().map_or("system.conf".to_owned(), |name| name.to_string_lossy().into_owned())
        });
        let file = fsutil::parent(new).join(&name);
        if file.exists() {
            let message = "is there already: move it away, or name another file by --policy";
            return Err(format!("{} {message}", file.display()).into());
        }
        let migrated = migrate::manifest::convert(text, &self.old, &name)?;
        for program in &migrated.unordered {
            eprintln!(
                "mkimage: warning: `{program}` and others may wait for each other for ever: it has `unordered` now, see docs/policy.md"
            );
        }
        fsutil::write_atomic(&file, migrated.policy.as_bytes())?;
        fsutil::write_atomic(new, migrated.manifest.as_bytes())?;
        println!("{}: format 2\n{}: the policy of its programs", new.display(), file.display());
        Ok(())
    }
}

fn policy(base: &Path, local: &Path, newer: &Path, new: &Path) -> Outcome {
    let read = |path: &Path| -> Result<String, Box<dyn std::error::Error>> {
        let bytes = fsutil::read(path)?;
        String::from_utf8(bytes).map_err(|_| format!("{}: is not UTF-8", path.display()).into())
    };
    let texts = [read(base)?, read(local)?, read(newer)?];
    let input = |i: usize, path| merge::Input { path, text: &texts[i] };
    let merged = merge::merge(input(0, base), input(1, local), input(2, newer))?;
    fsutil::write_atomic(new, merged.text.as_bytes())?;
    for (what, names) in
        [("from the newer", &merged.taken), ("as it was here", &merged.kept), ("removed", &merged.removed)]
    {
        names.iter().for_each(|name| println!("{name}: {what}"));
    }
    if merged.conflicts.is_empty() {
        if let Err(faults) = libconf::Config::parse(&merged.text) {
            let error = ManifestError { path: new.into(), faults };
            return Err(format!("merged without conflicts, but the policy is not good:\n{error}").into());
        }
        return Ok(());
    }
    for conflict in &merged.conflicts {
        let text = |text: &str| if text.is_empty() { "(removed)".to_owned() } else { text.trim_end().to_owned() };
        eprintln!(
            "conflict in `{}`\n\nlocal:\n{}\n\nnewer:\n{}\n",
            conflict.name,
            text(&conflict.local),
            text(&conflict.newer)
        );
    }
    let message = "choose between the texts at the marks";
    Err(format!("{} conflicts in {}: {message}", merged.conflicts.len(), new.display()).into())
}
