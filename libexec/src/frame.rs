//! The stack frame that a program finds when it starts (System V ABI, x86-64 supplement, "Process Initialization").
//!
//! From the stack pointer up: number of arguments; their addresses and 0; addresses of the environment's strings and 0;
//! auxiliary vector; 16 random bytes; strings of arguments, environment and name; a word of zeros.

use crate::failure::{Failure, FrameFault};
use crate::plan::Placed;
use crate::request::{Facts, Request, Trust};
use crate::target::Target;
use crate::writer::Writer;
use crate::{ARG_MAX, STACK_ROOM, auxv};
use abi::layout::PAGE_SIZE;
use arrayvec::ArrayVec;

/// Ticks of `times` in a second: what C libraries take for granted where nobody tells them.
const CLOCK_TICKS: u64 = 100;
/// Alignment of the stack pointer.
const ALIGN: u64 = 16;
const _: () = assert!(ARG_MAX.is_multiple_of(ALIGN) && STACK_ROOM.is_multiple_of(ALIGN));
const WORD: u64 = size_of::<u64>() as u64;
/// Most entries of the auxiliary vector.
const AUXV: usize = 17;

type Auxv = ArrayVec<(u64, u64), AUXV>;

/// A frame, laid out.
pub(crate) struct Frame<'a> {
    request: &'a Request<'a>,
    auxv: Auxv,
    arguments: Strings<'a>,
    environment: Strings<'a>,
    pub(crate) stack_pointer: u64,
}

/// Strings one after the other, each with a zero byte at its end, and where they go.
#[derive(Clone, Copy)]
struct Strings<'a> {
    bytes: &'a [u8],
    address: u64,
}

impl<'a> Frame<'a> {
    /// Decides where everything goes.
    pub(crate) fn new(request: &'a Request<'a>, program: &Placed<'_>) -> Result<Self, FrameFault> {
        let mut arguments = Strings::new(request.arguments).ok_or(FrameFault::Arguments)?;
        let mut environment = Strings::new(request.environment).ok_or(FrameFault::Environment)?;
        let mut auxv = program_facts(program);
        auxv.extend(process_facts(&request.facts));
        let strings = [request.arguments, request.environment, request.name.to_bytes_with_nul()];
        let strings = strings.iter().fold(0_u64, |sum, bytes| sum.saturating_add(bytes.len() as u64));
        let random = size_of_val(&request.facts.random) as u64;
        let limit = ARG_MAX.min((request.stack.end - request.stack.start).saturating_sub(STACK_ROOM));
        let fits = |len| if len <= limit { Ok(len) } else { Err(FrameFault::TooBig { len, limit }) };
        // Strings are counted only where they are not too long anyway.
        fits(strings)?;
        // argc; 0 behind the arguments and behind the environment; AT_RANDOM, AT_EXECFN and AT_NULL.
        let words = 3 + arguments.count() + environment.count() + 2 * (auxv.len() as u64 + 3);
        // Limit and end of the stack are multiples of the alignment too, so the frame stays within.
        let stack_pointer = (request.stack.end - fits(words * WORD + random + strings + WORD)?) / ALIGN * ALIGN;
        let random_address = stack_pointer + words * WORD;
        arguments.address = random_address + random;
        environment.address = arguments.end();
        auxv.extend([(auxv::RANDOM, random_address), (auxv::EXECFN, environment.end()), (auxv::NULL, 0)]);
        Ok(Self { request, auxv, arguments, environment, stack_pointer })
    }

    /// Writes it, in ascending order. What is behind it is zero already.
    pub(crate) async fn write<S, T: Target>(&self, target: &mut T) -> Result<(), Failure<S, T::Error>> {
        let mut writer = Writer::new(target, self.stack_pointer);
        writer.word(self.arguments.count()).await?;
        for strings in [self.arguments, self.environment] {
            for address in strings.addresses() {
                writer.word(address).await?;
            }
            writer.word(0).await?;
        }
        for &(kind, value) in &self.auxv {
            writer.word(kind).await?;
            writer.word(value).await?;
        }
        writer.bytes(&self.request.facts.random).await?;
        writer.bytes(self.arguments.bytes).await?;
        writer.bytes(self.environment.bytes).await?;
        writer.bytes(self.request.name.to_bytes_with_nul()).await?;
        writer.flush().await
    }
}

impl<'a> Strings<'a> {
    /// `None` if the last string has no end.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        matches!(bytes.last(), None | Some(0)).then_some(Self { bytes, address: 0 })
    }

    fn count(self) -> u64 {
        self.bytes.iter().filter(|&&byte| byte == 0).count() as u64
    }

    fn end(self) -> u64 {
        self.address + self.bytes.len() as u64
    }

    /// Where each string begins.
    fn addresses(self) -> impl Iterator<Item = u64> + use<'a> {
        let strings = self.bytes.split_inclusive(|&byte| byte == 0);
        strings.scan(self.address, |next, string| {
            let address = *next;
            *next += string.len() as u64;
            Some(address)
        })
    }
}

fn program_facts(program: &Placed<'_>) -> Auxv {
    let headers = program.program_headers();
    let mut facts = Auxv::new();
    facts.extend(headers.address.map(|address| (auxv::PHDR, address)));
    facts.extend([
        (auxv::PHENT, headers.entry_size.into()),
        (auxv::PHNUM, headers.count.into()),
        (auxv::PAGESZ, PAGE_SIZE),
        (auxv::BASE, 0),
        (auxv::FLAGS, 0),
        (auxv::ENTRY, program.entry()),
    ]);
    facts
}

fn process_facts(facts: &Facts) -> [(u64, u64); 7] {
    let secure = match facts.trust {
        Trust::Caller => 0,
        Trust::Nobody => 1,
    };
    [
        (auxv::UID, facts.uid.into()),
        (auxv::EUID, facts.euid.into()),
        (auxv::GID, facts.gid.into()),
        (auxv::EGID, facts.egid.into()),
        (auxv::HWCAP, facts.hwcap),
        (auxv::CLKTCK, CLOCK_TICKS),
        (auxv::SECURE, secure),
    ]
}
