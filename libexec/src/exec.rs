//! Replacing a program by another.

use crate::failure::{ExecError, Failure, Refusal, StackFault, Step};
use crate::frame::Frame;
use crate::plan::{Placed, Plan, plan_from};
use crate::request::{Accept, Request};
use crate::segment::{Access, Segment};
use crate::source::Source;
use crate::target::{FileMapping, Fill, Mapped, Reservation, Section, Start, Target};
use crate::writer::Writer;
use abi::layout::{PAGE_SIZE, PIE_BASE, USER_END, USER_START};
use core::ops::Range;

/// What pages may be while they are filled.
const FILLING: Access = Access::READ.union(Access::WRITE);

/// A program that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where it begins.
    pub start: Start,
    /// What was added to the addresses in the file.
    pub base: u64,
    /// From its first page to the end of its last one, with what may lie between. Its heap can begin at the end.
    pub image: Range<u64>,
    /// The ABI version in its Selix note; foreign programs have none.
    pub abi_version: Option<u32>,
}

/// Replaces the program in a space by another: checks all of it, then clears the space, and loads the new program with
/// relocations and stack frame through the callbacks of the target.
///
/// Thread-local storage is the program's own affair: its start code finds `PT_TLS` by the auxiliary vector's `AT_PHDR`, and
/// makes the first thread's block as it will make those of the others.
///
/// # Errors
/// [`ExecError::Before`] if nothing was done to the target, [`ExecError::After`] if the old program is gone.
pub async fn exec<S: Source, T: Target>(
    source: &mut S,
    target: &mut T,
    request: &Request<'_>,
) -> Result<Loaded, ExecError<S::Error, T::Error>> {
    let plan = plan_from(source).await.map_err(Refusal::from)?;
    check_abi(&plan, request.accept)?;
    check_range(&request.stack)?;
    let program = place(&plan, request)?;
    let frame = Frame::new(request, &program).map_err(Refusal::Frame)?;
    load(source, target, &program, &request.stack, &frame).await.map_err(ExecError::After)
}

fn check_abi<S>(plan: &Plan, accept: Accept) -> Result<(), Refusal<S>> {
    match (plan.abi_version(), accept) {
        (Some(abi::ABI_VERSION), _) | (None, Accept::Foreign) => Ok(()),
        (other, _) => Err(Refusal::Abi(other)),
    }
}

fn check_range<S>(stack: &Range<u64>) -> Result<(), Refusal<S>> {
    let whole = [stack.start, stack.end].iter().all(|at| at.is_multiple_of(PAGE_SIZE));
    if whole && USER_START <= stack.start && stack.start < stack.end && stack.end <= USER_END {
        return Ok(());
    }
    Err(Refusal::Stack(StackFault::Range(stack.clone())))
}

/// Decides on where the program goes, clear of the stack and of the page below it.
fn place<'p, S>(plan: &'p Plan, request: &Request<'_>) -> Result<Placed<'p>, Refusal<S>> {
    let taken = request.stack.start - PAGE_SIZE..request.stack.end;
    let end = if taken.start >= PIE_BASE { taken.start } else { USER_END };
    let program = plan.at(plan.random_base(request.base, end)).map_err(Refusal::Elf)?;
    let clashes = |s: &Segment| s.pages().start < taken.end && taken.start < s.pages().end;
    match program.segments().find(clashes) {
        Some(segment) => Err(Refusal::Stack(StackFault::Segment(segment.header))),
        None => Ok(program),
    }
}

async fn load<S: Source, T: Target>(
    source: &mut S,
    target: &mut T,
    program: &Placed<'_>,
    stack: &Range<u64>,
    frame: &Frame<'_>,
) -> Result<Loaded, Failure<S::Error, T::Error>> {
    target.clear().await.map_err(|error| Failure::Target(Step::Clear, error))?;
    for segment in program.segments() {
        load_segment(target, &segment).await?;
    }
    relocate(source, target, program).await?;
    let reserved = target.reserve_stack(stack.clone()).await;
    reserved.map_err(|error| Failure::Target(Step::ReserveStack(stack.clone()), error))?;
    frame.write(target).await?;
    let start = Start { entry: program.entry(), stack_pointer: frame.stack_pointer };
    target.set_entry(start).await.map_err(|error| Failure::Target(Step::SetEntry, error))?;
    Ok(Loaded { start, base: program.base(), image: program.image(), abi_version: program.abi_version() })
}

/// Makes the pages of a segment: those that hold bytes of the file, and behind them those of zeros.
async fn load_segment<S, T: Target>(target: &mut T, segment: &Segment) -> Result<(), Failure<S, T::Error>> {
    let pages = segment.pages();
    let filled = pages.start..(segment.address + segment.file_len).next_multiple_of(PAGE_SIZE);
    let zeros = if segment.file_len == 0 {
        pages
    } else {
        fill(target, segment, &filled).await?;
        filled.end..pages.end
    };
    if zeros.is_empty() {
        return Ok(());
    }
    reserve(target, Reservation { pages: zeros, access: segment.access, fill: Fill::Zero }).await
}

/// Maps or copies what the file has of a segment.
async fn fill<S, T: Target>(target: &mut T, segment: &Segment, pages: &Range<u64>) -> Result<(), Failure<S, T::Error>> {
    let contents = segment.address..segment.address + segment.file_len;
    let mapping = FileMapping {
        offset: segment.file_offset - (contents.start - pages.start),
        pages: pages.clone(),
        clear_end: if segment.mem_len > segment.file_len { pages.end - contents.end } else { 0 },
        access: segment.access,
    };
    let mapped = target.map_file(mapping).await;
    if mapped.map_err(|error| Failure::Target(Step::MapFile(pages.clone()), error))? == Mapped::Done {
        return Ok(());
    }
    reserve(target, Reservation { pages: pages.clone(), access: FILLING, fill: Fill::Whole }).await?;
    let section = Section { offset: segment.file_offset, address: segment.address, len: segment.file_len };
    let copied = target.copy_in(section).await;
    copied.map_err(|error| Failure::Target(Step::CopyIn(contents.clone()), error))?;
    zero(target, pages.start..contents.start).await?;
    zero(target, contents.end..pages.end).await?;
    if segment.access == FILLING {
        return Ok(());
    }
    let protected = target.protect(pages.clone(), segment.access).await;
    protected.map_err(|error| Failure::Target(Step::Protect(pages.clone()), error))
}

async fn reserve<S, T: Target>(target: &mut T, reservation: Reservation) -> Result<(), Failure<S, T::Error>> {
    let pages = reservation.pages.clone();
    target.reserve(reservation).await.map_err(|error| Failure::Target(Step::Reserve(pages), error))
}

async fn zero<S, T: Target>(target: &mut T, range: Range<u64>) -> Result<(), Failure<S, T::Error>> {
    if range.is_empty() {
        return Ok(());
    }
    target.zero(range.clone()).await.map_err(|error| Failure::Target(Step::Zero(range), error))
}

async fn relocate<S: Source, T: Target>(
    source: &mut S,
    target: &mut T,
    program: &Placed<'_>,
) -> Result<(), Failure<S::Error, T::Error>> {
    let mut relocations = program.relocations();
    let mut writer = Writer::new(target, program.base());
    while let Some(relocation) = relocations.next(source).await? {
        writer.seek(relocation.address).await?;
        writer.word(relocation.value).await?;
    }
    writer.flush().await
}
