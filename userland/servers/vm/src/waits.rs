//! Who waits for a page of a file, and what goes on when the file server has answered.

use crate::asks::{Active, Ask, LookUp, Waiter, Who};
use crate::heap::Heap;
use crate::process::Process;
use crate::{Need, Segv, Vm};
use abi::layout::PAGE_SIZE;
use abi::{Endpoint, Errno, Message};
use core::ops::Range;
use protocol::file::{Close, LookUp as LookUpFile, ReadPage};
use protocol::vm::{FileAnswer, Fixed};
use protocol::vmctl::AnswerRequest;
use protocol::{Call, Caller, Transport};
use zerocopy::{Immutable, IntoBytes};

impl<T: Transport + Copy, H: Heap> Vm<T, H> {
    /// Who the file server is.
    pub fn file_server(&self) -> Option<Endpoint> {
        self.objects.files.asks.server
    }

    /// Whether there is anything to be sent, or to be told of: one look after each request.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.objects.files.asks.has_messages() || self.segv.is_some() || self.machine.refusal.is_some()
    }

    /// What is to be sent to the file server, without waiting for it.
    pub fn take_question(&mut self) -> Option<Message> {
        self.objects.files.asks.message.take()
    }

    /// The next answer to a call that was not answered at once.
    pub fn take_late_answer(&mut self) -> Option<Message> {
        self.objects.files.asks.take_late()
    }

    /// Such an answer could not be given yet.
    pub fn put_back(&mut self, answer: Message) {
        self.objects.files.asks.put_back(answer);
    }

    /// A process that has got a signal because a page of a file could not be had.
    pub fn take_segv(&mut self) -> Option<Segv> {
        self.segv.take()
    }

    /// Whether somebody can wait for the file server: not itself, nor a file system, which it needs.
    pub(crate) fn can_wait(&self, process: Endpoint) -> bool {
        let files = &self.objects.files;
        files.asks.server.is_some_and(|server| server != process) && !files.cache.is_owner(process)
    }

    /// Lets somebody wait for pages, the first of which is missing.
    ///
    /// # Errors
    /// `EFAULT` for those who cannot wait, `ENOMEM`.
    #[cold]
    pub(crate) fn wait_for(&mut self, who: Who, process: Endpoint, pages: Range<u64>, need: Need) -> Result<(), Errno> {
        self.objects.files.missing = None;
        let waits = match &who {
            Who::Fault(_) => process,
            Who::Request(requestor) => *requestor,
            // It does not wait for the answer, and may be the file server.
            Who::Fix(..) => Endpoint::NONE,
        };
        if !self.can_wait(waits) {
            return Err(Errno::Fault);
        }
        self.make_room_to_ask()?;
        self.objects.files.asks.push(Ask::Pages(Waiter { who, process, pages, need, asked: None }));
        Ok(())
    }

    /// Sees to it that one more question can be asked.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn make_room_to_ask(&mut self) -> Result<(), Errno> {
        self.machine.reserve(self.objects.files.bytes_to_ask())?;
        self.objects.files.make_room();
        Ok(())
    }

    /// The same of the memory that is kept back: for an answer that must be given.
    pub(crate) fn make_room_from_last(&mut self) -> Result<(), Errno> {
        self.machine.reserve_from_last(self.objects.files.bytes_to_ask())?;
        self.objects.files.make_room();
        Ok(())
    }

    /// Does what is next, until the file server has to be waited for.
    #[inline]
    pub(crate) fn go_on(&mut self) {
        if !self.objects.files.asks.is_idle() {
            self.go_on_asking();
        }
    }

    #[cold]
    fn go_on_asking(&mut self) {
        while let Some(ask) = self.objects.files.asks.next() {
            match ask {
                Ask::Close(fd) => self.send(Ask::Close(fd), |request| Close { request, fd }),
                Ask::LookUp(ask) => self.look_up(ask),
                Ask::Pages(waiter) => self.try_pages(waiter),
            }
        }
    }

    fn send<C: Call>(&mut self, ask: Ask, call: impl FnOnce(u32) -> C) {
        self.objects.files.asks.send(ask, |request| protocol::encode(C::KIND, &call(request)));
    }

    fn look_up(&mut self, ask: LookUp) {
        let (process, fd) = (ask.target, ask.call.fd);
        if self.is_alive(process) {
            self.send(Ask::LookUp(ask), |request| LookUpFile { request, process, fd, reserved: 0 });
        } else {
            self.answer_later::<()>(ask.caller, Err(Errno::Srch));
        }
    }

    /// Whether a process is known, and not about to end.
    pub(crate) fn is_alive(&self, process: Endpoint) -> bool {
        self.processes.get(process).is_some_and(|found| !found.exits)
    }

    /// Makes pages available that somebody waits for, or asks for the first that is missing.
    fn try_pages(&mut self, mut waiter: Waiter) {
        let tried = self.try_to_supply(&mut waiter);
        let missing = self.objects.files.missing.take();
        if tried != Err(Errno::Again) {
            return self.conclude(waiter, tried);
        }
        let found = missing.and_then(|missing| Some((missing, self.objects.files.descriptor(missing.file)?)));
        let Some((missing, fd)) = found else {
            return self.conclude(waiter, Err(Errno::Fault));
        };
        waiter.pages.start = missing.at;
        waiter.asked = Some(missing);
        let offset = missing.page * PAGE_SIZE;
        self.send(Ask::Pages(waiter), |request| ReadPage { request, fd, offset, len: PAGE_SIZE });
    }

    fn try_to_supply(&mut self, waiter: &mut Waiter) -> Result<(), Errno> {
        let (process, pages, need) = (waiter.process, waiter.pages.clone(), waiter.need);
        let found = self.processes.get(process).filter(|found| !found.exits).ok_or(Errno::Fault)?;
        if !found.memory.permits(pages.clone(), need) {
            return Err(Errno::Fault);
        }
        if let Who::Fault(_) = waiter.who {
            self.machine.faulting = Some(process);
        }
        let supplied = self.with_cache_for(|vm| vm.supply(process, pages.clone(), need));
        if supplied == Err(Errno::Again) {
            self.machine.faulting = None;
        }
        supplied
    }

    /// Somebody's pages are there, or cannot be.
    fn conclude(&mut self, waiter: Waiter, result: Result<(), Errno>) {
        let Waiter { who, process, need, asked, .. } = waiter;
        match who {
            Who::Fault(_) if !self.is_alive(process) => {}
            Who::Fault(address) => {
                self.count_fault(process, result, asked.is_some());
                self.segv = self.end_fault(process, address, need, result).or(self.segv);
            }
            Who::Request(requestor) => {
                let exits = |found: &Process| found.exits;
                if !self.processes.get(requestor).is_some_and(exits) {
                    let available = result.is_ok().into();
                    let call = AnswerRequest { process: requestor, available };
                    // It may have ended meanwhile.
                    let _ = self.machine.vmctl().answer_request(call);
                }
            }
            Who::Fix(caller, fix) => {
                let fixed = result.and_then(|()| self.note_fix(process, fix)).map(|()| Fixed {});
                self.answer_later(caller, fixed);
            }
        }
    }

    /// Answers a call that was not answered at once.
    pub(crate) fn answer_later<R: IntoBytes + Immutable>(&mut self, to: Caller, answer: Result<R, Errno>) {
        let mut request = Message::new(to.endpoint, abi::Kind::OK);
        request.tag = to.tag;
        let answer = protocol::reply(&request, answer.as_ref().map_err(|error| *error));
        self.objects.files.asks.answer_late(answer);
    }

    pub(crate) fn do_file_answer(&mut self, caller: Endpoint, answer: &FileAnswer) -> Result<(), Errno> {
        if self.file_server() != Some(caller) {
            return Err(Errno::Perm);
        }
        let Active { ask, .. } = self.objects.files.asks.answered(answer.request).ok_or(Errno::Inval)?;
        let status = Errno::from_result(answer.status.into()).map(drop);
        match ask {
            Some(Ask::LookUp(ask)) => self.looked_up(&ask, status, answer),
            Some(Ask::Pages(waiter)) => match status {
                Ok(()) => self.try_pages_again(waiter),
                Err(_) => self.conclude(waiter, Err(Errno::Fault)),
            },
            Some(Ask::Close(_)) | None => {}
        }
        Ok(())
    }

    /// What was asked for has been read; if it is not there all the same, it is not asked for again. What is missing behind it waits
    /// until all others had their turn.
    fn try_pages_again(&mut self, mut waiter: Waiter) {
        let tried = self.try_to_supply(&mut waiter);
        let missing = self.objects.files.missing.take();
        if tried == Err(Errno::Again)
            && let Some(missing) = missing
            && waiter.asked.is_some_and(|asked| asked.at < missing.at)
        {
            waiter.pages.start = missing.at;
            self.objects.files.asks.push(Ask::Pages(waiter));
            return;
        }
        self.conclude(waiter, tried.map_err(|why| if why == Errno::Again { Errno::Fault } else { why }));
    }

    /// The caller is the file server from now on.
    pub(crate) fn do_serve_files(&mut self, caller: Endpoint) -> Result<(), Errno> {
        let server = &mut self.objects.files.asks.server;
        match *server {
            Some(other) if other != caller => Err(Errno::Busy),
            _ => {
                *server = Some(caller);
                Ok(())
            }
        }
    }

    /// A process has ended, or has another program: it waits for nothing, and who waits for its memory does not get it.
    pub(crate) fn forget_waits(&mut self, process: Endpoint) {
        self.objects.files.asks.forget(process);
        while let Some(ask) = self.objects.files.asks.take_about(process) {
            self.fail(ask);
        }
    }

    /// The file server, if it was that, is no more: nobody waits for it any longer.
    pub(crate) fn forget_file_server(&mut self, process: Endpoint) {
        if self.file_server() != Some(process) {
            return;
        }
        while let Some(ask) = self.objects.files.asks.take_any() {
            self.fail(ask);
        }
        let files = &mut self.objects.files;
        files.asks.server = None;
        files.forget_descriptors();
    }

    fn fail(&mut self, ask: Ask) {
        match ask {
            Ask::LookUp(ask) => {
                let why = if self.is_alive(ask.target) { Errno::Io } else { Errno::Srch };
                self.answer_later::<()>(ask.caller, Err(why));
            }
            Ask::Pages(waiter) => self.conclude(waiter, Err(Errno::Fault)),
            Ask::Close(_) => {}
        }
    }
}
