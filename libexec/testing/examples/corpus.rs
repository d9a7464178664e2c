//! Writes the good and the malformed files to a folder: a corpus to begin fuzzing with.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("name the folder for the files: corpus FOLDER"))?;
    fs::create_dir_all(&folder)?;
    let good = libexec_testing::good::all().into_iter().map(|(name, file)| (name, file.0));
    let malformed = libexec_testing::malformed().into_iter().map(|file| (file.name, file.bytes));
    for (i, (name, bytes)) in good.chain(malformed).enumerate() {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        fs::write(folder.join(format!("{i:03}-{name}")), bytes)?;
    }
    Ok(())
}
