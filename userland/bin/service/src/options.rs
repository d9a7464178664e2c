//! The words behind a command.

use crate::mistake::Mistake;
use abi::boot::{BootEntry, NAME_LEN};

/// A label or the name of a program, padded with zeros.
pub(crate) type Name = [u8; NAME_LEN];

/// The words behind a command: those that stand for themselves, and options with their values.
pub(crate) struct Options<'a, const N: usize> {
    command: &'static str,
    plain: [Option<&'a [u8]>; 2],
    known: [&'static str; N],
    values: [Option<&'a [u8]>; N],
}

impl<'a, const N: usize> Options<'a, N> {
    /// Reads them all. `names` says what the command needs.
    ///
    /// # Errors
    /// What is missing, what there is too much, and what is no option.
    pub(crate) fn read(
        command: &'static str,
        names: &[&'static str],
        known: [&'static str; N],
        mut words: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Mistake<'a>> {
        let mut options = Self { command, plain: [None; 2], known, values: [None; N] };
        let mut given = 0;
        while let Some(word) = words.next() {
            if word.first() == Some(&b'-') {
                options.option(word, &mut words)?;
            } else if let Some(place) = options.plain.get_mut(given).filter(|_| given < names.len()) {
                *place = Some(word);
                given += 1;
            } else {
                return Err(Mistake::Surplus { command, word });
            }
        }
        match names.get(given) {
            Some(what) => Err(Mistake::Missing { command, what }),
            None => Ok(options),
        }
    }

    fn option(&mut self, word: &'a [u8], words: &mut impl Iterator<Item = &'a [u8]>) -> Result<(), Mistake<'a>> {
        let place = self.known.iter().position(|name| name.as_bytes() == word);
        let place = place.ok_or(Mistake::Option { command: self.command, word })?;
        let name = self.known[place];
        let value = words.next().ok_or(Mistake::NoValue(name))?;
        if self.values[place].replace(value).is_some() {
            return Err(Mistake::Twice(name));
        }
        Ok(())
    }

    /// A word that stands for itself, as a name.
    pub(crate) fn name(&self, place: usize, what: &'static str) -> Result<Name, Mistake<'a>> {
        name(self.plain.get(place).copied().flatten().unwrap_or_default(), what)
    }

    /// The value of an option, as it is.
    pub(crate) fn value(&self, option: &'static str) -> Option<&'a [u8]> {
        let place = self.known.iter().position(|name| *name == option)?;
        self.values[place]
    }

    /// The value of an option, as a number of a range.
    pub(crate) fn number(&self, option: &'static str, least: u32, most: u32) -> Result<Option<u32>, Mistake<'a>> {
        let Some(word) = self.value(option) else {
            return Ok(None);
        };
        let digits = core::str::from_utf8(word).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|text| text.parse().ok()).filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or(Mistake::Number { option, word, least, most })
    }
}

/// A word as a name.
pub(crate) fn name<'a>(word: &'a [u8], what: &'static str) -> Result<Name, Mistake<'a>> {
    let name = core::str::from_utf8(word).ok().and_then(BootEntry::encode_name);
    name.ok_or(Mistake::Name { what, word })
}
