//! QEMU's monitor: the QEMU Machine Protocol over a unix socket, as far as it is needed here.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;

const POLL: Duration = Duration::from_millis(20);

/// A connection to the monitor, ready for commands.
pub(crate) struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects to the socket, which a QEMU that has just started may not have opened yet. It has this much patience
    /// with that, and with each answer.
    pub(crate) fn connect(socket: &Path, patience: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(lost(error)),
                Err(_) => thread::sleep(POLL),
            }
        };
        stream.set_read_timeout(Some(patience)).map_err(lost)?;
        stream.set_write_timeout(Some(patience)).map_err(lost)?;
        let mut monitor = Self { stream: BufReader::new(stream) };
        let greeting = monitor.read()?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Monitor(format!("greets with {greeting}")));
        }
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Writes the guest's screen to `file`, as a PPM picture.
    pub(crate) fn screendump(&mut self, file: &Path) -> Result<(), Error> {
        let name = file.to_str().ok_or_else(|| Error::Monitor(format!("{} is no text", file.display())))?;
        self.execute("screendump", &json!({ "filename": name }))
    }

    /// Ends QEMU.
    pub(crate) fn quit(&mut self) -> Result<(), Error> {
        self.execute("quit", &json!({}))
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<(), Error> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{request}").map_err(lost)?;
        loop {
            let answer = self.read()?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                return Err(Error::Monitor(format!("`{command}` failed: {}", error["desc"])));
            }
            // Anything else is an event.
        }
    }

    fn read(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).map_err(lost)? == 0 {
            return Err(Error::Monitor("closed the connection".to_owned()));
        }
        serde_json::from_str(&line).map_err(|error| Error::Monitor(format!("said `{}`: {error}", line.trim())))
    }
}

/// The error of a connection that does not work.
fn lost(error: std::io::Error) -> Error {
    Error::Monitor(error.to_string())
}
