//! What others are told of services: the table that everybody may read, and the labels in the data store.

use crate::{Root, Servers};
use abi::Errno;
use protocol::sef::ServiceEntry;
use protocol::{Transport, ds};

impl<T: Transport + Copy, S: Servers> Root<T, S> {
    /// What others know of a service is to be brought up to date.
    pub(crate) fn changed(&mut self, place: usize) {
        if let Some(service) = self.services.get_mut(place) {
            service.is_unpublished = true;
            let entry = service.entry();
            self.servers.show(place, &entry);
        }
    }

    /// Others are to know nothing of a service any more.
    pub(crate) fn forget(&mut self, place: usize) {
        if let Some(service) = self.services.get_mut(place) {
            service.is_unpublished = false;
            let label = service.label;
            let is_known = self.work.forgotten.contains(&Some(label));
            if let Some(free) = self.work.forgotten.iter_mut().find(|entry| !is_known && entry.is_none()) {
                *free = Some(label);
            }
            self.servers.show(place, &ServiceEntry::FREE);
        }
    }

    /// Whether the data store has to be told something.
    pub(crate) fn has_news(&self) -> bool {
        let changed = self.services.iter().any(|service| service.is_unpublished);
        self.work.is_up && (changed || self.work.forgotten.iter().any(Option::is_some))
    }

    /// Tells the data store what it does not know yet. While that one wants something of the root system process itself, or is dead, it is
    /// told later.
    pub(crate) fn publish(&mut self) {
        if self.work.lacks_ids {
            self.exchange_ids();
        }
        if !self.has_news() || self.data_store().is_err() {
            return;
        }
        for place in 0..self.work.forgotten.len() {
            let Some(label) = self.work.forgotten[place] else {
                continue;
            };
            let Some(key) = ds::Key::new(label.text().as_bytes()) else {
                continue;
            };
            let deleted = self
                .data_store()
                .and_then(|mut store| store.delete(ds::Delete { key, kind: ds::EntryKind::Label }).map(drop));
            if must_wait(deleted) {
                return;
            }
            self.work.forgotten[place] = None;
        }
        for place in self.services.places() {
            let Some(&service) = self.services.get(place).filter(|service| service.is_unpublished) else {
                continue;
            };
            let Some(key) = ds::Key::new(service.label.text().as_bytes()) else {
                continue;
            };
            let value = service.now.endpoint.raw().into();
            let flags = ds::Flags::OVERWRITE.bits();
            let call = ds::Publish { key, kind: ds::EntryKind::Label, flags, len: 0, value };
            let published = self.data_store().and_then(|mut store| store.publish(call).map(drop));
            if must_wait(published) {
                return;
            }
            if let Err(error) = published {
                let label = service.label;
                self.servers.log(format_args!("the data store does not take the label {label}: {error}"));
            }
            if let Some(service) = self.services.get_mut(place) {
                service.is_unpublished = false;
            }
        }
    }
}

/// Whether something has to be told again.
fn must_wait(told: Result<(), Errno>) -> bool {
    matches!(told, Err(Errno::Locked | Errno::DeadSrcDst | Errno::NoSys))
}
