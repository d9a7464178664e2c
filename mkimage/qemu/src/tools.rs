//! Finds the programs that the runner starts.

use std::env;
use std::path::PathBuf;

use crate::Error;

/// A program and the Debian package that has it.
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
}

/// The machine itself.
pub(crate) const QEMU: Tool = Tool { name: "qemu-system-x86_64", package: "qemu-system-x86" };
/// Starts QEMU so that it dies with its runner.
pub(crate) const SETPRIV: Tool = Tool { name: "setpriv", package: "util-linux" };

impl Tool {
    /// The file of the program, from the `PATH`.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTool`] when no folder of the `PATH` has it.
    pub(crate) fn find(&self) -> Result<PathBuf, Error> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .map(|folder| folder.join(self.name))
            .find(|file| file.is_file())
            .ok_or(Error::MissingTool { tool: self.name, package: self.package })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_names_its_package() {
        let tool = Tool { name: "no-such-program-of-selix", package: "some-package" };
        let error = tool.find().unwrap_err().to_string();
        assert!(error.contains("no-such-program-of-selix") && error.contains("some-package"), "{error}");
    }
}
