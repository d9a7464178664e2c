//! Command lines.

use crate::mistake::Mistake;
use crate::options::{Name, Options, name};
use protocol::rs::MAX_ARGUMENTS;
use protocol::sef::state::WORK_FREE;

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Start a service.
    Up {
        /// Its program.
        program: Name,
        /// What it is called; zeros for the name of its program.
        label: Name,
        /// Its arguments, with spaces between them.
        arguments: &'a str,
        /// How long it may leave a ping unanswered, in milliseconds.
        period: Option<u32>,
    },
    /// End it.
    Down(Name),
    /// End it and start it again.
    Refresh(Name),
    /// Start a dead one.
    Restart(Name),
    /// Replace it.
    Update {
        /// Its label.
        label: Name,
        /// By which program.
        program: Name,
        /// In which state.
        state: u32,
        /// How long that may take, in milliseconds; 0 for as long as the root system process thinks right.
        patience: u32,
    },
    /// Change how it is watched.
    Edit {
        /// Its label.
        label: Name,
        /// How long it may leave a ping unanswered, in milliseconds; 0 for no pings.
        period: u32,
    },
    /// Show all.
    List,
    /// End all.
    Shutdown,
    /// Explain.
    Help,
}

/// Milliseconds in an hour: no time is longer.
const HOUR: u32 = 3_600_000;

impl<'a> Command<'a> {
    /// Reads a command line, without the name of the program.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(mut words: impl Iterator<Item = &'a [u8]>) -> Result<Self, Mistake<'a>> {
        let command = words.next().ok_or(Mistake::NoCommand)?;
        match command {
            b"up" => Self::up(words),
            b"down" => label("down", words).map(Self::Down),
            b"refresh" => label("refresh", words).map(Self::Refresh),
            b"restart" => label("restart", words).map(Self::Restart),
            b"update" => Self::update(words),
            b"edit" => Self::edit(words),
            b"list" => Options::read("list", &[], [], words).map(|_| Self::List),
            b"shutdown" => Options::read("shutdown", &[], [], words).map(|_| Self::Shutdown),
            // Whoever asks for help gets it, whatever else there is.
            b"help" | b"--help" | b"-h" => Ok(Self::Help),
            word => Err(Mistake::Command(word)),
        }
    }

    fn up(words: impl Iterator<Item = &'a [u8]>) -> Result<Self, Mistake<'a>> {
        let known = ["-label", "-args", "-period"];
        let options = Options::read("up", &["the name of a program"], known, words)?;
        let label = options.value("-label").map_or(Ok(Name::default()), |word| name(word, "service"))?;
        let arguments = options.value("-args").unwrap_or_default();
        if arguments.len() as u64 > MAX_ARGUMENTS {
            return Err(Mistake::TooLong(arguments.len()));
        }
        let arguments = core::str::from_utf8(arguments).map_err(|_| Mistake::NoText)?;
        let period = options.number("-period", 0, HOUR)?;
        Ok(Self::Up { program: options.name(0, "program")?, label, arguments, period })
    }

    fn update(words: impl Iterator<Item = &'a [u8]>) -> Result<Self, Mistake<'a>> {
        let names = ["the label of a service", "the name of its new program"];
        let options = Options::read("update", &names, ["-state", "-maxtime"], words)?;
        let state = options.number("-state", 1, u32::MAX)?.unwrap_or(WORK_FREE);
        let patience = options.number("-maxtime", 1, HOUR)?.unwrap_or(0);
        let (label, program) = (options.name(0, "service")?, options.name(1, "program")?);
        Ok(Self::Update { label, program, state, patience })
    }

    fn edit(words: impl Iterator<Item = &'a [u8]>) -> Result<Self, Mistake<'a>> {
        let options = Options::read("edit", &["the label of a service"], ["-period"], words)?;
        let missing = Mistake::Missing { command: "edit", what: "what is to be changed, such as `-period MS`" };
        let period = options.number("-period", 0, HOUR)?.ok_or(missing)?;
        Ok(Self::Edit { label: options.name(0, "service")?, period })
    }
}

/// The only word behind a command.
fn label<'a>(command: &'static str, words: impl Iterator<Item = &'a [u8]>) -> Result<Name, Mistake<'a>> {
    Options::read(command, &["the label of a service"], [], words)?.name(0, "service")
}
