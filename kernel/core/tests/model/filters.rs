//! Receive filters.

use super::*;
use abi::filter::FilterElement;
use zerocopy::FromBytes;

const SOURCE: u32 = 1;
const KIND: u32 = 2;
const MAX_ELEMENTS: u64 = 128;
const ELEMENT: u64 = 16;

/// What it does with messages that match one of its elements.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    allows: bool,
    /// Source and kind, where they count.
    elements: Vec<(Option<Endpoint>, Option<u16>)>,
}

impl Model {
    pub(super) fn add_filter(
        &mut self,
        me: usize,
        call: &Call,
        allows: bool,
        (address, count): (u64, u64),
    ) -> Result<Vec<u64>, Stop> {
        if !self.is_service(me) {
            return Err(Errno::Perm.into());
        }
        if !(1..=MAX_ELEMENTS).contains(&count) {
            return Err(Errno::TooBig.into());
        }
        let len = count * ELEMENT;
        let Some(bytes) = self.load(me, address, len) else { return Err(self.need(me, call, address, len)) };
        let mut elements = Vec::new();
        for raw in bytes.chunks(ELEMENT as usize) {
            let raw = FilterElement::read_from_bytes(raw).expect("a whole element");
            elements.push(self.element(&raw).ok_or(Errno::Inval)?);
        }
        let filters = &mut self.authority_mut(me).filters;
        if filters.iter().map(|filter| filter.elements.len()).sum::<usize>() as u64 + count > MAX_ELEMENTS {
            return Err(Errno::NoMem.into());
        }
        filters.push(Filter { allows, elements });
        Ok(Vec::new())
    }

    fn element(&self, raw: &FilterElement) -> Option<(Option<Endpoint>, Option<u16>)> {
        let classes = [Endpoint::ANY_USR, Endpoint::ANY_TSK, Endpoint::ANY_SYS];
        let source = Endpoint::from_raw(raw.source);
        let known = classes.contains(&source) || super::ipc::is_task(source) || self.live(source).is_some();
        let by_source = raw.flags & SOURCE != 0;
        let by_kind = raw.flags & KIND != 0;
        let good = (by_source || by_kind)
            && raw.flags & !(SOURCE | KIND) == 0
            && (if by_source { known } else { raw.source == 0 })
            && (by_kind || raw.kind == 0)
            && raw.reserved == [0; 6];
        good.then_some((by_source.then_some(source), by_kind.then_some(raw.kind)))
    }

    /// Whether the filters of `to` let a message in.
    pub(super) fn lets_in(&self, to: usize, source: Endpoint, kind: u16) -> bool {
        let filters = &self.authority(to).filters;
        let class = match self.live(source) {
            None => Endpoint::ANY_TSK,
            Some(slot) if self.is_service(slot) => Endpoint::ANY_SYS,
            Some(_) => Endpoint::ANY_USR,
        };
        let mut allowed = filters.first().is_none_or(|first| !first.allows);
        for filter in filters {
            let matches = |(s, k): &(Option<Endpoint>, Option<u16>)| {
                s.is_none_or(|s| s == source || s == class) && k.is_none_or(|k| k == kind)
            };
            if filter.elements.iter().any(matches) {
                allowed = filter.allows;
            }
        }
        allowed
    }
}
