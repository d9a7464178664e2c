//! A client that uses a service all the time, whatever becomes of that: its name says which. Each answer must be the right one; that the service
//! has died is no wrong answer. It tells how far it has come.
#![no_std]
#![no_main]

use abi::boot::BootEntry;
use abi::{Endpoint, Errno};
use protocol::cdev::{self, Close, Open, OpenFor, Read};
use protocol::rs::Init;
use protocol::{assist, ds};
use services::progress::{What, tell};
use sys::Ipc;

sys::entry!(main);

/// What the names of such programs begin with; the name of the service follows, and perhaps something else behind this mark.
const PREFIX: &str = "client-";
const MARK: char = '_';

fn main() -> u64 {
    match run() {
        Ok(never) => match never {},
        Err(error) => panic!("{error}"),
    }
}

fn run() -> Result<core::convert::Infallible, Errno> {
    let begin = sef::start()?;
    let name = sys::whoami()?.name;
    let service = BootEntry::decode_name(&name).and_then(|name| name.strip_prefix(PREFIX)?.split(MARK).next());
    let service = service.ok_or(Errno::Inval)?;
    let ask = match service {
        "assist" => User::ask_assist,
        "hello" => User::read_hello,
        "ds" => User::ask_store,
        _ => return Err(Errno::Inval),
    };
    let mut user = User { to: sef::lookup(service)?, me: begin.endpoint, count: 0 };
    let store = sef::lookup("ds")?;
    let (mut rounds, mut losses) = (0, 0);
    // Nobody without a label may tell anything, and it has none before it has begun.
    while tell(store, begin.endpoint, What::Rounds, 0) == Err(Errno::Perm) {}
    loop {
        match ask(&mut user) {
            Ok(()) => rounds += 1,
            Err(error) if is_loss(error) => losses += 1,
            Err(error) => return Err(error),
        }
        for (what, value) in [(What::Losses, losses), (What::Rounds, rounds)] {
            while let Err(error) = tell(store, begin.endpoint, what, value) {
                // The store may be what dies.
                if !is_loss(error) {
                    return Err(error);
                }
            }
        }
    }
}

/// Whether an error says that a service has died.
fn is_loss(error: Errno) -> bool {
    matches!(error, Errno::DeadSrcDst | Errno::Restart)
}

/// Uses a service.
struct User {
    to: Endpoint,
    me: Endpoint,
    /// How often that went well.
    count: u64,
}

impl User {
    /// The service counts each call of each caller exactly once, also over updates; an instance after a crash knows nothing.
    fn ask_assist(&mut self) -> Result<(), Errno> {
        let counted = assist::Client { to: self.to, transport: Ipc::default() }.count(assist::Count {})?;
        let is_new = counted.how == Init::Restart as u32 && counted.yours == 1;
        // What an instance of this client has asked before that has died counts, too.
        let is_first = self.count == 0;
        if counted.yours != self.count + 1 && !is_new && !is_first {
            sys::log!("the service has counted {} calls, not {}", counted.yours, self.count + 1);
            return Err(Errno::Proto);
        }
        self.count = counted.yours;
        Ok(())
    }

    fn read_hello(&mut self) -> Result<(), Errno> {
        let mut driver = cdev::Client { to: self.to, transport: Ipc::default() };
        driver.open(Open { minor: 0, access: OpenFor::READ.bits() })?;
        let mut text = [0; hello::TEXT.len()];
        let count = text.len() as u64;
        let read = sys::grants::scope(|scope| {
            let lent = scope.write(&mut text, self.to).map_err(Errno::from)?;
            driver.read(Read { minor: 0, reserved: 0, position: 0, grant: lent.id(), count })
        })?;
        driver.close(Close { minor: 0 })?;
        if read.count == count && text == hello::TEXT { Ok(()) } else { Err(Errno::Proto) }
    }

    /// What it has been answered is kept is kept.
    fn ask_store(&mut self) -> Result<(), Errno> {
        use ds::{EntryKind, Flags, Key, Publish, Retrieve};
        let mut store = ds::Client { to: self.to, transport: Ipc::default() };
        self.count += 1;
        let mut key = *b"client.00000000";
        for (digit, place) in key[7..].iter_mut().zip((0..8).rev()) {
            *digit = b"0123456789abcdef"[(self.me.raw() >> (4 * place) & 0xf) as usize];
        }
        let key = Key::new(&key).ok_or(Errno::TooBig)?;
        let (kind, flags) = (EntryKind::Number, Flags::OVERWRITE.bits());
        let value = self.count & u64::from(u32::MAX);
        store.publish(Publish { key, kind, flags, len: 0, value })?;
        let grant = abi::grant::GrantId::INVALID;
        let found = store.retrieve(Retrieve { key, kind, capacity: 0, reserved: 0, grant })?;
        if found.value == value { Ok(()) } else { Err(Errno::Proto) }
    }
}
